// The recurrence of one head backwards, a chunk of tokens at a time from the state before the chunk.
//
// States and their gradients are [value][key] here, as they come and go.

#pragma once

#include <cstring>

#include "recurrence.h"

namespace {

constexpr int CELLS = N * N;

// One token, in float32: what went into the recurrence, and the gradients that come out of it.
struct alignas(64) Moment {
    float r[N], decay[N], k[N], v[N], a[N], b[N], removed[N];  // removed = S_{t-1} a_t
    float rate[N], fading[N], opening[N];  // the gates that made b, the decay and v
    float to_y[N];
    float to_r[N], to_decay[N], to_k[N], to_v[N], to_a[N], to_b[N], to_removed[N];

    Ready ready() { return {r, decay, k, v, a, b, rate, fading, opening}; }
};

inline void replay(const Moment& now, const float* from, float* to) {
    constexpr int HALF = VECTORS / 2;  // so that decays, keys and b stay in registers
    for (int first = 0; first < N; first += HALF * LANES) {
        Floats decay[HALF], k[HALF], b[HALF];
        for (int g = 0; g < HALF; g++) {
            int c = first + g * LANES;
            decay[g] = load(now.decay + c), k[g] = load(now.k + c), b[g] = load(now.b + c);
        }
        for (int value = 0; value < N; value++) {
            float removed = now.removed[value], v = now.v[value];
#pragma GCC unroll 4
            for (int g = 0; g < HALF; g++) {
                int c = value * N + first + g * LANES;
                store(to + c, load(from + c) * decay[g] + b[g] * removed + k[g] * v);
            }
        }
    }
}

// Adds this token's reading to the state's gradient; yields the gradients of v and of `removed`.
inline void gather(Moment& now, float* gradient) {
    constexpr int ROWS = LANES / 2;
    for (int value = 0; value < N; value += ROWS) {
        Floats products[LANES] = {};  // of each row with k, then of each with b
        for (int c = 0; c < N; c += LANES) {
            Floats r = load(now.r + c), k = load(now.k + c), b = load(now.b + c);
#pragma GCC unroll 8
            for (int row = 0; row < ROWS; row++) {
                float* at = gradient + (value + row) * N + c;
                Floats cell = load(at) + r * now.to_y[value + row];
                store(at, cell);
                products[row] += cell * k;
                products[ROWS + row] += cell * b;
            }
        }
        Floats total = sums(products);
        memcpy(now.to_v + value, &total, sizeof total / 2);
        memcpy(now.to_removed + value, reinterpret_cast<float*>(&total) + ROWS, sizeof total / 2);
    }
}

constexpr int KEYS = 2;  // vectors of keys whose five sums fit in the registers

inline float dot(const float* left, const float* right) {
    Floats total = {};
    for (int c = 0; c < N; c += LANES) total += load(left + c) * load(right + c);
    return sum(total);
}

// Gradients of what belongs to the keys, then the state's gradient one token earlier. `before` is S_{t-1}.
inline void spread(Moment& now, const float* before, float* gradient) {
    float by_removed = dot(now.removed, now.to_y), by_v = dot(now.v, now.to_y);
    for (int first = 0; first < N; first += KEYS * LANES) {
        Floats r[KEYS] = {}, decay[KEYS] = {}, k[KEYS] = {}, a[KEYS] = {}, b[KEYS] = {};
        for (int value = 0; value < N; value++) {
            float y = now.to_y[value], v = now.v[value], removed = now.removed[value], to_removed = now.to_removed[value];
#pragma GCC unroll 2
            for (int g = 0; g < KEYS; g++) {
                int64_t cell = value * N + first + g * LANES;
                Floats slope = load(gradient + cell), old = load(before + cell);
                r[g] += old * y;
                decay[g] += slope * old;
                k[g] += slope * v;
                b[g] += slope * removed;
                a[g] += old * to_removed;
                int c = first + g * LANES;
                store(gradient + cell, slope * load(now.decay + c) + load(now.a + c) * to_removed);
            }
        }
        for (int g = 0; g < KEYS; g++) {
            int c = first + g * LANES;
            // S_t r_t without S_t: it is S_{t-1} decayed, and two outer products.
            store(now.to_r + c, r[g] * load(now.decay + c) + load(now.b + c) * by_removed + load(now.k + c) * by_v);
            store(now.to_decay + c, decay[g]);
            store(now.to_k + c, k[g]);
            store(now.to_a + c, a[g]);
            store(now.to_b + c, b[g]);
        }
    }
}

// Fills in the gradients of `count` tokens; `gradient` goes from the state after them to the one before.
inline void backward_chunk(Moment* moments, int count, const float* entry, float* gradient) {
    // Kept from call to call by each thread: fresh memory costs more than filling it.
    static thread_local Room<float> states(CHUNK * CELLS);
    const float* before[CHUNK] = {entry};
    for (int step = 1; step < count; step++) {
        float* to = states.data() + step * CELLS;
        replay(moments[step - 1], before[step - 1], to);
        before[step] = to;
    }
    for (int step = count - 1; step >= 0; step--) {
        gather(moments[step], gradient);
        spread(moments[step], before[step], gradient);
    }
}

// Where the states before the chunks of each sequence stand among those of all.
inline std::vector<int64_t> first_chunks(int64_t sequences, const int64_t* offsets) {
    std::vector<int64_t> first(sequences + 1, 0);
    for (int64_t s = 0; s < sequences; s++) first[s + 1] = first[s] + (offsets[s + 1] - offsets[s] + CHUNK - 1) / CHUNK;
    return first;
}

}  // namespace
