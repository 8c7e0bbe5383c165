// Plain C symbols of `inference.h` that `engine.py` and `steps.py` call.

#include "inference.h"

#define FUSED(NAME, T)                                                                                               \
    extern "C" void add_norm_##NAME(int64_t tokens, int64_t width, float* stream, const T* added,                    \
                                    const float* weight, const float* bias, float* normed, int threads) {            \
        each_token(tokens, threads, [&](int64_t token) {                                                             \
            float* x = stream + token * width;                                                                       \
            for (int64_t c = 0; c < width; c += LANES) store(x + c, load(x + c) + load(added + token * width + c));  \
            norm(width, x, weight, bias, normed + token * width);                                                    \
        });                                                                                                          \
    }                                                                                                                \
    extern "C" void shift_mix_##NAME(int64_t sequences, int64_t tokens, int64_t width, const int64_t* offsets,       \
                                     const float* normed, float* carried, int64_t mixes, const float* ratios,        \
                                     T* mixed, int threads) {                                                        \
        shift_mix<T>(sequences, tokens, width, offsets, normed, carried, mixes, ratios, mixed, threads);             \
    }                                                                                                                \
    extern "C" void time_mix_fused_##NAME(int64_t sequences, int64_t heads, const int64_t* offsets, const T* r,      \
                                          const T* k, const T* v, const T* decay,                                    \
                                          const T* rate, const T* value_gate, const T* gate, T* first_value,         \
                                          const float* vectors, T* y, float* states, int threads) {                  \
        Projected<T> in{r, k, v, decay, rate, value_gate, gate, first_value};                                        \
        auto take = [=](int64_t token, int64_t channel, Floats x) { store(y + token * heads * N + channel, x); };     \
        time_mix<T>(sequences, {0, heads}, offsets, in, Vectors(vectors, heads* N), first_value,                     \
                    {states, nullptr, nullptr, sequences, heads}, 0, threads, [&](const Head<T>& head, HeadState& state) { mix_singly(head, state, take); });         \
    }

FUSED(float32, float)
FUSED(bfloat16, bfloat16)
