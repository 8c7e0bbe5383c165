// Products with weights in fixed point, forward: plain C symbols that `products.py` and `fixed.py` call.

#if defined(__AVX2__) && !defined(__AVX512F__)

#include "fixed.h"

namespace {

// Scale of one row of weights: as fine as its largest block allows.
float scale_of(const float* weights, int64_t inputs) {
    float most = 0;
    __m256i largest = _mm256_setzero_si256();
    for (int64_t begin = 0; begin < inputs; begin += BLOCK) {
        Floats total = {};
        for (int64_t i = begin; i < std::min(inputs, begin + BLOCK); i += LANES) {
            __m256i sizes = sizes_of(weights + i);
            total += reinterpret_cast<Floats>(sizes);
            largest = _mm256_max_epi32(largest, sizes);
        }
        most = std::max(sum(total), most);
    }
    return std::max(most / ROOM, largest_of(largest) / 32767.f);
}

}  // namespace

// weights (outputs, inputs) → panels of the same size, and scales (outputs). Both sizes are multiples of 16.
extern "C" void fixed_pack(int64_t outputs, int64_t inputs, const float* weights, int16_t* packed, float* scales, int) {
    for (int64_t output = 0; output < outputs; output++) {
        const float* row = weights + output * inputs;
        float scale = scales[output] = scale_of(row, inputs);
        __m256 factor = _mm256_set1_ps(scale > 0 ? 1 / scale : 0);
        int16_t* panel = packed + output / PANEL * PANEL * inputs + output % PANEL * 2;
        for (int64_t i = 0; i < inputs; i += 16) {
            alignas(32) int32_t pairs[8];
            __m256i both = whole(_mm256_mul_ps(_mm256_loadu_ps(row + i), factor), _mm256_mul_ps(_mm256_loadu_ps(row + i + 8), factor));
            _mm256_store_si256(reinterpret_cast<__m256i*>(pairs), _mm256_permute4x64_epi64(both, 0xd8));
            for (int pair = 0; pair < 8; pair++) memcpy(panel + (i / 2 + pair) * 2 * PANEL, pairs + pair, sizeof(int32_t));
        }
    }
}

// x (rows, inputs) → integers of the same size, and scales (rows).
extern "C" void fixed_quantise(int64_t rows, int64_t inputs, const float* x, int16_t* to, float* scales, int threads) {
    constexpr int64_t ROWS = 16;
    parallel((rows + ROWS - 1) / ROWS, threads, [&](int64_t block) {
        for (int64_t row = block * ROWS; row < std::min(rows, (block + 1) * ROWS); row++)
            quantise_row(inputs, x + row * inputs, to + row * inputs, scales + row);
    });
}

// out (rows, outputs) = x (rows, inputs), quantised, · weights'.
extern "C" void fixed_multiply(int64_t rows, int64_t inputs, int64_t outputs, const int16_t* x, const float* row_scales,
                               const int16_t* packed, const float* scales, float* out, int threads) {
    multiply(rows, inputs, outputs, x, row_scales, {packed, scales}, Place::rows(out, outputs), false, threads);
}

// The same of x in float32.
extern "C" void fixed_product(int64_t rows, int64_t inputs, int64_t outputs, const float* x, const int16_t* packed,
                              const float* scales, float* out, int threads) {
    static thread_local Room<int16_t> room;
    static thread_local Room<float> room_for_scales;
    int16_t* to = kept(room, rows * inputs);
    float* row_scales = kept(room_for_scales, rows);
    fixed_quantise(rows, inputs, x, to, row_scales, threads);
    multiply(rows, inputs, outputs, to, row_scales, {packed, scales}, Place::rows(out, outputs), false, threads);
}

#endif
