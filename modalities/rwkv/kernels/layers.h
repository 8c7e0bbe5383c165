// All layers of a model in one call, so that nothing but sums goes through memory and all of it stays in the caches.
// How products are computed is a Desk's matter (`fixed_layers.cpp`, `half_layers.cpp`):
//
//     left(slot, rows, inputs)         room for a left side, valid until its slot is used again
//     own(slot, rows, inputs)          the same, for the calling thread alone
//     some(left, first, count)         some rows of it: `first` is a multiple of FEW
//     mix<count>(mixtures, to)         so many mixtures of a few tokens become left sides, in this thread
//     through(left, by, to, f)         f(left · by') becomes one, in this thread
//     taking(slot, rows, inputs)       takes the numbers of a left side: take(row, column, LANES of them)
//     taken(slot, rows, inputs)        that left side, when it has them all
//     multiply(left, by, to, add)      left · by' goes to a Place, or is added to what is there
//     add_through(slot, left, by, second, to, f)   f(left · by') · second' is added to what is in a Place
//     columns(by, first, count)        some of a matrix's outputs
//     mix_head(head, state, take)      all tokens of a head through the time mix, in this thread
//     Use                              what the calling thread holds from the first layer to the last

#pragma once

#include "inference.h"

namespace {

// Weights (outputs, inputs) as the desk's kind of packing leaves them; `scales` only where it has some.
template <class Packed>
struct Matrix {
    const Packed* packed;
    const float* scales;
    int64_t outputs, inputs;
};

// As `whole_layers.py` lays it out: addresses and sizes of 64 bits.
template <class Packed>
struct Layer {
    const float *time_weight, *time_bias, *time_ratios, *vectors, *channel_weight, *channel_bias, *channel_ratios;
    Matrix<Packed> receptance, w1, w2, key, value, v1, v2, a1, a2, g1, g2, output, up, down;  // no v1 and v2 in the first
};

// Some tokens that follow one another, the sequences they are of, and where those begin among them.
struct Tile {
    int64_t tokens, first;
    std::vector<int64_t> offsets;

    Tile(int64_t begin, int64_t end, int64_t sequences, const int64_t* all) : tokens(end - begin) {
        first = std::upper_bound(all, all + sequences + 1, begin) - all - 1;
        int64_t last = std::lower_bound(all, all + sequences + 1, end) - all;
        for (int64_t s = first; s <= last; s++) offsets.push_back(std::clamp(all[s], begin, end) - begin);
    }
    int64_t sequences() const { return static_cast<int64_t>(offsets.size()) - 1; }
};

// A tile in one layer: its stream, which both of the layer's last products are added to, and its sequences' states.
struct Part {
    int64_t tokens, sequences, heads;
    const int64_t* offsets;
    Place stream;
    float *first_value, *time_shift, *channel_shift;
    States wkv;

    int64_t width() const { return heads * N; }
};

// What becomes of a product before the next one; objects, so that the compiler sees through them.
constexpr auto SAME = [](Floats x) { return x; };
constexpr auto TANH = [](Floats x) { return hyperbolic_tangent(x); };
constexpr auto SIGMOID = [](Floats x) { return sigmoid(x); };
constexpr auto SQUARED = [](Floats x) {
    x = x < 0.f ? Floats{} : x;  // what is not a number stays so
    return x * x;
};

// The stream as a norm leaves it, computed where it is wanted: to write it down and read it again takes longer.
struct Normed {
    Place stream;
    float *scales, *shifts;      // of each token
    const float *weight, *bias;  // of each channel

    void measure(int64_t token, int64_t width) const {
        Statistics row(width, [&](int64_t c) { return load(stream.at(token, c)); });
        scales[token] = row.scale;
        shifts[token] = -row.mean * row.scale;
    }
    Floats at(int64_t token, int64_t c) const {
        return (load(stream.at(token, c)) * scales[token] + shifts[token]) * load(weight + c) + load(bias + c);
    }
};

// Some normed tokens from `first` on, each mixed with the one before it, by each row of ratios.
struct Mixtures {
    const Normed& normed;
    const float* ratios;
    const std::vector<const float*>& carried;  // by token: the one before it, if it is a sequence's first one
    int64_t width, first;

    // LANES numbers of a token, and how far those of the token before are from them.
    struct Step {
        Floats now, back;
        Floats by(Floats ratio) const { return now + back * ratio; }
    };
    bool begins(int64_t row) const { return carried[first + row]; }
    Floats before(int64_t row, int64_t column) const {
        return begins(row) ? load(carried[first + row] + column) : normed.at(first + row - 1, column);
    }
    Step after(Floats before, int64_t row, int64_t column) const {
        Floats now = normed.at(first + row, column);
        return {now, before - now};
    }
    const float* ratio(int64_t mixture, int64_t column) const { return ratios + mixture * width + column; }
};

// What stands before a layer's products: a norm, the ratios of the token shift, and each sequence's last normed token.
struct Shift {
    const float *weight, *bias, *ratios;
    float* carried;
};

constexpr int64_t FEW = 64;  // tokens that stay in the second-level cache from their norm until they are used

// Norms the stream and gives each(first, count, mixtures) a few tokens. One thread norms no more than these before; of
// several, each would wait for the token before its first, so all are normed first.
template <class Each>
void norm_then(const Part& part, const Shift& shift, int threads, const Each& each) {
    static thread_local Room<float> room;
    int64_t width = part.width(), together = threads > 1 ? part.tokens : FEW;
    float* scales = kept(room, 2 * part.tokens);
    Normed normed{part.stream, scales, scales + part.tokens, shift.weight, shift.bias};
    std::vector<const float*> carried(part.tokens);
    for (int64_t s = 0; s < part.sequences; s++)
        if (part.offsets[s] < part.offsets[s + 1]) carried[part.offsets[s]] = shift.carried + s * width;
    for (int64_t begin = 0; begin < part.tokens; begin += together) {
        int64_t tokens = std::min(together, part.tokens - begin);
        each_token(tokens, threads, [&](int64_t token) { normed.measure(begin + token, width); });
        parallel((tokens + FEW - 1) / FEW, threads, [&](int64_t block) {
            int64_t first = begin + block * FEW;
            each(first, std::min(FEW, begin + tokens - first), Mixtures{normed, shift.ratios, carried, width, first});
        });
    }
    for (int64_t s = 0; s < part.sequences; s++)
        for (int64_t c = 0, last = part.offsets[s + 1] - 1; c < width && last >= part.offsets[s]; c += LANES)
            store(shift.carried + s * width + c, normed.at(last, c));
}

// Rooms for what a layer computes, the last four for some heads alone.
enum RoomOf { OF_R, OF_K, OF_V, OF_DECAY, OF_RATE, OF_GATE, OF_VALUE_GATE, ROOMS };

struct Rooms {
    Room<float> each[ROOMS];
    float* operator()(RoomOf place, int64_t count) { return kept(each[place], count); }
};

// The left sides of a layer, by slot: first the mixtures, in the order of their ratios.
enum Slot { R, W, K, V, A, G, MIXTURES, INNER_W = MIXTURES, INNER_V, INNER_A, INNER_G, OUT, SLOTS };

// left · by', blocked, in a room of its own.
template <class Desk>
const float* project(const typename Desk::Left& left, const Matrix<typename Desk::Packed>& by, RoomOf place, Desk& desk,
                     Rooms& rooms) {
    float* out = rooms(place, left.rows * by.outputs);
    desk.multiply(left, by, Place::blocks(out, left.rows), false);
    return out;
}

// All left sides of the time mix's projections. Those of w, a and g are wanted for narrow products alone, so they are made
// for a few tokens at a time and used at once, while they are in the cache.
template <class Desk>
void project_inside(const Layer<typename Desk::Packed>& layer, const Part& part, Desk& desk, typename Desk::Left* lefts) {
    int64_t tokens = part.tokens, width = part.width();
    for (Slot slot : {R, K, V}) lefts[slot] = desk.left(slot, tokens, width);
    lefts[INNER_W] = desk.left(INNER_W, tokens, layer.w1.outputs);
    lefts[INNER_V] = desk.left(INNER_V, tokens, layer.v1.outputs);
    lefts[INNER_A] = desk.left(INNER_A, tokens, layer.a1.outputs);
    lefts[INNER_G] = desk.left(INNER_G, tokens, layer.g1.outputs);
    Shift shift{layer.time_weight, layer.time_bias, layer.time_ratios, part.time_shift};
    norm_then(part, shift, desk.threads, [&](int64_t first, int64_t count, const Mixtures& mixtures) {
        typename Desk::Left few[SLOTS];
        for (Slot slot : {R, K, V, INNER_W, INNER_V, INNER_A, INNER_G}) few[slot] = desk.some(lefts[slot], first, count);
        for (Slot slot : {W, A, G}) few[slot] = desk.own(slot, count, width);
        desk.template mix<MIXTURES>(mixtures, few);
        desk.through(few[W], layer.w1, few[INNER_W], TANH);
        if (layer.v1.outputs) desk.through(few[V], layer.v1, few[INNER_V], SAME);
        desk.through(few[A], layer.a1, few[INNER_A], SAME);
        desk.through(few[G], layer.g1, few[INNER_G], SIGMOID);
    });
}

// The time mix of some heads; their gates are made, used and forgotten while they are in the caches.
template <class Desk>
void mix_heads(const Layer<typename Desk::Packed>& layer, const Part& part, int64_t first, int64_t heads, Projected<float> in,
               const typename Desk::Left* lefts, Desk& desk, Rooms& rooms) {
    int64_t skipped = first * N;
    auto gate = [&](Slot slot, const Matrix<typename Desk::Packed>& by, RoomOf place) {
        return project(lefts[slot], desk.columns(by, skipped, heads * N), place, desk, rooms);
    };
    in.r += part.tokens * skipped;
    in.k += part.tokens * skipped;
    in.v += part.tokens * skipped;
    in.decay = gate(INNER_W, layer.w2, OF_DECAY);
    in.rate = gate(INNER_A, layer.a2, OF_RATE);
    in.gate = gate(INNER_G, layer.g2, OF_GATE);
    in.value_gate = layer.v1.outputs ? gate(INNER_V, layer.v2, OF_VALUE_GATE) : nullptr;
    float* first_value = part.first_value + part.tokens * skipped;
    in.first_value = first_value;
    auto take = desk.taking(OUT, part.tokens, part.width());
    time_mix(part.sequences, {first, heads}, part.offsets, in, Vectors(layer.vectors, part.width()), first_value,
             part.wkv, part.tokens, desk.threads,
             [&](const Head<float>& head, HeadState& state) { Desk::mix_head(head, state, take); });
}

template <class Desk>
void mix_time(const Layer<typename Desk::Packed>& layer, const Part& part, Desk& desk, Rooms& rooms) {
    typename Desk::Left lefts[SLOTS];
    project_inside(layer, part, desk, lefts);

    // Of all heads at once: head by head, the left sides would come from the third-level cache for each.
    Projected<float> in{};
    in.r = project(lefts[R], layer.receptance, OF_R, desk, rooms);
    in.k = project(lefts[K], layer.key, OF_K, desk, rooms);
    in.v = project(lefts[V], layer.value, OF_V, desk, rooms);
    int64_t together = std::min<int64_t>(part.heads, (desk.threads + 1) / 2);  // a head is columns for two threads
    for (int64_t head = 0; head < part.heads; head += together)
        mix_heads(layer, part, head, std::min(together, part.heads - head), in, lefts, desk, rooms);
    desk.multiply(desk.taken(OUT, part.tokens, part.width()), layer.output, part.stream, true);
}

template <class Desk>
void mix_channel(const Layer<typename Desk::Packed>& layer, const Part& part, Desk& desk) {
    typename Desk::Left mixed = desk.left(K, part.tokens, part.width());
    Shift shift{layer.channel_weight, layer.channel_bias, layer.channel_ratios, part.channel_shift};
    norm_then(part, shift, desk.threads, [&](int64_t first, int64_t count, const Mixtures& mixtures) {
        auto few = desk.some(mixed, first, count);
        desk.template mix<1>(mixtures, &few);
    });
    desk.add_through(OUT, mixed, layer.up, layer.down, part.stream, SQUARED);
}

// Where the tile that begins there ends. What is left of a sequence begins a multiple of CHUNK from its beginning, so that
// the same tokens are mixed together (`half_chunk.h`), whatever came before in the batch.
inline int64_t end_of_tile(int64_t begin, int64_t size, int64_t sequences, const int64_t* offsets) {
    int64_t end = std::min(begin + size, offsets[sequences]);
    int64_t within = end - *(std::upper_bound(offsets, offsets + sequences, end) - 1);
    return end == offsets[sequences] ? end : end - within % CHUNK;
}

// The stream of some tokens from rows to a Place, or back.
inline void copy(const Place& from, const Place& to, int64_t tokens, int64_t width) {
    for (int64_t token = 0; token < tokens; token++)
        for (int64_t c = 0; c < width; c += N) memcpy(to.at(token, c), from.at(token, c), sizeof(float) * N);
}

// Takes up to `size` tokens at a time, a multiple of CHUNK, through all layers: stream (T, C), shifts (layers, B, C) and wkv
// (layers, B, H, N, N) move on in place. Without wkv all states begin at zero and are forgotten: of short texts, to fetch
// them from memory and put them back is a good part of the work.
template <class Desk>
void whole_layers(int64_t layers, const Layer<typename Desk::Packed>* layer, int64_t size, int64_t sequences, int64_t heads,
                  const int64_t* offsets, float* stream, float* time_shift, float* channel_shift, float* wkv, int threads) {
    static thread_local Room<float> first_values, streams, crossings;
    static thread_local Desk desk;
    static thread_local Rooms rooms;
    desk.threads = threads;
    [[maybe_unused]] typename Desk::Use use;
    int64_t width = heads * N, cells = width * N;
    // Of each layer, what goes on from one tile to the next, and what came from the one before.
    float *leaving = kept(crossings, wkv ? 0 : 2 * layers * cells), *entering = wkv ? leaving : leaving + layers * cells;
    for (int64_t begin = 0, end; begin < offsets[sequences]; begin = end, std::swap(entering, leaving)) {
        end = end_of_tile(begin, size, sequences, offsets);
        Tile tile(begin, end, sequences, offsets);
        bool enters = !wkv && offsets[tile.first] < begin, leaves = !wkv && end < offsets[tile.first + tile.sequences()];
        Place given = Place::rows(stream + begin * width, width);
        Place own = Place::blocks(kept(streams, tile.tokens * width), tile.tokens);
        copy(given, own, tile.tokens, width);
        for (int64_t index = 0; index < layers; index++) {
            int64_t state = index * sequences + tile.first;
            Part part{tile.tokens, tile.sequences(), heads, tile.offsets.data(), own, kept(first_values, size * width),
                      time_shift + state * width, channel_shift + state * width,
                      {wkv ? wkv + state * cells : nullptr, enters ? entering + index * cells : nullptr,
                       leaves ? leaving + index * cells : nullptr, tile.sequences(), heads}};
            mix_time(layer[index], part, desk, rooms);
            mix_channel(layer[index], part, desk);
        }
        copy(own, given, tile.tokens, width);
    }
}

}  // namespace

// The plain C symbol of one kind, that `whole_layers.py` calls.
#define WHOLE_LAYERS(NAME, DESK)                                                                                       \
    extern "C" void NAME##_layers(int64_t layers, const Layer<DESK::Packed>* layer, int64_t tile, int64_t sequences,   \
                                  int64_t heads, const int64_t* offsets, float* stream, float* time_shift,             \
                                  float* channel_shift, float* wkv, int threads) {                                     \
        whole_layers<DESK>(layers, layer, tile, sequences, heads, offsets, stream, time_shift, channel_shift, wkv,     \
                           threads);                                                                                   \
    }
