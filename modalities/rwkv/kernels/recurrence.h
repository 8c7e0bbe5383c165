// The RWKV-7 (x070) recurrence of one head, a few tokens at a time:
//
//     S_t = S_{t-1} diag(d_t) + (S_{t-1} a_t) b_t' + v_t k_t' ;  y_t = S_t r_t ;  d_t = exp(-exp(-1/2) sigmoid(w_t))
//
// Tokens of all sequences lie end to end; `offsets` (B+1) says where each begins. A token's vectors are H heads of
// N = 64 channels. States are float32, (B, H, N values, N keys), as in the official files.

#pragma once

#include <cstring>

#include "vectors.h"

namespace {

constexpr int STEPS = 8;  // tokens prepared together, so that they and the state stay in the first-level cache
constexpr int CHUNK = 16;  // tokens that tiles take at once, and whose states the backward pass computes again together

// Where the vectors of one token of one head go, N each; the last three are the gates that made b, the decay and v.
struct Ready {
    float *r, *decay, *k, *v, *a, *b, *rate, *fading, *opening;
};

// A few tokens of one head, in float32 and ready for the recurrence, and what it makes of them.
struct alignas(64) Tokens {
    float r[STEPS][N], decay[STEPS][N], k[STEPS][N], v[STEPS][N], a[STEPS][N], b[STEPS][N];
    float y[STEPS][N], removed[STEPS][N];  // removed = S_{t-1} a_t
    float rate[N], fading[N], opening[N];  // of the last one prepared: the forward pass needs them no more

    Ready ready(int step) { return {r[step], decay[step], k[step], v[step], a[step], b[step], rate, fading, opening}; }
};

// The state of one head, values in blocks that fit in registers: [block][key][value in block].
struct alignas(64) HeadState {
    float cells[N / VALUES][N][VALUES];

    void clear() { memset(cells, 0, sizeof cells); }

    // From and to [value][key].
    void read(const float* from) {
        for (int value = 0; value < N; value += LANES)
            for (int key = 0; key < N; key += LANES) {
                Floats rows[LANES];
                for (int lane = 0; lane < LANES; lane++) rows[lane] = load(from + (value + lane) * N + key);
                transpose(rows);
                for (int lane = 0; lane < LANES; lane++)
                    store(&cells[value / VALUES][key + lane][value % VALUES], rows[lane]);
            }
    }
    void write(float* to) const {
        for (int value = 0; value < N; value += LANES)
            for (int key = 0; key < N; key += LANES) {
                Floats rows[LANES];
                for (int lane = 0; lane < LANES; lane++)
                    rows[lane] = load(&cells[value / VALUES][key + lane][value % VALUES]);
                transpose(rows);
                for (int lane = 0; lane < LANES; lane++) store(to + (value + lane) * N + key, rows[lane]);
            }
    }
};

// Rows of values never meet, so a block of them runs through all the tokens before the next block begins.
void advance_block(float (*cells)[VALUES], Tokens& tokens, int count, int first) {
    Floats removed[GROUP] = {};
    for (int key = 0; key < N; key++)
        for (int g = 0; g < GROUP; g++) removed[g] += load(&cells[key][g * LANES]) * tokens.a[0][key];
    for (int step = 0; step < count; step++) {
        const float* next = tokens.a[std::min(step + 1, count - 1)];
        const float *decay = tokens.decay[step], *k = tokens.k[step], *b = tokens.b[step], *r = tokens.r[step];
        Floats v[GROUP], y[GROUP] = {}, coming[GROUP] = {};
        for (int g = 0; g < GROUP; g++) v[g] = load(tokens.v[step] + first + g * LANES);
        for (int key = 0; key < N; key++) {
#pragma GCC unroll 4
            for (int g = 0; g < GROUP; g++) {
                Floats cell = load(&cells[key][g * LANES]) * decay[key] + removed[g] * b[key] + v[g] * k[key];
                store(&cells[key][g * LANES], cell);
                y[g] += cell * r[key];
                coming[g] += cell * next[key];
            }
        }
        for (int g = 0; g < GROUP; g++) {
            store(tokens.y[step] + first + g * LANES, y[g]);
            store(tokens.removed[step] + first + g * LANES, removed[g]);
            removed[g] = coming[g];
        }
    }
}

void advance(HeadState& state, Tokens& tokens, int count) {
    for (int block = 0; block < N / VALUES; block++)
        advance_block(state.cells[block], tokens, count, block * VALUES);
}

// Where the tokens of one head of one sequence lie: as rows of all heads, or (`blocked`) all tokens of a head together.
struct Span {
    int64_t begin, end, head, first, step;
    int64_t at(int64_t token) const { return first + token * step; }
};

inline Span span_of(const int64_t* offsets, int64_t heads, int64_t pair) {
    int64_t head = pair % heads;
    return {offsets[pair / heads], offsets[pair / heads + 1], head, head * N, heads * N};
}

inline Span blocked(Span span, int64_t tokens) { return {span.begin, span.end, span.head, span.head * tokens * N, N}; }

}  // namespace
