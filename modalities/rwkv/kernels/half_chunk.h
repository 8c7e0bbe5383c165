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

constexpr __mmask32 SECOND = 0xaaaaaaaa;  // of each two numbers in bfloat16

// The upper halves are x in bfloat16, to the nearest; the NaN that processors make stays one. Their own instruction, for two
// vectors, takes as long as four additions, and to put its numbers in turn two more.
inline __m512i rounded(Floats x) { return _mm512_add_epi32(reinterpret_cast<__m512i>(x), _mm512_set1_epi32(0x8000)); }

// Two vectors in bfloat16, their numbers in turn: as a right side wants two rows, or a left side two columns.
inline __m512i zip_half(Floats first, Floats second) {
    return _mm512_mask_blend_epi16(SECOND, _mm512_srli_epi32(rounded(first), 16), rounded(second));
}

// What a chunk and its state need fits into 48 KB of first-level cache beside what streams past; so what is no longer wanted
// gives its place to what comes next.
class alignas(64) Chunk {
public:
    explicit Chunk(const HeadState& state) {
        for (int block = 0; block < BLOCKS; block++)
            round(block, [&](int key, int value) { return load(state.cells[0][key] + value); });
    }

    // Takes `count` tokens, at most CHUNK, through. What vectors have stored, tiles can load only a while later, and the other
    // way round; so something else stands between wherever there is anything.
    template <class Take>
    void mix(const Head<float>& head, int64_t token, int count, HeadState& state, const Take& take) {
        for (int c = 0; c < N; c += DEPTH) prepare(head, token, count, c);
        for (int step = count; step < CHUNK; step++) leave_out(step);
        turn();
        join();
        store(shrink, -1.f / Floats(_mm512_max_ps(sums(lengths), splat(1e-24f))));
        store(bonus, sums(bonuses));
        score();
        weigh();
        read();
        for (int block = 0; block < BLOCKS; block++) solve(block);
        answer();
        write(state, 0);
        Moments moments = this->moments();
        for (int block = 1; block < BLOCKS; block++) {
            write(state, block);
            decay(state, block - 1);
        }
        finish(head, token, count, moments, take);
        decay(state, BLOCKS - 1);
    }

private:
    enum Of { A, R };    // that ask the state and earlier tokens
    enum From { B, K };  // that are asked
    union {
        bfloat16 asking[2][PARTS][CELL];  // a~ and r~: [token][key]
        float y[CHUNK][N];
    };
    union {
        bfloat16 asked[PARTS][2][CELL];  // b~ and k~: [token][key], until `turn` makes right sides of them
        float scores[2][2][SIDE][SIDE];  // a~ and r~ with b~ and k~
        bfloat16 weights[2][2][CELL];    // [A][K] and [R][B]: of u and v of earlier tokens, [token][earlier token][u, v]
    };
    union {
        bfloat16 state_half[PARTS][BLOCKS][CELL];  // the state before, as a right side: [pair of keys][value][2]
        float u[PARTS][BLOCKS][SIDE][SIDE];        // [0]: [block of values][token][value]
    };
    bfloat16 written[BLOCKS][CELL];  // b~ and k~ as left sides: [key][token][b, k]
    bfloat16 values[BLOCKS][CELL];   // u and v: [token][value][u, v]
    float decays[N], shrink[CHUNK], bonus[CHUNK];
    Floats lengths[CHUNK], bonuses[CHUNK];  // sums to be made of each

    // DEPTH channels from c on of all tokens.
    void prepare(const Head<float>& head, int64_t token, int count, int c) {
        Channels low(head, head.channel + c), high(head, head.channel + c + LANES);
        for (int t = 0; t < count; t++) {
            int64_t at = head.span.at(token + t) + c;
            Floats length = c ? lengths[t] : Floats{}, bonus = c ? bonuses[t] : Floats{};
            low.next(at, length, bonus);
            high.next(at + LANES, length, bonus);
            lengths[t] = length;
            bonuses[t] = bonus;
            put_v(t, c, low.v);
            put_v(t, c + LANES, high.v);
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
        for (int c = 0; c < N; c += LANES) put_v(t, c, Floats{});
        lengths[t] = bonuses[t] = Floats{};
    }

    // SIDE numbers of v, with zeros for u.
    void put_v(int t, int c, Floats v) {
        _mm512_store_si512(values[c / SIDE] + t * DEPTH, _mm512_maskz_mov_epi16(SECOND, rounded(v)));
    }

    Floats v(int t, int c) const { return Floats(_mm512_maskz_mov_epi16(SECOND, _mm512_load_si512(values[c / SIDE] + t * DEPTH))); }

    // [token][pair of keys] → [pair of keys][token].
    void turn() {
        for (auto& part : asked)
            for (From from : {B, K}) {
                auto* side = reinterpret_cast<float*>(part[from]);
                Floats pairs[SIDE];
                for (int t = 0; t < SIDE; t++) pairs[t] = load(side + t * SIDE);
                transpose(pairs);
                for (int pair = 0; pair < SIDE; pair++) store(side + pair * SIDE, pairs[pair]);
            }
    }

    // b~ and k~ of each pair of keys → two rows of `written`.
    void join() {
        for (int part = 0; part < PARTS; part++)
            for (int pair = 0; pair < SIDE; pair++) {
                __m512i b = _mm512_load_si512(asked[part][B] + pair * DEPTH), k = _mm512_load_si512(asked[part][K] + pair * DEPTH);
                bfloat16* to = written[0] + (part * DEPTH + 2 * pair) * DEPTH;
                _mm512_store_si512(to, _mm512_mask_blend_epi16(SECOND, b, _mm512_slli_epi32(k, 16)));
                _mm512_store_si512(to + DEPTH, _mm512_mask_blend_epi16(SECOND, _mm512_srli_epi32(b, 16), k));
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
            _mm512_store_si512(weights[A][K] + t * DEPTH, _mm512_maskz_mov_epi32((1u << t) - 1, of_a));
            _mm512_store_si512(weights[R][B] + t * DEPTH, _mm512_maskz_mov_epi32((2u << t) - 1, of_r));
            store(scores[A][B][t], load(scores[A][B][t]) * load(shrink));
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
            _tile_loadd(2, weights[A][K], 64);
            _tile_loadd(3, values[block], 64);
            _tile_dpbf16ps(0, 2, 3);
            _tile_stored(0, u[0][block], 64);
            _tile_stored(1, y[0] + block * SIDE, sizeof y[0]);
        }
    }

    // Each u of the ones before it, which are not shrunk yet: their scores are.
    void solve(int block) {
        Floats rows[CHUNK];
        for (int t = 0; t < CHUNK; t++) rows[t] = load(u[0][block][t]);
#pragma GCC unroll 16
        for (int s = 0; s < CHUNK; s++) {
#pragma GCC unroll 16
            for (int t = s + 1; t < CHUNK; t++) rows[t] += rows[s] * scores[A][B][t][s];
            bfloat16* to = values[block] + s * DEPTH;
            __m512i half = _mm512_srli_epi32(rounded(rows[s] * shrink[s]), 16);
            _mm512_store_si512(to, _mm512_or_si512(half, _mm512_load_si512(to)));
        }
    }

    // y += what r~ reads of the tokens. Leaves their values in the tiles from 4 on.
    void answer() {
        all_stored();
        _tile_loadd(4, values[0], 64);
        _tile_loadd(5, values[1], 64);
        _tile_loadd(6, values[2], 64);
        _tile_loadd(7, values[3], 64);
        add(weights[R][B], y[0]);
    }

    // The state of SIDE keys, undecayed, += what the tokens write.
    void write(HeadState& state, int block) const { add(written[block], state.cells[0][block * SIDE]); }

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

    // each(key, value): LANES values of the state of one of SIDE keys; rounded, two keys make a row of a right side.
    template <class Each>
    void round(int block, const Each& each) {
        for (int key = block * SIDE; key < (block + 1) * SIDE; key += 2)
            for (int value = 0; value < N; value += LANES)
                _mm512_store_si512(state_half[key / DEPTH][value / SIDE] + key % DEPTH / 2 * DEPTH,
                                   zip_half(each(key, value), each(key + 1, value)));
    }

    void decay(HeadState& state, int block) {
        round(block, [&](int key, int value) {
            Floats cells = load(state.cells[0][key] + value) * decays[key];
            store(state.cells[0][key] + value, cells);
            return cells;
        });
    }

    // What makes a group norm of y: y · scale + shift, by token.
    struct alignas(64) Moments {
        float scales[CHUNK], shifts[CHUNK];
    };

    Moments moments() const {
        alignas(64) float means[CHUNK];
        Floats rows[CHUNK];
        for (int t = 0; t < CHUNK; t++) rows[t] = over(t, [](Floats x) { return x; });
        Floats mean = sums(rows) * (1.f / N);
        store(means, mean);
        for (int t = 0; t < CHUNK; t++) rows[t] = over(t, [&](Floats x) { return (x - means[t]) * (x - means[t]); });
        Floats scale = 1.f / Floats(_mm512_sqrt_ps(sums(rows) * (1.f / N) + 64e-5f));
        Moments found;
        store(found.scales, scale);
        store(found.shifts, -mean * scale);
        return found;
    }

    // The sum of what becomes of a token's y, by lanes.
    template <class Function>
    Floats over(int t, const Function& f) const {
        Floats total = {};
        for (int c = 0; c < N; c += LANES) total += f(load(y[t] + c));
        return total;
    }

    // Group norm, bonus and output gate of all tokens, as `finish` in `gates.h`, DEPTH channels at a time.
    template <class Take>
    void finish(const Head<float>& head, int64_t token, int count, const Moments& moments, const Take& take) const {
        for (int c = 0; c < N; c += DEPTH) {
            const float *weight = head.layer.norm_weight + head.channel + c, *bias = head.layer.norm_bias + head.channel + c;
            for (int t = 0; t < count; t++) {
                const float* gate = head.in.gate + head.span.at(token + t) + c;
                auto of = [&](int half) {
                    Floats normed = load(y[t] + c + half) * moments.scales[t] + moments.shifts[t];
                    return (normed * load(weight + half) + load(bias + half) + v(t, c + half) * bonus[t]) * load(gate + half);
                };
                take(token + t, head.channel + c, of(0), of(LANES));
            }
        }
    }
};

// All tokens of a head, a chunk at a time; a few that are left over, singly.
template <class Take>
void mix_chunks(const Head<float>& head, HeadState& state, const Take& take) {
    int64_t begin = head.span.begin, end = head.span.end, rest = (end - begin) % CHUNK;
    if (rest >= FEWEST) rest = 0;
    if (begin < end - rest) {
        TileUse use;
        Chunk chunk(state);  // on the stack: GCC asks anew in every loop where something of a thread's own lies
        for (int64_t token = begin; token < end - rest; token += CHUNK) {
            int count = static_cast<int>(std::min<int64_t>(CHUNK, end - token));
            chunk.mix(head, token, count, state, take);
        }
    }
    if (rest) mix_steps(head, end - rest, static_cast<int>(rest), state, take);
}

}  // namespace

#endif
