// Matrix products in 16-bit fixed point, for processors with AVX2 and no bfloat16: twice the operations of float32 in
// each instruction (vpmaddwd), and a quarter of bfloat16's rounding.
//
// A row x of the left side becomes integers up to LIMIT with one scale; a row w of the weights, integers with one
// scale, so small that no block of BLOCK products can overflow 32 bits: LIMIT · Σ|w| < 2³¹. Blocks add up in float32.

#if defined(__AVX2__) && !defined(__AVX512F__)

#include <immintrin.h>

#include <cmath>
#include <cstring>

#include "vectors.h"

namespace {

constexpr int LIMIT = 8191;
constexpr int64_t BLOCK = 512;  // inputs multiplied before the sums leave 32-bit integers
constexpr int PANEL = 16;       // outputs computed together
constexpr int TALL = 4;         // rows computed together: more, and the compiler spills their sums

void quantise_row(int64_t inputs, const float* x, int16_t* to, float* scale) {
    Floats largest = {};
    for (int64_t i = 0; i < inputs; i += LANES) {
        Floats now = load(x + i), negative = -now;
        now = now > negative ? now : negative;
        largest = largest > now ? largest : now;
    }
    float most = 0;
    for (int lane = 0; lane < LANES; lane++) most = std::max(most, largest[lane]);
    *scale = most / LIMIT;
    __m256 factor = _mm256_set1_ps(most > 0 ? LIMIT / most : 0);
    for (int64_t i = 0; i < inputs; i += 16) {
        __m256i low = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + i), factor));
        __m256i high = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + i + 8), factor));
        __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), both);
    }
}

// out (+)= x w' for HEIGHT rows and one panel; `weights` holds pairs of inputs of each of its 16 outputs.
template <int HEIGHT>
void tile(const int16_t* x, int64_t inputs, int64_t count, const int16_t* weights, const float* row_scales,
          const float* scales, float* out, int64_t outputs, bool first) {
    __m256i sums[HEIGHT][2] = {};
#pragma GCC unroll 4
    for (int64_t i = 0; i < count; i += 2, weights += 2 * PANEL) {
        __m256i left = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights));
        __m256i right = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights + PANEL));
#pragma GCC unroll 4
        for (int row = 0; row < HEIGHT; row++) {
            int32_t pair;
            memcpy(&pair, x + row * inputs + i, sizeof pair);
            __m256i both = _mm256_set1_epi32(pair);
            sums[row][0] = _mm256_add_epi32(sums[row][0], _mm256_madd_epi16(both, left));
            sums[row][1] = _mm256_add_epi32(sums[row][1], _mm256_madd_epi16(both, right));
        }
    }
    for (int row = 0; row < HEIGHT; row++)
        for (int half = 0; half < 2; half++) {
            float* to = out + row * outputs + half * LANES;
            Floats sum = reinterpret_cast<Floats>(_mm256_cvtepi32_ps(sums[row][half]));
            sum *= load(scales + half * LANES) * row_scales[row];
            store(to, first ? sum : load(to) + sum);
        }
}

using Tile = void (*)(const int16_t*, int64_t, int64_t, const int16_t*, const float*, const float*, float*, int64_t, bool);
constexpr Tile TILES[TALL + 1] = {nullptr, tile<1>, tile<2>, tile<3>, tile<4>};

// Scale of one row of weights: as fine as its largest block allows.
float scale_of(const float* weights, int64_t inputs) {
    double most = 0;
    float largest = 0;
    for (int64_t begin = 0; begin < inputs; begin += BLOCK) {
        double total = 0;
        for (int64_t i = begin; i < std::min(inputs, begin + BLOCK); i++) {
            total += std::fabs(weights[i]);
            largest = std::max(largest, std::fabs(weights[i]));
        }
        most = std::max(most, total);
    }
    // Rounding may add a half to each weight's size.
    double room = 2147483647.0 / LIMIT - 0.5 * BLOCK;
    return static_cast<float>(std::max(most / room, largest / 32767.0));
}

}  // namespace

// weights (outputs, inputs) → packed of the same size, and scales (outputs). Both sizes are multiples of 16.
extern "C" void fixed_pack(int64_t outputs, int64_t inputs, const float* weights, int16_t* packed, float* scales, int) {
    for (int64_t output = 0; output < outputs; output++) {
        const float* row = weights + output * inputs;
        float scale = scales[output] = scale_of(row, inputs);
        int16_t* panel = packed + output / PANEL * PANEL * inputs;
        for (int64_t i = 0; i < inputs; i++) {
            float whole = scale > 0 ? std::nearbyint(row[i] / scale) : 0;
            panel[i / 2 * 2 * PANEL + output % PANEL * 2 + i % 2] = static_cast<int16_t>(whole);
        }
    }
}

// out (rows, outputs) = x (rows, inputs) · weights'.
extern "C" void fixed_product(int64_t rows, int64_t inputs, int64_t outputs, const float* x, const int16_t* packed,
                              const float* scales, float* out, int threads) {
    // Kept from call to call: fresh memory costs more than filling it.
    static thread_local std::vector<int16_t> room;
    static thread_local std::vector<float> room_for_scales;
    if (static_cast<int64_t>(room.size()) < rows * inputs) room.resize(rows * inputs);
    if (static_cast<int64_t>(room_for_scales.size()) < rows) room_for_scales.resize(rows);
    int16_t* whole = room.data();  // not the vectors themselves: every thread below has its own
    float* row_scales = room_for_scales.data();
    parallel((rows + 15) / 16, threads, [&](int64_t block) {
        for (int64_t row = block * 16; row < std::min(rows, block * 16 + 16); row++)
            quantise_row(inputs, x + row * inputs, whole + row * inputs, row_scales + row);
    });
    parallel(outputs / PANEL, threads, [&](int64_t panel) {
        for (int64_t begin = 0; begin < inputs; begin += BLOCK) {
            const int16_t* weights = packed + panel * PANEL * inputs + begin * PANEL;
            int64_t count = std::min(BLOCK, inputs - begin);
            for (int64_t row = 0; row < rows; row += TALL) {
                int64_t height = std::min<int64_t>(TALL, rows - row);
                TILES[height](whole + row * inputs + begin, inputs, count, weights, row_scales + row,
                              scales + panel * PANEL, out + row * outputs + panel * PANEL, outputs, begin == 0);
            }
        }
    });
}

#endif
