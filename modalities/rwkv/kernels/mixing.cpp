// What stands before a layer's products in training, forward and backward: the residual sum, its layer norm and the
// mixtures of each token with the one before it; and the squared ReLU, for inference too. Plain C symbols.
// T is the type of the products, float32 or bfloat16; the residual stream and norms are float32.

#include <cmath>
#include <cstring>

#include "vectors.h"

namespace {

struct Norm {
    int64_t width;
    const float *weight, *bias;

    // Mean and reciprocal deviation of one row.
    void measure(const float* x, float* statistics) const {
        Floats total = {}, squares = {};
        for (int64_t c = 0; c < width; c += LANES) total += load(x + c);
        float mean = sum(total) / width;
        for (int64_t c = 0; c < width; c += LANES) {
            Floats centred = load(x + c) - mean;
            squares += centred * centred;
        }
        statistics[0] = mean;
        statistics[1] = 1.f / std::sqrt(sum(squares) / width + 1e-5f);
    }
    void apply(const float* x, const float* statistics, float* to) const {
        for (int64_t c = 0; c < width; c += LANES)
            store(to + c, (load(x + c) - statistics[0]) * statistics[1] * load(weight + c) + load(bias + c));
    }
};

// M mixtures, each with its ratios (C) and a matrix (T, C) of its own.
template <class T>
struct Mixtures {
    int64_t count;
    const float* ratios;
    T* const* matrices;
};

// total = stream + added, which may be null; statistics (T, 2) of its rows; mixed[m] = now + (before - now) * ratios[m], where `before` is
// the normed token before, or `carried` for a first one; `last` (B, C) takes each sequence's last normed token.
template <class T>
void forward(int64_t sequences, const int64_t* offsets, const Norm& norm, const float* stream, const T* added,
             const float* carried, const Mixtures<T>& mixtures, float* total, float* statistics, float* last, int threads) {
    int64_t width = norm.width;
    parallel(sequences, threads, [&](int64_t s) {
        std::vector<float> rows(2 * width);
        float *before = rows.data(), *now = before + width;
        memcpy(before, carried + s * width, sizeof(float) * width);
        for (int64_t token = offsets[s]; token < offsets[s + 1]; token++) {
            float* x = total + token * width;
            for (int64_t c = 0; c < width; c += LANES) {
                Floats own = load(stream + token * width + c);
                store(x + c, added ? own + load(added + token * width + c) : own);
            }
            norm.measure(x, statistics + 2 * token);
            norm.apply(x, statistics + 2 * token, now);
            for (int64_t c = 0; c < width; c += LANES) {
                Floats own = load(now + c), difference = load(before + c) - own;
                for (int64_t m = 0; m < mixtures.count; m++)
                    store(mixtures.matrices[m] + token * width + c, own + difference * load(mixtures.ratios + m * width + c));
            }
            std::swap(before, now);
        }
        memcpy(last + s * width, before, sizeof(float) * width);
    });
}

// Sums over tokens, (M + 2, C): gradients of the ratios, of the norm's weight and of its bias.
struct Sums {
    float *ratios, *weight, *bias;
};

// One token: from the gradients of its mixtures, and of the mixtures of the one after it (`behind`), to that of x.
template <class T>
struct Undo {
    const Norm& norm;
    const Mixtures<const T>& mixtures;
    Sums sums;

    // `behind` comes as what the token after says of this one, and leaves as what this one says of the one before.
    void mix(int64_t token, const float* now, const float* before, float* behind, float* to_normed) const {
        for (int64_t c = 0; c < norm.width; c += LANES) {
            Floats all = {}, shifted = {}, difference = load(before + c) - load(now + c);
            for (int64_t m = 0; m < mixtures.count; m++) {
                float* to_ratio = sums.ratios + m * norm.width + c;
                Floats slope = load(mixtures.matrices[m] + token * norm.width + c);
                all += slope;
                shifted += slope * load(mixtures.ratios + m * norm.width + c);
                store(to_ratio, load(to_ratio) + slope * difference);
            }
            store(to_normed + c, all - shifted + load(behind + c));
            store(behind + c, shifted);
        }
    }
    void unnorm(const float* x, const float* statistics, const float* to_normed, const float* to_total, float* to_x) const {
        Floats total = {}, along = {};
        for (int64_t c = 0; c < norm.width; c += LANES) {
            Floats slope = load(to_normed + c), centred = (load(x + c) - statistics[0]) * statistics[1];
            store(sums.weight + c, load(sums.weight + c) + slope * centred);
            store(sums.bias + c, load(sums.bias + c) + slope);
            slope *= load(norm.weight + c);
            total += slope;
            along += slope * centred;
        }
        float mean = sum(total) / norm.width, tilt = sum(along) / norm.width;
        for (int64_t c = 0; c < norm.width; c += LANES) {
            Floats centred = (load(x + c) - statistics[0]) * statistics[1];
            Floats slope = load(to_normed + c) * load(norm.weight + c) - mean - centred * tilt;
            store(to_x + c, slope * statistics[1] + load(to_total + c));
        }
    }
};

// `to_last` (B, C) may be null. `to_sums` (threads, M + 2, C) begins as zeros; so many parts of the sequences are done.
template <class T>
void backward(int64_t sequences, const int64_t* offsets, const Norm& norm, const float* x, const float* statistics,
              const float* carried, const Mixtures<const T>& to_mixed, const float* to_total, const float* to_last,
              float* to_x, float* to_carried, float* to_sums, int threads) {
    int64_t width = norm.width, size = (to_mixed.count + 2) * width;
    parallel(threads, threads, [&](int64_t part) {
        float* own = to_sums + part * size;
        Undo<T> undo{norm, to_mixed, {own, own + to_mixed.count * width, own + (to_mixed.count + 1) * width}};
        std::vector<float> rows(4 * width);
        float *now = rows.data(), *before = now + width, *to_normed = before + width, *behind = to_normed + width;
        for (int64_t s = sequences * part / threads; s < sequences * (part + 1) / threads; s++) {
            for (int64_t c = 0; c < width; c++) behind[c] = to_last ? to_last[s * width + c] : 0.f;
            int64_t end = offsets[s + 1] - 1;
            if (end >= offsets[s]) norm.apply(x + end * width, statistics + 2 * end, now);
            for (int64_t token = end; token >= offsets[s]; token--) {
                if (token > offsets[s])
                    norm.apply(x + (token - 1) * width, statistics + 2 * (token - 1), before);
                else
                    memcpy(before, carried + s * width, sizeof(float) * width);
                undo.mix(token, now, before, behind, to_normed);
                int64_t at = token * width;
                undo.unnorm(x + at, statistics + 2 * token, to_normed, to_total + at, to_x + at);
                std::swap(now, before);
            }
            memcpy(to_carried + s * width, behind, sizeof(float) * width);
        }
    });
}

// y = relu(x) squared, or with the gradient of y, x's.
template <class T>
void square(int64_t count, const T* x, const T* to_y, T* out, int threads) {
    constexpr int64_t PIECE = 4096;
    parallel((count + PIECE - 1) / PIECE, threads, [&](int64_t piece) {
        for (int64_t i = piece * PIECE; i < std::min(count, (piece + 1) * PIECE); i += LANES) {
            Floats now = load(x + i);
            now = now < 0.f ? Floats{} : now;  // what is not a number stays so
            store(out + i, to_y ? 2.f * now * load(to_y + i) : now * now);
        }
    });
}

}  // namespace

#define MIXING(NAME, T)                                                                                                \
    extern "C" void mix_forward_##NAME(int64_t sequences, int64_t width, int64_t mixes, const int64_t* offsets,        \
                                       const float* stream, const T* added, const float* weight, const float* bias,    \
                                       const float* ratios, const float* carried, float* total, float* statistics,     \
                                       float* last, T* const* mixed, int threads) {                                    \
        forward<T>(sequences, offsets, {width, weight, bias}, stream, added, carried, {mixes, ratios, mixed}, total,   \
                   statistics, last, threads);                                                                         \
    }                                                                                                                  \
    extern "C" void mix_backward_##NAME(int64_t sequences, int64_t width, int64_t mixes, const int64_t* offsets,       \
                                        const float* x, const float* statistics, const float* weight,                  \
                                        const float* bias, const float* ratios, const float* carried,                  \
                                        const T* const* to_mixed, const float* to_total, const float* to_last,         \
                                        float* to_x, float* to_carried, float* to_sums, int threads) {                 \
        backward<T>(sequences, offsets, {width, weight, bias}, x, statistics, carried, {mixes, ratios, to_mixed},      \
                    to_total, to_last, to_x, to_carried, to_sums, threads);                                            \
    }                                                                                                                  \
    extern "C" void squared_relu_##NAME(int64_t count, const T* x, const T* to_y, T* out, int threads) {               \
        square<T>(count, x, to_y, out, threads);                                                                       \
    }

MIXING(float32, float)
MIXING(bfloat16, bfloat16)
