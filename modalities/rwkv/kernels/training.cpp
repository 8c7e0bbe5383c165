// The recurrence for training, forward and backward: plain C symbols that `compiled.py` calls.

#include "backward.h"

namespace {

template <class T>
struct Inputs {
    const T *r, *w, *k, *v, *a, *b;
};

template <class T>
void prepare(Tokens& tokens, const Inputs<T>& in, int64_t at, int step) {
    for (int c = 0; c < N; c += LANES) {
        store(tokens.r[step] + c, load(in.r + at + c));
        store(tokens.decay[step] + c, decay_of(sigmoid(load(in.w + at + c))));
        store(tokens.k[step] + c, load(in.k + at + c));
        store(tokens.v[step] + c, load(in.v + at + c));
        store(tokens.a[step] + c, load(in.a + at + c));
        store(tokens.b[step] + c, load(in.b + at + c));
    }
}

// `entries` (chunks, H, N, N) and `removed` (T, H, N) are for the backward pass; both null where there will be none.
template <class T>
void forward(int64_t sequences, int64_t heads, const int64_t* offsets, Inputs<T> in, const float* before, T* y,
             float* removed, float* entries, float* after, int threads) {
    std::vector<int64_t> first = first_chunks(sequences, offsets);
    parallel(sequences * heads, threads, [&](int64_t pair) {
        Span span = span_of(offsets, heads, pair);
        HeadState state;
        Tokens tokens;
        state.read(before + pair * CELLS);
        for (int64_t token = span.begin; token < span.end; token += STEPS) {
            int64_t done = token - span.begin;
            if (entries && done % CHUNK == 0)
                state.write(entries + ((first[pair / heads] + done / CHUNK) * heads + span.head) * CELLS);
            int count = static_cast<int>(std::min<int64_t>(STEPS, span.end - token));
            for (int step = 0; step < count; step++) prepare(tokens, in, span.at(token + step), step);
            advance(state, tokens, count);
            for (int step = 0; step < count; step++) {
                for (int c = 0; c < N; c += LANES) store(y + span.at(token + step) + c, load(tokens.y[step] + c));
                if (removed) memcpy(removed + span.at(token + step), tokens.removed[step], sizeof(float) * N);
            }
        }
        state.write(after + pair * CELLS);
    });
}

template <class T>
struct Gradients {
    T *r, *w, *k, *v, *a, *b;
};

template <class T>
void read(Moment& now, const Inputs<T>& in, const float* removed, const T* to_y, int64_t at) {
    for (int c = 0; c < N; c += LANES) {
        store(now.r + c, load(in.r + at + c));
        store(now.decay + c, decay_of(sigmoid(load(in.w + at + c))));
        store(now.k + c, load(in.k + at + c));
        store(now.v + c, load(in.v + at + c));
        store(now.a + c, load(in.a + at + c));
        store(now.b + c, load(in.b + at + c));
        store(now.removed + c, load(removed + at + c));
        store(now.to_y + c, load(to_y + at + c));
    }
}

template <class T>
void write(const Moment& now, const Inputs<T>& in, const Gradients<T>& out, int64_t at) {
    for (int c = 0; c < N; c += LANES) {
        Floats gate = sigmoid(load(in.w + at + c));
        store(out.r + at + c, load(now.to_r + c));
        store(out.w + at + c, load(now.to_decay + c) * load(now.decay + c) * DECAY_SCALE * gate * (1.f - gate));
        store(out.k + at + c, load(now.to_k + c));
        store(out.v + at + c, load(now.to_v + c));
        store(out.a + at + c, load(now.to_a + c));
        store(out.b + at + c, load(now.to_b + c));
    }
}

template <class T>
void backward(int64_t sequences, int64_t heads, const int64_t* offsets, Inputs<T> in, const float* removed,
              const float* entries, const T* to_y, const float* to_after, Gradients<T> out, float* to_before, int threads) {
    std::vector<int64_t> first = first_chunks(sequences, offsets);
    parallel(sequences * heads, threads, [&](int64_t pair) {
        Span span = span_of(offsets, heads, pair);
        Moment moments[CHUNK];
        float* gradient = to_before + pair * CELLS;
        memcpy(gradient, to_after + pair * CELLS, sizeof(float) * CELLS);
        for (int64_t chunk = first[pair / heads + 1] - first[pair / heads] - 1; chunk >= 0; chunk--) {
            int64_t begin = span.begin + chunk * CHUNK;
            int count = static_cast<int>(std::min<int64_t>(CHUNK, span.end - begin));
            for (int step = 0; step < count; step++) read(moments[step], in, removed, to_y, span.at(begin + step));
            backward_chunk(moments, count, entries + ((first[pair / heads] + chunk) * heads + span.head) * CELLS, gradient);
            for (int step = 0; step < count; step++) write(moments[step], in, out, span.at(begin + step));
        }
    });
}

}  // namespace

#define TIME_MIX(NAME, T)                                                                                             \
    extern "C" void time_mix_forward_##NAME(int64_t sequences, int64_t heads, const int64_t* offsets, const T* r,     \
                                            const T* w, const T* k, const T* v, const T* a, const T* b,               \
                                            const float* before, T* y, float* removed, float* entries, float* after,  \
                                            int threads) {                                                            \
        forward<T>(sequences, heads, offsets, {r, w, k, v, a, b}, before, y, removed, entries, after, threads);       \
    }                                                                                                                 \
    extern "C" void time_mix_backward_##NAME(                                                                         \
        int64_t sequences, int64_t heads, const int64_t* offsets, const T* r, const T* w, const T* k, const T* v,     \
        const T* a, const T* b, const float* removed, const float* entries, const T* to_y, const float* to_after,     \
        T* to_r, T* to_w, T* to_k, T* to_v, T* to_a, T* to_b, float* to_before, int threads) {                        \
        backward<T>(sequences, heads, offsets, {r, w, k, v, a, b}, removed, entries, to_y, to_after,                  \
                    {to_r, to_w, to_k, to_v, to_a, to_b}, to_before, threads);                                        \
    }

TIME_MIX(float32, float)
TIME_MIX(bfloat16, bfloat16)
