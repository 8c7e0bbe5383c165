// The recurrence for training, forward and backward: plain C symbols that `compiled.py` calls.

#include <cstring>

#include "recurrence.h"

namespace {

template <class T>
struct Inputs {
    const T *r, *w, *k, *v, *a, *b;
};

template <class T>
void prepare(Tokens& tokens, const Inputs<T>& in, int64_t at, int step) {
    for (int c = 0; c < N; c += LANES) {
        store(tokens.r[step] + c, load(in.r + at + c));
        store(tokens.decay[step] + c, exponential(DECAY_SCALE * sigmoid(load(in.w + at + c))));
        store(tokens.k[step] + c, load(in.k + at + c));
        store(tokens.v[step] + c, load(in.v + at + c));
        store(tokens.a[step] + c, load(in.a + at + c));
        store(tokens.b[step] + c, load(in.b + at + c));
    }
}

template <class T>
void forward(int64_t sequences, int64_t heads, const int64_t* offsets, Inputs<T> in, const float* before, T* y,
             float* removed, float* after, int threads) {
    parallel(sequences * heads, threads, [&](int64_t pair) {
        Span span = span_of(offsets, heads, pair);
        HeadState state;
        Tokens tokens;
        state.read(before + pair * N * N);
        for (int64_t token = span.begin; token < span.end; token += STEPS) {
            int count = static_cast<int>(std::min<int64_t>(STEPS, span.end - token));
            for (int step = 0; step < count; step++) prepare(tokens, in, span.at(token + step), step);
            advance(state, tokens, count);
            for (int step = 0; step < count; step++) {
                for (int c = 0; c < N; c += LANES) store(y + span.at(token + step) + c, load(tokens.y[step] + c));
                if (removed) memcpy(removed + span.at(token + step), tokens.removed[step], sizeof(float) * N);
            }
        }
        state.write(after + pair * N * N);
    });
}

constexpr int CHUNK = 16;  // tokens whose states are recomputed together: 17 states of 16 KiB stay in the second cache
constexpr int CELLS = N * N;

template <class T>
struct Gradients {
    T *r, *w, *k, *v, *a, *b;
};

// One token in the backward pass, in float32.
struct alignas(64) Moment {
    float r[N], decay[N], k[N], v[N], a[N], b[N], slope[N];  // slope: of the decay by w
    float y[N], removed[N], to_removed[N];                     // gradients of y and of `removed`; S_{t-1} a_t

    template <class T>
    void read(const Inputs<T>& in, const float* before, int64_t at) {
        for (int c = 0; c < N; c += LANES) {
            Floats gate = sigmoid(load(in.w + at + c));
            Floats fading = exponential(DECAY_SCALE * gate);
            store(decay + c, fading);
            store(slope + c, fading * DECAY_SCALE * gate * (1.f - gate));
            store(r + c, load(in.r + at + c));
            store(k + c, load(in.k + at + c));
            store(v + c, load(in.v + at + c));
            store(a + c, load(in.a + at + c));
            store(b + c, load(in.b + at + c));
            store(removed + c, load(before + at + c));
        }
    }
};

// States here are [value][key], as they come and go.
void replay(const Moment& now, const float* from, float* to) {
    for (int value = 0; value < N; value++) {
        float v = now.v[value], removed = now.removed[value];
        for (int c = 0; c < N; c += LANES) {
            Floats cell = load(from + value * N + c) * load(now.decay + c);
            store(to + value * N + c, cell + load(now.b + c) * removed + load(now.k + c) * v);
        }
    }
}

// Adds this token's reading to the state's gradient; yields the gradients of v and of `removed`.
void gather(Moment& now, float* gradient, float* to_v) {
    for (int value = 0; value < N; value++) {
        Floats by_k = {}, by_b = {};
        for (int c = 0; c < N; c += LANES) {
            Floats cell = load(gradient + value * N + c) + load(now.r + c) * now.y[value];
            store(gradient + value * N + c, cell);
            by_k += cell * load(now.k + c);
            by_b += cell * load(now.b + c);
        }
        to_v[value] = sum(by_k);
        now.to_removed[value] = sum(by_b);
    }
}

constexpr int KEYS = 2;  // vectors of keys whose five sums fit in the registers

// Gradients of what belongs to a few keys, then the state's gradient one token earlier.
template <class T>
void spread(const Moment& now, const float* before, const float* after, float* gradient, const Gradients<T>& out,
            int64_t at, int first) {
    Floats r[KEYS] = {}, decay[KEYS] = {}, k[KEYS] = {}, a[KEYS] = {}, b[KEYS] = {};
    for (int value = 0; value < N; value++) {
        float y = now.y[value], v = now.v[value], removed = now.removed[value], to_removed = now.to_removed[value];
#pragma GCC unroll 2
        for (int g = 0; g < KEYS; g++) {
            int64_t cell = value * N + first + g * LANES;
            Floats slope = load(gradient + cell), old = load(before + cell);
            r[g] += load(after + cell) * y;
            decay[g] += slope * old;
            k[g] += slope * v;
            b[g] += slope * removed;
            a[g] += old * to_removed;
            store(gradient + cell, slope * load(now.decay + first + g * LANES) + load(now.a + first + g * LANES) * to_removed);
        }
    }
    for (int g = 0; g < KEYS; g++) {
        int c = first + g * LANES;
        store(out.r + at + c, r[g]);
        store(out.w + at + c, decay[g] * load(now.slope + c));
        store(out.k + at + c, k[g]);
        store(out.a + at + c, a[g]);
        store(out.b + at + c, b[g]);
    }
}

// Kept from call to call by each thread: fresh memory costs more than filling it.
struct Scratch {
    std::vector<float> entries;  // the state before each chunk
    std::vector<float> states = std::vector<float>((CHUNK + 1) * CELLS);  // before each token of a chunk, and the last
    std::vector<Moment> moments = std::vector<Moment>(CHUNK);

    static Scratch& of_this_thread(int64_t chunks) {
        static thread_local Scratch scratch;
        if (static_cast<int64_t>(scratch.entries.size()) < (chunks + 1) * CELLS) scratch.entries.resize((chunks + 1) * CELLS);
        return scratch;
    }
};

template <class T>
void chunk_states(Scratch& scratch, const Inputs<T>& in, const float* removed, const Span& span, int64_t begin, int count,
                  const float* entry) {
    memcpy(scratch.states.data(), entry, sizeof(float) * CELLS);
    for (int step = 0; step < count; step++) {
        scratch.moments[step].read(in, removed, span.at(begin + step));
        float* from = scratch.states.data() + step * CELLS;
        replay(scratch.moments[step], from, from + CELLS);
    }
}

template <class T>
void backward_head(Span span, const Inputs<T>& in, const float* before, const float* removed, const T* to_y,
                   const float* to_after, const Gradients<T>& out, float* to_before) {
    int64_t chunks = (span.end - span.begin + CHUNK - 1) / CHUNK;
    Scratch& scratch = Scratch::of_this_thread(chunks);
    memcpy(scratch.entries.data(), before, sizeof(float) * CELLS);
    for (int64_t chunk = 0; chunk + 1 < chunks; chunk++) {
        float* entry = scratch.entries.data() + chunk * CELLS;
        chunk_states(scratch, in, removed, span, span.begin + chunk * CHUNK, CHUNK, entry);
        memcpy(entry + CELLS, scratch.states.data() + CHUNK * CELLS, sizeof(float) * CELLS);
    }
    memcpy(to_before, to_after, sizeof(float) * CELLS);
    for (int64_t chunk = chunks - 1; chunk >= 0; chunk--) {
        int64_t begin = span.begin + chunk * CHUNK;
        int count = static_cast<int>(std::min<int64_t>(CHUNK, span.end - begin));
        chunk_states(scratch, in, removed, span, begin, count, scratch.entries.data() + chunk * CELLS);
        for (int step = count - 1; step >= 0; step--) {
            Moment& now = scratch.moments[step];
            const float* old = scratch.states.data() + step * CELLS;
            int64_t at = span.at(begin + step);
            alignas(64) float to_v[N];
            for (int c = 0; c < N; c += LANES) store(now.y + c, load(to_y + at + c));
            gather(now, to_before, to_v);
            for (int first = 0; first < N; first += KEYS * LANES) spread(now, old, old + CELLS, to_before, out, at, first);
            for (int c = 0; c < N; c += LANES) store(out.v + at + c, load(to_v + c));
        }
    }
}

template <class T>
void backward(int64_t sequences, int64_t heads, const int64_t* offsets, Inputs<T> in, const float* before,
              const float* removed, const T* to_y, const float* to_after, Gradients<T> out, float* to_before, int threads) {
    parallel(sequences * heads, threads, [&](int64_t pair) {
        int64_t at = pair * CELLS;
        backward_head(span_of(offsets, heads, pair), in, before + at, removed, to_y, to_after + at, out, to_before + at);
    });
}

}  // namespace

#define TIME_MIX(NAME, T)                                                                                           \
    extern "C" void time_mix_forward_##NAME(int64_t sequences, int64_t heads, const int64_t* offsets, const T* r,   \
                                            const T* w, const T* k, const T* v, const T* a, const T* b,             \
                                            const float* before, T* y, float* removed, float* after, int threads) { \
        forward<T>(sequences, heads, offsets, {r, w, k, v, a, b}, before, y, removed, after, threads);              \
    }                                                                                                               \
    extern "C" void time_mix_backward_##NAME(                                                                       \
        int64_t sequences, int64_t heads, const int64_t* offsets, const T* r, const T* w, const T* k, const T* v,   \
        const T* a, const T* b, const float* before, const float* removed, const T* to_y, const float* to_after,    \
        T* to_r, T* to_w, T* to_k, T* to_v, T* to_a, T* to_b, float* to_before, int threads) {                      \
        backward<T>(sequences, heads, offsets, {r, w, k, v, a, b}, before, removed, to_y, to_after,                 \
                    {to_r, to_w, to_k, to_v, to_a, to_b}, to_before, threads);                                      \
    }

TIME_MIX(float32, float)
TIME_MIX(bfloat16, bfloat16)
