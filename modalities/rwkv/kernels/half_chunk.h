// The time mix of one head by tiles (AMX), a chunk of sixteen tokens at a time. What is a pass over the state for each token
// in `recurrence.h` becomes products of matrices. With W_t the product of the chunk's decays up to token t,
//
//     a~_t = W_{t-1} a_t    r~_t = W_t r_t    b~_t = b_t / W_t    k~_t = k_t / W_t
//     u_t  = S_0 a~_t + sum_{s<t} (a~_t · k~_s) v_s + (a~_t · b~_s) u_s
//     y_t  = S_0 r~_t + sum_{s<=t} (r~_t · k~_s) v_s + (r~_t · b~_s) u_s
//     S    = (S_0 + sum_s v_s k~_s' + u_s b~_s') diag(W)
//
// as `chunked.py` has it (arXiv:2406.06484, 2503.14456). No decay is below exp(-0.6065), so 1 / W stays below e^9.8. What
// tiles multiply is rounded to bfloat16; the state and all sums are float32.
//
// a = -q / |q| and b = q / |q| · rate, where q = k · k_k. Here a~ and b~ are made of q, and the u below are u / |q|, so that
// the length is wanted once only: u_t = -1 / |q_t|² (…).

#pragma once

#if defined(__AMX_BF16__)

#include "half.h"
#include "half_gates.h"

namespace {

constexpr int BLOCKS = N / SIDE, PARTS = N / DEPTH;
constexpr int FEWEST = 8;  // tokens from which on a chunk is faster than as many steps

// Two vectors in bfloat16, their numbers in turn: as a right side wants two rows, or a left side two columns.
inline __m512i zip_half(Floats first, Floats second) {
    alignas(64) static constexpr uint16_t ORDER[2 * LANES] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                              8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(ORDER), reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first)));
}

class alignas(64) Chunk {
public:
    // To be called with the state before the first tokens.
    void begin(const HeadState& state) {
        round([&](int key, int value) { return load(state.cells[0][key] + value); });
    }

    // Takes `count` tokens, at most CHUNK, through.
    template <class Take>
    void mix(const Head<float>& head, int64_t token, int count, HeadState& state, const Take& take) {
        for (int c = 0; c < N; c += DEPTH) prepare(head, token, count, c);
        for (int step = count; step < CHUNK; step++) leave_out(step);
        store(shrink, -1.f / Floats(_mm512_max_ps(sums(lengths), splat(1e-24f))));
        store(bonus, sums(bonuses));
        turn();
        score();
        weigh();
        read();
        solve();
        write(state);
        decay(state);
        finish(head, token, count, take);
    }

private:
    enum Of { A, R };    // that ask the state and earlier tokens
    enum From { B, K };  // that are asked
    bfloat16 asking[2][PARTS][CELL];           // a~ and r~: [token][key]
    bfloat16 asked[PARTS][2][CELL];            // b~ and k~: [token][key], until `turn` makes right sides of them
    bfloat16 written[BLOCKS][CELL];            // both, as left sides: [key][token][b, k]
    bfloat16 state_half[PARTS][BLOCKS][CELL];  // the state before, as a right side: [pair of keys][value][2]
    bfloat16 weights[2][CELL];                 // of u and v of earlier tokens: [token][earlier token][u, v]
    bfloat16 values[BLOCKS][CELL];             // u and v: [token][value][u, v]
    float scores[2][2][SIDE][SIDE];            // a~ and r~ with b~ and k~
    float u[CHUNK][N], y[CHUNK][N], v[CHUNK][N];
    float decays[N], shrink[CHUNK], bonus[CHUNK];
    Floats lengths[CHUNK], bonuses[CHUNK];  // sums to be made of each

    // DEPTH channels from c on of all tokens.
    void prepare(const Head<float>& head, int64_t token, int count, int c) {
        Channels low(head, head.channel + c), high(head, head.channel + c + LANES);
        for (int t = 0; t < count; t++) {
            int64_t at = head.span.at(token + t) + c;
            low.next(at);
            high.next(at + LANES);
            lengths[t] = (c ? lengths[t] : Floats{}) + low.length + high.length;
            bonuses[t] = (c ? bonuses[t] : Floats{}) + low.bonus + high.bonus;
            put_value(t, c, Floats{}, low.v);
            put_value(t, c + LANES, Floats{}, high.v);
            store(v[t] + c, low.v);
            store(v[t] + c + LANES, high.v);
            put(asking[A][0] + t * DEPTH, c, low.a, high.a);
            put(asking[R][0] + t * DEPTH, c, low.r, high.r);
            put(asked[c / DEPTH][B] + t * DEPTH, 0, low.b, high.b);
            put(asked[c / DEPTH][K] + t * DEPTH, 0, low.k, high.k);
        }
        store(decays + c, low.decayed);
        store(decays + c + LANES, high.decayed);
    }

    // A token that is not there changes nothing.
    void leave_out(int t) {
        for (int part = 0; part < PARTS; part++)
            for (int side : {0, 1}) {
                put(asking[side][part] + t * DEPTH, 0, Floats{}, Floats{});
                put(asked[part][side] + t * DEPTH, 0, Floats{}, Floats{});
            }
        for (int c = 0; c < N; c += LANES) {
            put_value(t, c, Floats{}, Floats{});
            store(v[t] + c, Floats{});
        }
        lengths[t] = bonuses[t] = Floats{};
    }

    void put_value(int t, int c, Floats of_u, Floats of_v) { _mm512_store_si512(values[c / SIDE] + t * DEPTH, zip_half(of_u, of_v)); }

    // [token][pair of keys] → [pair of keys][token], and each pair's two rows of `written`.
    void turn() {
        for (int part = 0; part < PARTS; part++) {
            Floats pairs[2][SIDE];
            for (From from : {B, K}) {
                auto* side = reinterpret_cast<float*>(asked[part][from]);
                for (int t = 0; t < SIDE; t++) pairs[from][t] = load(side + t * SIDE);
                transpose(pairs[from]);
                for (int pair = 0; pair < SIDE; pair++) store(side + pair * SIDE, pairs[from][pair]);
            }
            for (int pair = 0; pair < SIDE; pair++) {
                Words b = reinterpret_cast<Words>(pairs[B][pair]), k = reinterpret_cast<Words>(pairs[K][pair]);
                auto* to = reinterpret_cast<float*>(written[0] + (part * DEPTH + 2 * pair) * DEPTH);
                store(to, reinterpret_cast<Floats>((b & 0xffffu) | k << 16));
                store(to + SIDE, reinterpret_cast<Floats>(b >> 16 | (k & 0xffff0000u)));
            }
        }
    }

    void score() {
        all_stored();
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (int part = 0; part < PARTS; part++) {
            _tile_loadd(4, asking[A][part], 64);
            _tile_loadd(5, asking[R][part], 64);
            _tile_loadd(6, asked[part][B], 64);
            _tile_loadd(7, asked[part][K], 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(0, scores[A][B], 64);
        _tile_stored(1, scores[A][K], 64);
        _tile_stored(2, scores[R][B], 64);
        _tile_stored(3, scores[R][K], 64);
    }

    // What counts of the scores: a~ sees v of earlier tokens, r~ u and v of earlier ones and its own.
    void weigh() {
        for (int t = 0; t < CHUNK; t++) {
            __m512i of_a = zip_half(Floats{}, load(scores[A][K][t])), of_r = zip_half(load(scores[R][B][t]), load(scores[R][K][t]));
            _mm512_store_si512(weights[A] + t * DEPTH, _mm512_maskz_mov_epi32((1u << t) - 1, of_a));
            _mm512_store_si512(weights[R] + t * DEPTH, _mm512_maskz_mov_epi32((2u << t) - 1, of_r));
        }
    }

    // u = what a~ reads of the state and of v; y = what r~ reads of the state.
    void read() {
        all_stored();
        _tile_loadd(4, asking[A][0], 64);
        _tile_loadd(5, asking[A][1], 64);
        _tile_loadd(6, asking[R][0], 64);
        _tile_loadd(7, asking[R][1], 64);
        for (int block = 0; block < BLOCKS; block++) {
            _tile_zero(0);
            _tile_zero(1);
            _tile_loadd(2, state_half[0][block], 64);
            _tile_dpbf16ps(0, 4, 2);
            _tile_dpbf16ps(1, 6, 2);
            _tile_loadd(3, state_half[1][block], 64);
            _tile_dpbf16ps(0, 5, 3);
            _tile_dpbf16ps(1, 7, 3);
            _tile_loadd(2, weights[A], 64);
            _tile_loadd(3, values[block], 64);
            _tile_dpbf16ps(0, 2, 3);
            _tile_stored(0, u[0] + block * SIDE, sizeof u[0]);
            _tile_stored(1, y[0] + block * SIDE, sizeof y[0]);
        }
    }

    // Each u of the ones before it.
    void solve() {
        for (int block = 0; block < BLOCKS; block++) {
            Floats rows[CHUNK];
            for (int t = 0; t < CHUNK; t++) rows[t] = load(u[t] + block * SIDE);
#pragma GCC unroll 16
            for (int s = 0; s < CHUNK; s++) {
                rows[s] *= shrink[s];
#pragma GCC unroll 16
                for (int t = s + 1; t < CHUNK; t++) rows[t] += rows[s] * scores[A][B][t][s];
            }
            for (int t = 0; t < CHUNK; t++) put_value(t, block * SIDE, rows[t], load(v[t] + block * SIDE));
        }
    }

    // y += what r~ reads of the tokens; the state, undecayed, += what they write.
    void write(HeadState& state) {
        all_stored();
        _tile_loadd(4, values[0], 64);
        _tile_loadd(5, values[1], 64);
        _tile_loadd(6, values[2], 64);
        _tile_loadd(7, values[3], 64);
        add(weights[R], y[0]);
        for (int block = 0; block < BLOCKS; block++) add(written[block], state.cells[0][block * SIDE]);
    }

    // Rows += left · values, which are in the tiles from 4 on.
    static void add(const bfloat16* left, float* rows) {
        constexpr int64_t APART = N * sizeof(float);
        _tile_loadd(3, left, 64);
        _tile_loadd(0, rows, APART);
        _tile_dpbf16ps(0, 3, 4);
        _tile_stored(0, rows, APART);
        _tile_loadd(1, rows + SIDE, APART);
        _tile_dpbf16ps(1, 3, 5);
        _tile_stored(1, rows + SIDE, APART);
        _tile_loadd(2, rows + 2 * SIDE, APART);
        _tile_dpbf16ps(2, 3, 6);
        _tile_stored(2, rows + 2 * SIDE, APART);
        _tile_loadd(0, rows + 3 * SIDE, APART);
        _tile_dpbf16ps(0, 3, 7);
        _tile_stored(0, rows + 3 * SIDE, APART);
    }

    // each(key, value): LANES values of the state of a key; rounded, two keys make a row of a right side.
    template <class Each>
    void round(const Each& each) {
        for (int key = 0; key < N; key += 2)
            for (int block = 0; block < BLOCKS; block++)
                _mm512_store_si512(state_half[key / DEPTH][block] + key % DEPTH / 2 * DEPTH,
                                   zip_half(each(key, block * SIDE), each(key + 1, block * SIDE)));
    }

    void decay(HeadState& state) {
        round([&](int key, int value) {
            Floats cells = load(state.cells[0][key] + value) * decays[key];
            store(state.cells[0][key] + value, cells);
            return cells;
        });
    }

    // Group norm, bonus and output gate of all tokens, as `finish` in `gates.h`.
    template <class Take>
    void finish(const Head<float>& head, int64_t token, int count, const Take& take) const {
        Floats rows[CHUNK];
        alignas(64) float means[CHUNK], scales[CHUNK];
        for (int t = 0; t < CHUNK; t++) rows[t] = over(t, [](Floats x) { return x; });
        store(means, sums(rows) * (1.f / N));
        for (int t = 0; t < CHUNK; t++) rows[t] = over(t, [&](Floats x) { return (x - means[t]) * (x - means[t]); });
        store(scales, 1.f / Floats(_mm512_sqrt_ps(sums(rows) * (1.f / N) + 64e-5f)));
        for (int c = 0; c < N; c += LANES) {
            int64_t own = head.channel + c;
            Floats weight = load(head.layer.norm_weight + own), bias = load(head.layer.norm_bias + own);
            for (int t = 0; t < count; t++) {
                Floats normed = (load(y[t] + c) - means[t]) * scales[t] * weight + bias + load(v[t] + c) * bonus[t];
                take(token + t, own, normed * load(head.in.gate + head.span.at(token + t) + c));
            }
        }
    }

    // The sum of what becomes of a token's y, by lanes.
    template <class Function>
    Floats over(int t, const Function& f) const {
        Floats total = {};
        for (int c = 0; c < N; c += LANES) total += f(load(y[t] + c));
        return total;
    }
};

// All tokens of a head, a chunk at a time; a few that are left over, singly.
template <class Take>
void mix_chunks(const Head<float>& head, HeadState& state, const Take& take) {
    int64_t begin = head.span.begin, end = head.span.end, rest = (end - begin) % CHUNK;
    if (rest >= FEWEST) rest = 0;
    if (begin < end - rest) {
        static thread_local Chunk chunk;
        TileUse use;
        chunk.begin(state);
        for (int64_t token = begin; token < end - rest; token += CHUNK) {
            int count = static_cast<int>(std::min<int64_t>(CHUNK, end - token));
            chunk.mix(head, token, count, state, take);
        }
    }
    if (rest) mix_steps(head, end - rest, static_cast<int>(rest), state, take);
}

}  // namespace

#endif
