// What inference fuses around the matrix products of a layer: norms, token shifts, and the whole time mix between
// its projections. T is the type of the products, float32 or bfloat16; the residual stream, norms and states are
// float32. The width C is a multiple of 64.

#pragma once

#include <cstring>

#include "gates.h"

namespace {

constexpr int ROWS = 16;  // tokens a thread takes at a time

// Each of so many tokens, on so many threads.
template <class Each>
void each_token(int64_t tokens, int threads, const Each& each) {
    parallel((tokens + ROWS - 1) / ROWS, threads, [&](int64_t block) {
        for (int64_t token = block * ROWS; token < std::min(tokens, (block + 1) * ROWS); token++) each(token);
    });
}

// Mean and reciprocal deviation of a row, as its layer norm wants them; from(column) is LANES of its numbers. Several sums,
// because an addition waits for the one before it.
struct Statistics {
    float mean, scale;

    template <class From>
    Statistics(int64_t width, const From& from) {
        constexpr int SUMS = 4;
        Floats totals[SUMS] = {}, squares[SUMS] = {};
        for (int64_t c = 0; c < width; c += SUMS * LANES)
            for (int s = 0; s < SUMS; s++) totals[s] += from(c + s * LANES);
        mean = sum(totals) / width;
        for (int64_t c = 0; c < width; c += SUMS * LANES)
            for (int s = 0; s < SUMS; s++) {
                Floats centred = from(c + s * LANES) - mean;
                squares[s] += centred * centred;
            }
        scale = 1.f / std::sqrt(sum(squares) / width + 1e-5f);
    }
};

// to = layer norm of numbers.
inline void norm(int64_t width, const float* from, const float* weight, const float* bias, float* to) {
    Statistics row(width, [&](int64_t c) { return load(from + c); });
    for (int64_t c = 0; c < width; c += LANES)
        store(to + c, (load(from + c) - row.mean) * row.scale * load(weight + c) + load(bias + c));
}

// The normed token before each one in its sequence, `carried` (B, C) before the first ones.
inline std::vector<const float*> predecessors(int64_t sequences, int64_t tokens, int64_t width, const int64_t* offsets,
                                              const float* normed, const float* carried) {
    std::vector<const float*> before(tokens);
    for (int64_t token = 1; token < tokens; token++) before[token] = normed + (token - 1) * width;
    for (int64_t s = 0; s < sequences; s++)
        if (offsets[s] < offsets[s + 1]) before[offsets[s]] = carried + s * width;
    return before;
}

// `carried` becomes each sequence's last token.
inline void carry(int64_t sequences, int64_t width, const int64_t* offsets, const float* normed, float* carried) {
    for (int64_t s = 0; s < sequences; s++)
        if (offsets[s] < offsets[s + 1])
            memcpy(carried + s * width, normed + (offsets[s + 1] - 1) * width, sizeof(float) * width);
}

// mixed[m] = now + (before - now) * ratios[m], where `before` is the token before, or `carried` for a first one;
// then `carried` (B, C) becomes each sequence's last token.
template <class T>
void shift_mix(int64_t sequences, int64_t tokens, int64_t width, const int64_t* offsets, const float* normed,
               float* carried, int64_t mixes, const float* ratios, T* mixed, int threads) {
    std::vector<const float*> before = predecessors(sequences, tokens, width, offsets, normed, carried);
    each_token(tokens, threads, [&](int64_t token) {
        for (int64_t m = 0; m < mixes; m++) {
            T* to = mixed + (m * tokens + token) * width;
            for (int64_t c = 0; c < width; c += LANES) {
                Floats now = load(normed + token * width + c);
                store(to + c, now + (load(before[token] + c) - now) * load(ratios + m * width + c));
            }
        }
    });
    carry(sequences, width, offsets, normed, carried);
}

// Some heads of a layer.
struct Heads {
    int64_t first, count;
};

// The states of a layer's sequences, (B, H, N, N), or null: then all begin at zero and are forgotten, but for that of the first
// one if it began before (`entering`), and of the last one if it goes on (`leaving`).
struct States {
    float *all, *entering, *leaving;
    int64_t sequences, heads;

    const float* before(int64_t sequence, int64_t head) const {
        return all ? at(all, sequence, head) : at(sequence ? nullptr : entering, 0, head);
    }
    float* after(int64_t sequence, int64_t head) const {
        return all ? at(all, sequence, head) : at(sequence + 1 < sequences ? nullptr : leaving, 0, head);
    }

private:
    float* at(float* first, int64_t sequence, int64_t head) const {
        return first ? first + (sequence * heads + head) * N * N : nullptr;
    }
};

// What the time mix knows of one head of one sequence. The first layer, which has no value gate, writes `first_value`.
template <class T>
struct Head {
    const Projected<T>& in;
    const Vectors& layer;
    T* first_value;
    Span span;
    int64_t channel;
};

// So many tokens of a head, at most STEPS, one after the other; take(token, channel, numbers) takes LANES of what they make.
template <class T, class Take>
void mix_steps(const Head<T>& head, int64_t token, int count, HeadState& state, const Take& take) {
    Tokens tokens;
    float bonus[STEPS];
    for (int step = 0; step < count; step++) {
        int64_t at = head.span.at(token + step);
        bonus[step] = prepare(tokens.ready(step), head.in, head.layer, at, head.channel);
        if (head.in.value_gate) continue;
        for (int c = 0; c < N; c += LANES) store(head.first_value + at + c, load(tokens.v[step] + c));
    }
    advance(state, tokens, count);
    for (int step = 0; step < count; step++)
        finish(tokens.y[step], tokens.v[step], bonus[step], head.layer, head.in.gate + head.span.at(token + step), head.channel,
               [&](int c, Floats x) { take(token + step, head.channel + c, x); });
}

// All tokens of a head that way.
template <class T, class Take>
void mix_singly(const Head<T>& head, HeadState& state, const Take& take) {
    for (int64_t token = head.span.begin; token < head.span.end; token += STEPS)
        mix_steps(head, token, static_cast<int>(std::min<int64_t>(STEPS, head.span.end - token)), state, take);
}

// mix(head, state) takes each of these heads of each sequence through its tokens. Projections are (T, C) of all heads, or
// with `blocks` of so many tokens, blocked and of these heads alone.
template <class T, class Mix>
void time_mix(int64_t sequences, const Heads& heads, const int64_t* offsets, const Projected<T>& in, const Vectors& layer,
              T* first_value, const States& states, int64_t blocks, int threads, const Mix& mix) {
    parallel(sequences * heads.count, threads, [&](int64_t pair) {
        Span span = span_of(offsets, heads.count, pair);
        if (blocks) span = blocked(span, blocks);
        if (span.begin == span.end) return;
        HeadState state;
        int64_t sequence = pair / heads.count, head = heads.first + span.head;
        if (const float* before = states.before(sequence, head)) state.read(before);
        else state.clear();
        mix(Head<T>{in, layer, first_value, span, head * N}, state);
        if (float* after = states.after(sequence, head)) state.write(after);
    });
}

}  // namespace
