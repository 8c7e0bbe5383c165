// Vectors of float32 as wide as the instruction set the file is compiled for, bfloat16, exp, and threads.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace {

constexpr int N = 64;
#if defined(__AVX512F__)
constexpr int LANES = 16;
constexpr int VALUES = 64;  // values updated together: as many as fit in the registers
#else
constexpr int LANES = 8;
constexpr int VALUES = 16;
#endif
constexpr int GROUP = VALUES / LANES;
constexpr int VECTORS = N / LANES;
constexpr float DECAY_SCALE = -0.6065306597126334f;  // -exp(-1/2)

using bfloat16 = uint16_t;
typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));
typedef float LooseFloats __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t LooseHalves __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

inline Floats load(const float* from) { return *reinterpret_cast<const LooseFloats*>(from); }
inline void store(float* to, Floats x) { *reinterpret_cast<LooseFloats*>(to) = x; }

inline Floats load(const bfloat16* from) {
    Halves halves = *reinterpret_cast<const LooseHalves*>(from);
    return reinterpret_cast<Floats>(__builtin_convertvector(halves, Words) << 16);
}

// Rounds to the nearest, ties to even.
inline void store(bfloat16* to, Floats x) {
    Words bits = reinterpret_cast<Words>(x);
    bits += 0x7fffu + ((bits >> 16) & 1u);
    *reinterpret_cast<LooseHalves*>(to) = __builtin_convertvector(bits >> 16, Halves);
}

inline Floats splat(float x) { return Floats{} + x; }

inline float sum(Floats x) {
    typedef float Four __attribute__((vector_size(16)));
    const Four* parts = reinterpret_cast<const Four*>(&x);
    Four total = parts[0];
    for (int part = 1; part < LANES / 4; part++) total += parts[part];
    return (total[0] + total[2]) + (total[1] + total[3]);
}

// Lanes of two vectors by their index, those of `second` counted from LANES.
inline Floats pick(Floats first, Floats second, Ints lanes) {
#if defined(__clang__)
    Floats picked;
    for (int lane = 0; lane < LANES; lane++)
        picked[lane] = lanes[lane] < LANES ? first[lanes[lane]] : second[lanes[lane] - LANES];
    return picked;
#else
    return __builtin_shuffle(first, second, lanes);
#endif
}

// Rows become columns: each round interleaves the first half of the rows with the second.
inline void transpose(Floats (&rows)[LANES]) {
    Ints low, high;
    for (int lane = 0; lane < LANES; lane++) {
        low[lane] = lane / 2 + (lane % 2) * LANES;
        high[lane] = low[lane] + LANES / 2;
    }
    for (int round = 1; round < LANES; round *= 2) {
        Floats mixed[LANES];
        for (int row = 0; row < LANES / 2; row++) {
            mixed[2 * row] = pick(rows[row], rows[row + LANES / 2], low);
            mixed[2 * row + 1] = pick(rows[row], rows[row + LANES / 2], high);
        }
        std::copy(mixed, mixed + LANES, rows);
    }
}

// Cephes' expf: within 2 units in the last place from -87 to 87, clamped outside.
inline Floats exponential(Floats x) {
    x = x < -87.f ? splat(-87.f) : x;
    x = x > 87.f ? splat(87.f) : x;
    Floats shifted = x * 1.44269504088896341f + 12582912.f;  // 1.5 · 2²³: the power of two ends in the lowest bits
    Floats power = shifted - 12582912.f;
    Floats rest = x - power * 0.693145751953125f - power * 1.42860682030941723212e-6f;
    Floats series = splat(1.9875691500e-4f);
    series = series * rest + 1.3981999507e-3f;
    series = series * rest + 8.3334519073e-3f;
    series = series * rest + 4.1665795894e-2f;
    series = series * rest + 1.6666665459e-1f;
    series = series * rest + 5.0000001201e-1f;
    series = series * rest * rest + rest + 1.f;
    return reinterpret_cast<Floats>(reinterpret_cast<Ints>(series) + (reinterpret_cast<Ints>(shifted) << 23));
}

inline Floats sigmoid(Floats x) { return 1.f / (1.f + exponential(-x)); }
inline Floats hyperbolic_tangent(Floats x) { return 2.f * sigmoid(2.f * x) - 1.f; }

// Runs work(0) … work(count - 1) on so many threads; no pool, so a single thread costs nothing.
template <class Work>
void parallel(int64_t count, int threads, const Work& work) {
    threads = static_cast<int>(std::min<int64_t>(threads, count));
    std::atomic<int64_t> next{0};
    auto run = [&] {
        for (int64_t index; (index = next.fetch_add(1)) < count;) work(index);
    };
    std::vector<std::thread> others;
    for (int thread = 1; thread < threads; thread++) others.emplace_back(run);
    run();
    for (auto& other : others) other.join();
}

}  // namespace
