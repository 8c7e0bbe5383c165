// What stands before the recurrence of a chunk (`half_chunk.h`): the gates of `gates.h`, a vector of channels of one token
// after the other, as exactly as bfloat16 shows.

#pragma once

#include "inference.h"

namespace {

// 1 / (1 + 2^x) within 2·10⁻⁴ of it, which is a tenth of what bfloat16 rounds by; 2^x is a minimax fit (Lawson's algorithm).
inline Floats coarse_sigmoid(Floats x) {
    Floats rest = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    Floats series = splat(0.07802452f);
    series = series * rest + 0.22606716f;
    series = series * rest + 0.69583354f;
    series = series * rest + 0.99992522f;
    return _mm512_rcp14_ps(1.f + Floats(_mm512_scalef_ps(series, x)));
}

// x · exp(DECAY_SCALE · rate). The exponent is within 10⁻⁵ of itself, however near to zero, so that what fades slowly is right
// after any number of tokens; a minimax fit, too.
inline Floats faded(Floats x, Floats rate) {
    Floats series = splat(0.0044305813f);
    series = series * rate - 0.036453657f;
    series = series * rate + 0.18379174f;
    series = series * rate - 0.60652585f;
    return x + x * (rate * series);
}

// A sigmoid of sums with a bias.
struct Gate {
    static constexpr float SCALE = -1.44269504088896341f;  // -log2(e)
    Floats bias;
    explicit Gate(const float* from) : bias(load(from) * SCALE) {}
    Floats operator()(const float* from) const { return coarse_sigmoid(load(from) * SCALE + bias); }
};

// LANES channels of one token after the other: what `prepare` in `gates.h` does, decayed.
class Channels {
public:
    Floats a, r, b, k, v, decayed = splat(1.f);

    Channels(const Head<float>& head, int64_t channel)
        : head(head), rate_of(head.layer.a0 + channel), opening_of(head.layer.v0 + channel),
          fading_of(head.layer.w0 + channel), k_k(load(head.layer.k_k + channel)), k_a(load(head.layer.k_a + channel)),
          r_k(load(head.layer.r_k + channel)), others(1.f - k_a) {}

    // Adds to the sums, by lanes, of the squares of q and of r k r_k.
    void next(int64_t at, Floats& length, Floats& bonus) {
        const Projected<float>& in = head.in;
        int64_t soon = at + 2 * CHUNK * head.span.step;  // from far away, and in a page of its own
        for (const float* from : {in.r, in.k, in.v, in.first_value}) __builtin_prefetch(from + soon, 0, 2);
        Floats rate = rate_of(in.rate + at), key = load(in.k + at), removal = key * k_k;
        r = load(in.r + at);
        v = load(in.v + at);
        key *= others + rate * k_a;
        length += removal * removal;
        bonus += r * key * r_k;
        if (in.value_gate) v += (load(in.first_value + at) - v) * opening_of(in.value_gate + at);
        else store(head.first_value + at, v);
        a = removal * decayed;
        decayed = faded(decayed, fading_of(in.decay + at));
        Floats grown = _mm512_rcp14_ps(decayed);
        r *= decayed;
        b = removal * rate * grown;
        k = key * grown;
    }

private:
    const Head<float>& head;
    Gate rate_of, opening_of, fading_of;
    Floats k_k, k_a, r_k, others;
};

}  // namespace
