// Vectors of float32 as wide as the instruction set the file is compiled for, bfloat16, exp, and threads.

#pragma once

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <new>
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
#if defined(__AVX512BF16__)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
#else
    Words bits = reinterpret_cast<Words>(x);
    bits += 0x7fffu + ((bits >> 16) & 1u);
    *reinterpret_cast<LooseHalves*>(to) = __builtin_convertvector(bits >> 16, Halves);
#endif
}

inline Floats splat(float x) { return Floats{} + x; }

inline float sum(Floats x) {
    typedef float Four __attribute__((vector_size(16)));
    const Four* parts = reinterpret_cast<const Four*>(&x);
    Four total = parts[0];
    for (int part = 1; part < LANES / 4; part++) total += parts[part];
    return (total[0] + total[2]) + (total[1] + total[3]);
}

// Of all lanes of four vectors.
inline float sum(const Floats (&x)[4]) { return sum((x[0] + x[1]) + (x[2] + x[3])); }

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

// Lanes of the first halves of two vectors in turn, or of their second halves.
inline Floats zip(Floats first, Floats second, bool high) {
    Ints lanes;
    for (int lane = 0; lane < LANES; lane++) lanes[lane] = lane / 2 + lane % 2 * LANES + (high ? LANES / 2 : 0);
    return pick(first, second, lanes);
}

// Rows become columns: each round zips the first half of the rows with the second.
inline void transpose(Floats (&rows)[LANES]) {
    for (int round = 1; round < LANES; round *= 2) {
        Floats mixed[LANES];
        for (int row = 0; row < LANES / 2; row++) {
            mixed[2 * row] = zip(rows[row], rows[row + LANES / 2], false);
            mixed[2 * row + 1] = zip(rows[row], rows[row + LANES / 2], true);
        }
        std::copy(mixed, mixed + LANES, rows);
    }
}

// The sum of each row, in the lane of its number; the rows are lost.
inline Floats sums(Floats (&rows)[LANES]) {
    for (int half = LANES / 2; half; half /= 2)
        for (int row = 0; row < half; row++)
            rows[row] = zip(rows[row], rows[row + half], false) + zip(rows[row], rows[row + half], true);
    return rows[0];
}

// From -87 to 87; what is not a number stays so.
inline Floats limited(Floats x) {
#if defined(__AVX512F__)
    return _mm512_min_ps(splat(87.f), _mm512_max_ps(splat(-87.f), x));
#else
    x = x < -87.f ? splat(-87.f) : x;
    return x > 87.f ? splat(87.f) : x;
#endif
}

// Cephes' expf: within 2 units in the last place from -87 to 87, clamped outside.
inline Floats exponential(Floats x) {
    x = limited(x);
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

// Of normal numbers: to the last place or two, in a fourth of a division's time where there is an estimate to begin with.
inline Floats reciprocal(Floats x) {
#if defined(__AVX512F__)
    Floats estimate = _mm512_rcp14_ps(x);
    return estimate * (2.f - x * estimate);
#else
    return 1.f / x;
#endif
}

// exp(DECAY_SCALE · x) for x from 0 to 1, where the decay of a sigmoid lies: Taylor's series about the middle, 2 units in
// the last place.
inline Floats decay_of(Floats x) {
    constexpr float MIDDLE = 0.5f * DECAY_SCALE, AT_MIDDLE = 0.73840315f;
    Floats rest = x * DECAY_SCALE - MIDDLE;
    Floats series = splat(AT_MIDDLE / 5040);
    series = series * rest + AT_MIDDLE / 720;
    series = series * rest + AT_MIDDLE / 120;
    series = series * rest + AT_MIDDLE / 24;
    series = series * rest + AT_MIDDLE / 6;
    series = series * rest + AT_MIDDLE / 2;
    series = series * rest + AT_MIDDLE;
    return series * rest + AT_MIDDLE;
}

inline Floats sigmoid(Floats x) { return reciprocal(1.f + exponential(-x)); }
inline Floats hyperbolic_tangent(Floats x) { return 2.f * sigmoid(2.f * x) - 1.f; }

// Begins at a whole line of the cache: a vector or a row of a tile that lies in two of them takes twice as long to load.
template <class T>
struct Aligned {
    using value_type = T;
    static constexpr std::align_val_t LINE{64};

    Aligned() = default;
    template <class Other>
    Aligned(const Aligned<Other>&) {}
    T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), LINE)); }
    void deallocate(T* at, size_t) { ::operator delete(at, LINE); }
    friend bool operator==(const Aligned&, const Aligned&) { return true; }
    friend bool operator!=(const Aligned&, const Aligned&) { return false; }
};

template <class T>
using Room = std::vector<T, Aligned<T>>;

// Memory kept from call to call by each thread: fresh memory costs more than filling it.
template <class T>
T* kept(Room<T>& room, int64_t count) {
    if (static_cast<int64_t>(room.size()) < count) room.resize(count);
    return room.data();
}

// Where a product goes: to rows, or blocked, N columns of all rows together, as the time mix reads them.
struct Place {
    float* first;
    int64_t stride, block;  // between rows, between blocks of N columns

    static Place rows(float* first, int64_t columns) { return {first, columns, N}; }
    static Place blocks(float* first, int64_t rows) { return {first, N, rows * N}; }
    float* at(int64_t row, int64_t column) const { return first + row * stride + column / N * block + column % N; }
};

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
