// The whole time mix between its projections for training, forward and backward: plain C symbols that `fused.py`
// calls. `inference.cpp` has the forward pass that keeps nothing.

#include <initializer_list>

#include "backward.h"
#include "gates.h"

namespace {

// Asks for a token's vectors before they are needed: rows of C floats are too far apart for the processor to guess.
template <class T>
void fetch(std::initializer_list<const T*> matrices, int64_t at) {
    constexpr int LINE = 64 / sizeof(T);
    for (const T* matrix : matrices)
        if (matrix)
            for (int c = 0; c < N; c += LINE) __builtin_prefetch(matrix + at + c);
}

// What the forward pass keeps for the backward pass: (T, C) each, and the states before the chunks.
struct Kept {
    float *y, *removed, *entries;
};

template <class T>
void forward(int64_t sequences, int64_t heads, const int64_t* offsets, const Projected<T>& in, const Vectors& layer,
             const float* before, T* out, const Kept& kept, float* after, int threads) {
    std::vector<int64_t> first = first_chunks(sequences, offsets);
    parallel(sequences * heads, threads, [&](int64_t pair) {
        Span span = span_of(offsets, heads, pair);
        HeadState state;
        Tokens tokens;
        float bonus[STEPS];
        int64_t channel = span.head * N;
        state.read(before + pair * CELLS);
        for (int64_t token = span.begin; token < span.end; token += STEPS) {
            int64_t done = token - span.begin;
            if (done % CHUNK == 0)
                state.write(kept.entries + ((first[pair / heads] + done / CHUNK) * heads + span.head) * CELLS);
            int count = static_cast<int>(std::min<int64_t>(STEPS, span.end - token));
            for (int step = 0; step < count; step++)
                bonus[step] = prepare(tokens.ready(step), in, layer, span.at(token + step), channel);
            for (int64_t next = token + STEPS; next < std::min(span.end, token + 2 * STEPS); next++)
                fetch({in.r, in.k, in.v, in.decay, in.rate, in.gate, in.value_gate, in.first_value}, span.at(next));
            advance(state, tokens, count);
            for (int step = 0; step < count; step++) {
                int64_t at = span.at(token + step);
                finish(tokens.y[step], tokens.v[step], bonus[step], layer, in.gate + at, channel,
                       [=](int c, Floats x) { store(out + at + c, x); });
                memcpy(kept.y + at, tokens.y[step], sizeof(float) * N);
                memcpy(kept.removed + at, tokens.removed[step], sizeof(float) * N);
            }
        }
        state.write(after + pair * CELLS);
    });
}

template <class T>
struct Gradients {
    T *r, *k, *v, *decay, *rate, *value_gate, *gate, *first_value;  // (T, C) each; two null in the first layer
};

// Gradients of the layer's vectors, for one sequence.
struct VectorGradients {
    float *w0, *a0, *v0, *k_k, *k_a, *r_k, *norm_weight, *norm_bias;

    VectorGradients(float* packed, int64_t width)
        : w0(packed), a0(packed + width), v0(packed + 2 * width), k_k(packed + 3 * width), k_a(packed + 4 * width),
          r_k(packed + 5 * width), norm_weight(packed + 6 * width), norm_bias(packed + 7 * width) {}
};

inline void add(float* to, Floats x) { store(to, load(to) + x); }

// What leads past the state, of one token.
struct Bonus {
    float value, gradient;
    float to_sum[N];  // gradient of the sum of the normed head and the bonus
};

// `finish` backwards: the gradients of the output gate, the norm and the bonus, and `to_y` of the recurrence.
template <class T>
void unfinish(Moment& now, Bonus& bonus, const float* y, const Vectors& layer, const T* gate, const T* to_out, T* to_gate,
              const VectorGradients& to, int64_t channel) {
    Moments moments(y);
    Floats along_bonus = {}, total = {}, along = {};
    for (int c = 0; c < N; c += LANES) {
        int64_t own = channel + c;
        Floats centred = (load(y + c) - moments.mean) * moments.scale, arriving = load(to_out + c);
        Floats v = load(now.v + c), weight = load(layer.norm_weight + own);
        store(to_gate + c, arriving * (centred * weight + load(layer.norm_bias + own) + v * bonus.value));
        Floats slope = arriving * load(gate + c);
        store(bonus.to_sum + c, slope);
        add(to.norm_weight + own, slope * centred);
        add(to.norm_bias + own, slope);
        along_bonus += slope * v;
        total += slope * weight;
        along += slope * weight * centred;
    }
    bonus.gradient = sum(along_bonus);
    float mean = sum(total) / N, tilt = sum(along) / N;
    for (int c = 0; c < N; c += LANES) {
        Floats centred = (load(y + c) - moments.mean) * moments.scale;
        Floats slope = load(bonus.to_sum + c) * load(layer.norm_weight + channel + c);
        store(now.to_y + c, (slope - mean - centred * tilt) * moments.scale);
    }
}

// `prepare` backwards: from the gradients of what the recurrence takes to those of the projections.
template <class T>
void unprepare(const Moment& now, const Bonus& bonus, const Projected<T> in, const Vectors layer,
               const Gradients<T> out, const VectorGradients to, int64_t at, int64_t channel) {
    Floats length = {}, along = {};
    for (int c = 0; c < N; c += LANES) {
        Floats removal = load(in.k + at + c) * load(layer.k_k + channel + c);
        length += removal * removal;
        along += load(now.a + c) * (load(now.to_a + c) - load(now.to_b + c) * load(now.rate + c));
    }
    float inverse = 1.f / std::max(std::sqrt(sum(length)), 1e-12f), tilt = sum(along);
    for (int c = 0; c < N; c += LANES) {
        int64_t own = channel + c;
        Floats rate = load(now.rate + c), raw = load(in.k + at + c);
        Floats normed = -load(now.a + c), k_a = load(layer.k_a + own), k_k = load(layer.k_k + own);
        Floats r = load(now.r + c), r_k = load(layer.r_k + own), k = load(now.k + c);
        Floats to_k = load(now.to_k + c) + r * r_k * bonus.gradient;
        store(out.r + at + c, load(now.to_r + c) + k * r_k * bonus.gradient);
        add(to.r_k + own, r * k * bonus.gradient);

        Floats to_removal = (load(now.to_b + c) * rate - load(now.to_a + c) - normed * tilt) * inverse;
        Floats to_rate = (load(now.to_b + c) * normed + to_k * raw * k_a) * rate * (1.f - rate);
        store(out.k + at + c, to_k * (1.f + (rate - 1.f) * k_a) + to_removal * k_k);
        store(out.rate + at + c, to_rate);
        add(to.k_k + own, to_removal * raw);
        add(to.k_a + own, to_k * raw * (rate - 1.f));
        add(to.a0 + own, to_rate);

        Floats fading = load(now.fading + c);
        Floats to_decay = load(now.to_decay + c) * load(now.decay + c) * DECAY_SCALE * fading * (1.f - fading);
        store(out.decay + at + c, to_decay);
        add(to.w0 + own, to_decay);

        Floats to_v = load(now.to_v + c) + load(bonus.to_sum + c) * bonus.value;
        if (in.value_gate) {
            Floats gate = load(now.opening + c);
            Floats difference = load(in.first_value + at + c) - load(in.v + at + c);
            Floats to_value_gate = to_v * difference * gate * (1.f - gate);
            store(out.first_value + at + c, to_v * gate);
            store(out.value_gate + at + c, to_value_gate);
            add(to.v0 + own, to_value_gate);
            to_v *= 1.f - gate;
        }
        store(out.v + at + c, to_v);
    }
}

// `to_vectors` (sequences, 8, C) begins as zeros; `to_after` is null where nothing wants the state after.
template <class T>
void backward(int64_t sequences, int64_t heads, const int64_t* offsets, const Projected<T>& in, const Vectors& layer,
              const Kept& kept, const T* to_out, const float* to_after, const Gradients<T>& out, float* to_vectors,
              float* to_before, int threads) {
    std::vector<int64_t> first = first_chunks(sequences, offsets);
    int64_t width = heads * N;
    parallel(sequences * heads, threads, [&](int64_t pair) {
        Span span = span_of(offsets, heads, pair);
        Moment moments[CHUNK];
        Bonus bonus[CHUNK];
        VectorGradients to(to_vectors + pair / heads * Vectors::COUNT * width, width);
        int64_t channel = span.head * N;
        float* gradient = to_before + pair * CELLS;
        if (to_after) memcpy(gradient, to_after + pair * CELLS, sizeof(float) * CELLS);
        else memset(gradient, 0, sizeof(float) * CELLS);
        for (int64_t chunk = first[pair / heads + 1] - first[pair / heads] - 1; chunk >= 0; chunk--) {
            int64_t begin = span.begin + chunk * CHUNK;
            int count = static_cast<int>(std::min<int64_t>(CHUNK, span.end - begin));
            for (int step = 0; step < count; step++) {
                int64_t at = span.at(begin + step);
                bonus[step].value = prepare(moments[step].ready(), in, layer, at, channel);
                memcpy(moments[step].removed, kept.removed + at, sizeof(float) * N);
                unfinish(moments[step], bonus[step], kept.y + at, layer, in.gate + at, to_out + at, out.gate + at, to, channel);
            }
            for (int64_t next = std::max(span.begin, begin - CHUNK); next < begin; next++) {
                fetch({in.r, in.k, in.v, in.decay, in.rate, in.gate, in.value_gate, in.first_value, to_out}, span.at(next));
                fetch<float>({kept.y, kept.removed}, span.at(next));
            }
            backward_chunk(moments, count, kept.entries + ((first[pair / heads] + chunk) * heads + span.head) * CELLS, gradient);
            for (int step = 0; step < count; step++)
                unprepare(moments[step], bonus[step], in, layer, out, to, span.at(begin + step), channel);
        }
    });
}

}  // namespace

#define GATED(NAME, T)                                                                                               \
    extern "C" void gated_forward_##NAME(int64_t sequences, int64_t heads, const int64_t* offsets, const T* r,       \
                                         const T* k, const T* v, const T* decay, const T* rate, const T* gate,       \
                                         const T* value_gate, const T* first_value, const float* vectors,            \
                                         const float* before, T* out, float* y, float* removed, float* entries,      \
                                         float* after, int threads) {                                                \
        Projected<T> in{r, k, v, decay, rate, value_gate, gate, first_value};                             \
        forward<T>(sequences, heads, offsets, in, Vectors(vectors, heads* N), before, out, {y, removed, entries},    \
                   after, threads);                                                                                  \
    }                                                                                                                \
    extern "C" void gated_backward_##NAME(                                                                           \
        int64_t sequences, int64_t heads, const int64_t* offsets, const T* r, const T* k, const T* v,                \
        const T* decay, const T* rate, const T* gate, const T* value_gate, const T* first_value,                     \
        const float* vectors, float* y, float* removed, float* entries, const T* to_out, const float* to_after,      \
        T* to_r, T* to_k, T* to_v, T* to_decay, T* to_rate, T* to_gate, T* to_value_gate, T* to_first_value,         \
        float* to_vectors, float* to_before, int threads) {                                                          \
        Projected<T> in{r, k, v, decay, rate, value_gate, gate, first_value};                             \
        Gradients<T> out{to_r, to_k, to_v, to_decay, to_rate, to_value_gate, to_gate, to_first_value};               \
        backward<T>(sequences, heads, offsets, in, Vectors(vectors, heads* N), {y, removed, entries}, to_out,        \
                    to_after, out, to_vectors, to_before, threads);                                                  \
    }

GATED(float32, float)
GATED(bfloat16, bfloat16)
