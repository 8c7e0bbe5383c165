// What stands around the recurrence of one token and head: gates and normed keys before it, group norm, bonus and
// output gate after it. T is the type of the products, float32 or bfloat16.

#pragma once

#include <cmath>

#include "recurrence.h"

namespace {

// The projections of all tokens, (T, C) each, or blocked.
template <class T>
struct Projected {
    const T *r, *k, *v, *decay, *rate, *value_gate, *gate;  // value_gate: null in the first layer
    const T* first_value;                                    // the first layer's v; not read there
};

// The vectors of the layer, (C) each.
struct Vectors {
    static constexpr int COUNT = 8;
    const float *w0, *a0, *v0, *k_k, *k_a, *r_k, *norm_weight, *norm_bias;

    Vectors(const float* packed, int64_t width)
        : w0(packed), a0(packed + width), v0(packed + 2 * width), k_k(packed + 3 * width), k_a(packed + 4 * width),
          r_k(packed + 5 * width), norm_weight(packed + 6 * width), norm_bias(packed + 7 * width) {}
};

// Gates of one token of one head, and what leads past the state: returns sum_j r_j k_j r_k_j.
template <class T>
float prepare(const Ready ready, const Projected<T> in, const Vectors layer, int64_t at, int64_t channel) {
    Floats length = {}, bonus = {};
    for (int c = 0; c < N; c += LANES) {
        int64_t own = channel + c;
        Floats rate = sigmoid(load(in.rate + at + c) + load(layer.a0 + own));
        Floats key = load(in.k + at + c), removal = key * load(layer.k_k + own);
        Floats r = load(in.r + at + c), value = load(in.v + at + c);
        key *= 1.f + (rate - 1.f) * load(layer.k_a + own);
        length += removal * removal;
        bonus += r * key * load(layer.r_k + own);
        if (in.value_gate) {
            Floats opening = sigmoid(load(in.value_gate + at + c) + load(layer.v0 + own));
            value += (load(in.first_value + at + c) - value) * opening;
            store(ready.opening + c, opening);
        }
        Floats fading = sigmoid(load(in.decay + at + c) + load(layer.w0 + own));
        store(ready.fading + c, fading);
        store(ready.decay + c, decay_of(fading));
        store(ready.r + c, r);
        store(ready.k + c, key);
        store(ready.v + c, value);
        store(ready.a + c, removal);
        store(ready.rate + c, rate);
    }
    float inverse = 1.f / std::max(std::sqrt(sum(length)), 1e-12f);
    for (int c = 0; c < N; c += LANES) {
        Floats removal = load(ready.a + c) * inverse;
        store(ready.a + c, -removal);
        store(ready.b + c, removal * load(ready.rate + c));
    }
    return sum(bonus);
}

// Mean and reciprocal deviation of a head, as its group norm wants them.
struct Moments {
    float mean, scale;

    explicit Moments(const float* y) {
        Floats total = {}, squares = {};
        for (int c = 0; c < N; c += LANES) total += load(y + c);
        mean = sum(total) / N;
        for (int c = 0; c < N; c += LANES) {
            Floats centred = load(y + c) - mean;
            squares += centred * centred;
        }
        scale = 1.f / std::sqrt(sum(squares) / N + 64e-5f);
    }
};

// Group norm of the head, the bonus and the output gate; take(c, numbers) takes LANES of them.
template <class T, class Take>
void finish(const float* y, const float* v, float bonus, const Vectors& layer, const T* gate, int64_t channel, const Take& take) {
    Moments moments(y);
    for (int c = 0; c < N; c += LANES) {
        Floats normed = (load(y + c) - moments.mean) * moments.scale * load(layer.norm_weight + channel + c);
        normed += load(layer.norm_bias + channel + c) + load(v + c) * bonus;
        take(c, normed * load(gate + c));
    }
}

}  // namespace
