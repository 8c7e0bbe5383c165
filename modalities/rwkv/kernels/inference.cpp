// What inference fuses around the matrix products of a layer: norms, token shifts, and the whole time mix between
// its projections. Plain C symbols that `engine.py` calls. T is the type of the products, float32 or bfloat16;
// the residual stream, norms and states are float32. The width C is a multiple of 64.

#include <cmath>
#include <cstring>

#include "recurrence.h"

namespace {

constexpr int ROWS = 16;  // tokens a thread takes at a time

// stream += added; normed = layer norm of the stream.
template <class T>
void add_norm(int64_t tokens, int64_t width, float* stream, const T* added, const float* weight, const float* bias,
              float* normed, int threads) {
    parallel((tokens + ROWS - 1) / ROWS, threads, [&](int64_t block) {
        for (int64_t token = block * ROWS; token < std::min(tokens, (block + 1) * ROWS); token++) {
            float *x = stream + token * width, *to = normed + token * width;
            Floats total = {}, squares = {};
            for (int64_t c = 0; c < width; c += LANES) {
                Floats now = load(x + c) + load(added + token * width + c);
                store(x + c, now);
                total += now;
            }
            float mean = sum(total) / width;
            for (int64_t c = 0; c < width; c += LANES) {
                Floats centred = load(x + c) - mean;
                squares += centred * centred;
            }
            float scale = 1.f / std::sqrt(sum(squares) / width + 1e-5f);
            for (int64_t c = 0; c < width; c += LANES)
                store(to + c, (load(x + c) - mean) * scale * load(weight + c) + load(bias + c));
        }
    });
}

// mixed[m] = now + (before - now) * ratios[m], where `before` is the token before, or `carried` for a first one;
// then `carried` (B, C) becomes each sequence's last token.
template <class T>
void shift_mix(int64_t sequences, int64_t tokens, int64_t width, const int64_t* offsets, const float* normed,
               float* carried, int64_t mixes, const float* ratios, T* mixed, int threads) {
    std::vector<const float*> before(tokens);
    for (int64_t token = 1; token < tokens; token++) before[token] = normed + (token - 1) * width;
    for (int64_t s = 0; s < sequences; s++)
        if (offsets[s] < offsets[s + 1]) before[offsets[s]] = carried + s * width;
    parallel((tokens + ROWS - 1) / ROWS, threads, [&](int64_t block) {
        for (int64_t token = block * ROWS; token < std::min(tokens, (block + 1) * ROWS); token++)
            for (int64_t m = 0; m < mixes; m++) {
                T* to = mixed + (m * tokens + token) * width;
                for (int64_t c = 0; c < width; c += LANES) {
                    Floats now = load(normed + token * width + c);
                    store(to + c, now + (load(before[token] + c) - now) * load(ratios + m * width + c));
                }
            }
    });
    for (int64_t s = 0; s < sequences; s++)
        if (offsets[s] < offsets[s + 1])
            memcpy(carried + s * width, normed + (offsets[s + 1] - 1) * width, sizeof(float) * width);
}

// x = relu(x) squared.
template <class T>
void square(int64_t count, T* x, int threads) {
    constexpr int64_t PIECE = 4096;
    parallel((count + PIECE - 1) / PIECE, threads, [&](int64_t piece) {
        for (int64_t i = piece * PIECE; i < std::min(count, (piece + 1) * PIECE); i += LANES) {
            Floats now = load(x + i);
            now = now > 0.f ? now : Floats{};
            store(x + i, now * now);
        }
    });
}

// The projections of all tokens, (T, C) each, and the vectors of the layer, (C) each.
template <class T>
struct Projected {
    const T *r, *k, *v, *decay, *rate, *value_gate, *gate;  // value_gate: null in the first layer
    int64_t value_stride;                                    // v may stand in wider rows
    T* first_value;                                          // written by the first layer, read by the others
};

struct Vectors {
    const float *w0, *a0, *v0, *k_k, *k_a, *r_k, *norm_weight, *norm_bias;

    Vectors(const float* packed, int64_t width)
        : w0(packed), a0(packed + width), v0(packed + 2 * width), k_k(packed + 3 * width), k_a(packed + 4 * width),
          r_k(packed + 5 * width), norm_weight(packed + 6 * width), norm_bias(packed + 7 * width) {}
};

// Gates of one token of one head, and what leads past the state: returns sum_j r_j k_j r_k_j.
template <class T>
float prepare(Tokens& tokens, int step, const Projected<T>& in, const Vectors& layer, int64_t token, int64_t at,
              int64_t channel) {
    Floats length = {}, bonus = {};
    const T* v = in.v + token * in.value_stride + channel;
    for (int c = 0; c < N; c += LANES) {
        int64_t own = channel + c;
        Floats rate = sigmoid(load(in.rate + at + c) + load(layer.a0 + own));
        Floats key = load(in.k + at + c), removal = key * load(layer.k_k + own);
        Floats r = load(in.r + at + c), value = load(v + c);
        key *= 1.f + (rate - 1.f) * load(layer.k_a + own);
        length += removal * removal;
        bonus += r * key * load(layer.r_k + own);
        if (in.value_gate) {
            Floats gate = sigmoid(load(in.value_gate + at + c) + load(layer.v0 + own));
            value += (load(in.first_value + at + c) - value) * gate;
        } else {
            store(in.first_value + at + c, value);
        }
        store(tokens.decay[step] + c, exponential(DECAY_SCALE * sigmoid(load(in.decay + at + c) + load(layer.w0 + own))));
        store(tokens.r[step] + c, r);
        store(tokens.k[step] + c, key);
        store(tokens.v[step] + c, value);
        store(tokens.a[step] + c, removal);
        store(tokens.b[step] + c, rate);
    }
    float inverse = 1.f / std::max(std::sqrt(sum(length)), 1e-12f);
    for (int c = 0; c < N; c += LANES) {
        Floats removal = load(tokens.a[step] + c) * inverse;
        store(tokens.a[step] + c, -removal);
        store(tokens.b[step] + c, removal * load(tokens.b[step] + c));
    }
    return sum(bonus);
}

// Group norm of the head, the bonus and the output gate.
template <class T>
void finish(const Tokens& tokens, int step, float bonus, const Vectors& layer, const T* gate, T* y, int64_t channel) {
    Floats total = {}, squares = {};
    for (int c = 0; c < N; c += LANES) total += load(tokens.y[step] + c);
    float mean = sum(total) / N;
    for (int c = 0; c < N; c += LANES) {
        Floats centred = load(tokens.y[step] + c) - mean;
        squares += centred * centred;
    }
    float scale = 1.f / std::sqrt(sum(squares) / N + 64e-5f);
    for (int c = 0; c < N; c += LANES) {
        Floats normed = (load(tokens.y[step] + c) - mean) * scale * load(layer.norm_weight + channel + c);
        normed += load(layer.norm_bias + channel + c) + load(tokens.v[step] + c) * bonus;
        store(y + c, normed * load(gate + c));
    }
}

template <class T>
void time_mix(int64_t sequences, int64_t heads, const int64_t* offsets, const Projected<T>& in, const Vectors& layer,
              T* y, float* states, int threads) {
    parallel(sequences * heads, threads, [&](int64_t pair) {
        Span span = span_of(offsets, heads, pair);
        if (span.begin == span.end) return;
        HeadState state;
        Tokens tokens;
        float bonus[STEPS];
        int64_t channel = span.head * N;
        state.read(states + pair * N * N);
        for (int64_t token = span.begin; token < span.end; token += STEPS) {
            int count = static_cast<int>(std::min<int64_t>(STEPS, span.end - token));
            for (int step = 0; step < count; step++)
                bonus[step] = prepare(tokens, step, in, layer, token + step, span.at(token + step), channel);
            advance(state, tokens, count);
            for (int step = 0; step < count; step++) {
                int64_t at = span.at(token + step);
                finish(tokens, step, bonus[step], layer, in.gate + at, y + at, channel);
            }
        }
        state.write(states + pair * N * N);
    });
}

}  // namespace

#define FUSED(NAME, T)                                                                                               \
    extern "C" void add_norm_##NAME(int64_t tokens, int64_t width, float* stream, const T* added,                    \
                                    const float* weight, const float* bias, float* normed, int threads) {            \
        add_norm<T>(tokens, width, stream, added, weight, bias, normed, threads);                                    \
    }                                                                                                                \
    extern "C" void shift_mix_##NAME(int64_t sequences, int64_t tokens, int64_t width, const int64_t* offsets,       \
                                     const float* normed, float* carried, int64_t mixes, const float* ratios,        \
                                     T* mixed, int threads) {                                                        \
        shift_mix<T>(sequences, tokens, width, offsets, normed, carried, mixes, ratios, mixed, threads);             \
    }                                                                                                                \
    extern "C" void square_##NAME(int64_t count, T* x, int threads) { square<T>(count, x, threads); }                \
    extern "C" void time_mix_fused_##NAME(int64_t sequences, int64_t heads, const int64_t* offsets, const T* r,      \
                                          const T* k, const T* v, int64_t value_stride, const T* decay,              \
                                          const T* rate, const T* value_gate, const T* gate, T* first_value,         \
                                          const float* vectors, T* y, float* states, int threads) {                  \
        Projected<T> in{r, k, v, decay, rate, value_gate, gate, value_stride, first_value};                          \
        time_mix<T>(sequences, heads, offsets, in, Vectors(vectors, heads* N), y, states, threads);                  \
    }

FUSED(float32, float)
FUSED(bfloat16, bfloat16)
