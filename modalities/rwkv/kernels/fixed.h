// Matrix products in 16-bit fixed point, for processors with AVX2 and no bfloat16: twice the operations of float32 in
// each instruction (vpmaddwd), and a quarter of bfloat16's rounding.
//
// The numbers of the left side become integers up to LIMIT with one scale a row; those of the right side integers with
// one scale a column, so small that no block of BLOCK products can overflow 32 bits: LIMIT · Σ|right| < 2³¹. Blocks add
// up in float32. A number that is not finite makes its scale, and so all that comes of it, not finite either.

#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstring>

#include "vectors.h"

namespace {

constexpr int LIMIT = 8191;
constexpr int64_t BLOCK = 512;  // products added before the sums leave 32-bit integers
constexpr int PANEL = 16;       // columns computed together
constexpr int TALL = 4;         // rows computed together: more, and the compiler spills their sums
constexpr float ROOM = (2147483647.f / LIMIT - 0.5f * BLOCK) * 0.9999f;  // of Σ|right|: rounding may add a half to each

inline __m256i sizes_of(const float* x) {  // as integers, which are ordered as the sizes are, NaN above all
    return _mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)), _mm256_set1_epi32(0x7fffffff));
}

inline float largest_of(__m256i sizes) {
    alignas(32) float each[LANES];
    _mm256_store_si256(reinterpret_cast<__m256i*>(each), sizes);
    float most = 0;
    for (float one : each) most = one <= most ? most : one;
    for (float one : each) most = std::isnan(one) ? one : most;
    return most;
}

// 16 numbers to integers; the middle quarters are exchanged.
inline __m256i whole(__m256 low, __m256 high) { return _mm256_packs_epi32(_mm256_cvtps_epi32(low), _mm256_cvtps_epi32(high)); }

inline void quantise_row(int64_t count, const float* x, int16_t* to, float* scale) {
    __m256i largest = _mm256_setzero_si256();
    for (int64_t i = 0; i < count; i += LANES) largest = _mm256_max_epi32(largest, sizes_of(x + i));
    float most = largest_of(largest);
    *scale = most / LIMIT;
    __m256 factor = _mm256_set1_ps(most > 0 ? LIMIT / most : 0);
    for (int64_t i = 0; i < count; i += 16) {
        __m256i both = whole(_mm256_mul_ps(_mm256_loadu_ps(x + i), factor), _mm256_mul_ps(_mm256_loadu_ps(x + i + 8), factor));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), _mm256_permute4x64_epi64(both, 0xd8));
    }
}

// out (+)= left · right for HEIGHT rows and one panel, whose `right` holds pairs of each of its 16 columns. Rows of
// `left` are `stride` apart, pairs of a row PAIR.
template <int HEIGHT, int PAIR>
void tile(const int16_t* left, int64_t stride, int64_t count, const int16_t* right, const float* row_scales,
          const float* column_scales, float* out, int64_t apart, bool first) {
    __m256i sums[HEIGHT][2];  // in registers, as long as every loop over them is unrolled
#pragma GCC unroll 8
    for (int place = 0; place < 2 * HEIGHT; place++) sums[place / 2][place % 2] = _mm256_setzero_si256();
#pragma GCC unroll 4
    for (int64_t i = 0; i < count; i += 2, left += PAIR, right += 2 * PANEL) {
        __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(right));
        __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(right + PANEL));
#pragma GCC unroll 4
        for (int row = 0; row < HEIGHT; row++) {
            int32_t pair;
            memcpy(&pair, left + row * stride, sizeof pair);
            __m256i both = _mm256_set1_epi32(pair);
            sums[row][0] = _mm256_add_epi32(sums[row][0], _mm256_madd_epi16(both, low));
            sums[row][1] = _mm256_add_epi32(sums[row][1], _mm256_madd_epi16(both, high));
        }
    }
    Floats scales[2] = {load(column_scales), load(column_scales + LANES)};
#pragma GCC unroll 8
    for (int place = 0; place < 2 * HEIGHT; place++) {
        int row = place / 2, half = place % 2;
        float* to = out + row * apart + half * LANES;
        __m256 sum = _mm256_cvtepi32_ps(sums[row][half]), scale = scales[half] * row_scales[row];
        // Said outright: a compiler may round once or twice here, and for some heights only.
        store(to, _mm256_fmadd_ps(sum, scale, first ? Floats{} : load(to)));
    }
}

// The right side of a product, (inner, columns), in panels, and its column's scales.
struct Panels {
    const int16_t* packed;
    const float* scales;
};

// out (rows, columns) = left · right, or with `add` += it, of a left side that is quantised: (rows, inner) and its scales.
inline void multiply(int64_t rows, int64_t inner, int64_t columns, const int16_t* left, const float* row_scales,
                     const Panels& right, const Place& out, bool add, int threads) {
    using Tile = void (*)(const int16_t*, int64_t, int64_t, const int16_t*, const float*, const float*, float*, int64_t, bool);
    constexpr Tile TILES[TALL + 1] = {nullptr, tile<1, 2>, tile<2, 2>, tile<3, 2>, tile<4, 2>};
    constexpr int64_t ROWS = 128;  // they stay in the second-level cache while all panels pass
    int64_t panels = columns / PANEL;
    parallel((rows + ROWS - 1) / ROWS * panels, threads, [&](int64_t job) {
        int64_t panel = job % panels, end = std::min(rows, (job / panels + 1) * ROWS);
        for (int64_t begin = 0; begin < inner; begin += BLOCK)
            for (int64_t row = job / panels * ROWS; row < end; row += TALL)
                TILES[std::min<int64_t>(TALL, end - row)](
                    left + row * inner + begin, inner, std::min(BLOCK, inner - begin),
                    right.packed + (panel * inner + begin) * PANEL, row_scales + row, right.scales + panel * PANEL,
                    out.at(row, panel * PANEL), out.stride, begin == 0 && !add);
    });
}

}  // namespace
