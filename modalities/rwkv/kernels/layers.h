// All layers of a model in one call, so that nothing but sums goes through memory and all of it stays in the caches.
// How products are computed is a Desk's matter (`fixed_layers.cpp`, `half_layers.cpp`):
//
//     left(slot, rows, inputs)         room for a left side, valid until its slot is used again
//     own(slot, rows, inputs)          the same, for the calling thread alone
//     some(left, first, count)         some rows of it: `first` is a multiple of FEW
//     mix(mixtures, first, count, to)  so many mixtures of the tokens from `first` on become left sides, in this thread
//     through(left, by, to, f)         f(left · by') becomes one, in this thread
//     taking(slot, rows, inputs)       takes the numbers of a left side: take(row, column, LANES of them)
//     taken(slot, rows, inputs)        that left side, when it has them all
//     multiply(left, by, to)           left · by' goes to a Place
//     multiply_through(slot, left, by, second, to, f)   f(left · by') · second' goes to a Place
//     columns(by, first, count)        some of a matrix's outputs

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

// Some tokens that follow one another, the sequences that have tokens among them, and their states in one layer.
struct Part {
    int64_t tokens, sequences, heads;
    const int64_t* offsets;
    float* stream;
    Place added;
    float *first_value, *time_shift, *channel_shift, *wkv;

    int64_t width() const { return heads * N; }
};

constexpr int64_t FEW = 64;  // tokens whose mixtures stay in the second-level cache until they are used

// Adds to the stream and norms it, and gives each(first, count) a few tokens at a time. One thread norms these just before,
// so that they are still in its cache; of several, each would wait for the token before its first, so all are normed first.
template <class Each>
void norm_then(const Part& part, const float* weight, const float* bias, float* normed, int threads, const Each& each) {
    auto norm = [&](int64_t first, int64_t count) {
        int64_t skipped = first * part.width();
        auto added = [=, to = part.added](int64_t token, int64_t column) { return load(to.at(first + token, column)); };
        add_norm(count, part.width(), part.stream + skipped, added, weight, bias, normed + skipped, threads);
    };
    if (threads > 1) norm(0, part.tokens);
    parallel((part.tokens + FEW - 1) / FEW, threads, [&](int64_t block) {
        int64_t first = block * FEW, count = std::min(FEW, part.tokens - first);
        if (threads == 1) norm(first, count);
        each(first, count);
    });
}

// What becomes of a product before the next one; objects, so that the compiler sees through them.
constexpr auto SAME = [](Floats x) { return x; };
constexpr auto TANH = [](Floats x) { return hyperbolic_tangent(x); };
constexpr auto SIGMOID = [](Floats x) { return sigmoid(x); };
constexpr auto SQUARED = [](Floats x) {
    x = x > 0.f ? x : Floats{};
    return x * x;
};

// Tokens, each mixed with the one before it, by each row of ratios.
struct Mixtures {
    const float *normed, *ratios;
    const std::vector<const float*>& before;
    int64_t width;

    // LANES numbers of a token, and how far those of the token before are from them.
    struct Step {
        Floats now, back;
        Floats by(const float* ratio) const { return now + back * load(ratio); }
    };
    Step at(int64_t row, int64_t column) const {
        Floats now = load(normed + row * width + column);
        return {now, load(before[row] + column) - now};
    }
    const float* ratio(int64_t mixture, int64_t column) const { return ratios + mixture * width + column; }
};

// Rooms for what a layer computes, the last four for some heads alone.
enum RoomOf { NORMED, OF_R, OF_K, OF_V, OF_DECAY, OF_RATE, OF_GATE, OF_VALUE_GATE, ROOMS };

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
    desk.multiply(left, by, Place::blocks(out, left.rows));
    return out;
}

// All left sides of the time mix's projections. Those of w, a and g are wanted for narrow products alone, so they are made
// for a few tokens at a time and used at once, while they are in the cache.
template <class Desk>
void project_inside(const Layer<typename Desk::Packed>& layer, const Part& part, float* normed, Desk& desk,
                    typename Desk::Left* lefts) {
    int64_t tokens = part.tokens, width = part.width();
    auto before = predecessors(part.sequences, tokens, width, part.offsets, normed, part.time_shift);
    Mixtures mixtures{normed, layer.time_ratios, before, width};
    for (Slot slot : {R, K, V}) lefts[slot] = desk.left(slot, tokens, width);
    lefts[INNER_W] = desk.left(INNER_W, tokens, layer.w1.outputs);
    lefts[INNER_V] = desk.left(INNER_V, tokens, layer.v1.outputs);
    lefts[INNER_A] = desk.left(INNER_A, tokens, layer.a1.outputs);
    lefts[INNER_G] = desk.left(INNER_G, tokens, layer.g1.outputs);
    norm_then(part, layer.time_weight, layer.time_bias, normed, desk.threads, [&](int64_t first, int64_t count) {
        typename Desk::Left few[SLOTS];
        for (Slot slot : {R, K, V, INNER_W, INNER_V, INNER_A, INNER_G}) few[slot] = desk.some(lefts[slot], first, count);
        for (Slot slot : {W, A, G}) few[slot] = desk.own(slot, count, width);
        desk.mix(mixtures, first, MIXTURES, few);
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
    time_mix(part.sequences, {first, heads, part.heads}, part.offsets, in, Vectors(layer.vectors, part.width()), first_value,
             desk.taking(OUT, part.tokens, part.width()), part.wkv, part.tokens, desk.threads);
}

template <class Desk>
void mix_time(const Layer<typename Desk::Packed>& layer, const Part& part, Desk& desk, Rooms& rooms) {
    int64_t tokens = part.tokens, width = part.width();
    float* normed = rooms(NORMED, tokens * width);
    typename Desk::Left lefts[SLOTS];
    project_inside(layer, part, normed, desk, lefts);
    carry(part.sequences, width, part.offsets, normed, part.time_shift);

    // Of all heads at once: head by head, the left sides would come from the third-level cache for each.
    Projected<float> in{};
    in.r = project(lefts[R], layer.receptance, OF_R, desk, rooms);
    in.k = project(lefts[K], layer.key, OF_K, desk, rooms);
    in.v = project(lefts[V], layer.value, OF_V, desk, rooms);
    int64_t together = std::min<int64_t>(part.heads, (desk.threads + 1) / 2);  // a head is columns for two threads
    for (int64_t head = 0; head < part.heads; head += together)
        mix_heads(layer, part, head, std::min(together, part.heads - head), in, lefts, desk, rooms);
    desk.multiply(desk.taken(OUT, tokens, width), layer.output, part.added);
}

template <class Desk>
void mix_channel(const Layer<typename Desk::Packed>& layer, const Part& part, Desk& desk, Rooms& rooms) {
    int64_t tokens = part.tokens, width = part.width();
    float* normed = rooms(NORMED, tokens * width);
    auto before = predecessors(part.sequences, tokens, width, part.offsets, normed, part.channel_shift);
    Mixtures mixtures{normed, layer.channel_ratios, before, width};
    typename Desk::Left mixed = desk.left(K, tokens, width);
    norm_then(part, layer.channel_weight, layer.channel_bias, normed, desk.threads, [&](int64_t first, int64_t count) {
        auto few = desk.some(mixed, first, count);
        desk.mix(mixtures, first, 1, &few);
    });
    desk.multiply_through(OUT, mixed, layer.up, layer.down, part.added, SQUARED);
    carry(part.sequences, width, part.offsets, normed, part.channel_shift);
}

// Tokens that go through all layers together, the sequences they are of, and where those begin among them.
struct Tile {
    int64_t begin, tokens, first;
    std::vector<int64_t> offsets;

    Tile(int64_t begin, int64_t most, int64_t sequences, const int64_t* all)
        : begin(begin), tokens(std::min(most, all[sequences] - begin)) {
        first = std::upper_bound(all, all + sequences + 1, begin) - all - 1;
        int64_t last = std::lower_bound(all, all + sequences + 1, begin + tokens) - all;
        for (int64_t s = first; s <= last; s++) offsets.push_back(std::clamp(all[s], begin, begin + tokens) - begin);
    }
    int64_t sequences() const { return static_cast<int64_t>(offsets.size()) - 1; }
};

// Takes `size` tokens at a time through all layers. stream (T, C) and added (T, C) become the two parts of the last sum;
// shifts (layers, B, C) and wkv (layers, B, H, N, N) move on in place.
template <class Desk>
void whole_layers(int64_t layers, const Layer<typename Desk::Packed>* layer, int64_t size, int64_t sequences, int64_t heads,
                  const int64_t* offsets, float* stream, float* added, float* time_shift, float* channel_shift, float* wkv,
                  int threads) {
    static thread_local Room<float> first_values, sums;
    static thread_local Desk desk;
    static thread_local Rooms rooms;
    desk.threads = threads;
    int64_t width = heads * N;
    for (int64_t begin = 0; begin < offsets[sequences]; begin += size) {
        Tile tile(begin, size, sequences, offsets);
        Place adding = Place::blocks(kept(sums, tile.tokens * width), tile.tokens);
        std::fill_n(adding.first, tile.tokens * width, 0.f);
        for (int64_t index = 0; index < layers; index++) {
            int64_t state = index * sequences + tile.first;
            Part part{tile.tokens, tile.sequences(), heads, tile.offsets.data(), stream + begin * width, adding,
                      kept(first_values, size * width), time_shift + state * width, channel_shift + state * width,
                      wkv + state * width * N};
            mix_time(layer[index], part, desk, rooms);
            mix_channel(layer[index], part, desk, rooms);
        }
        for (int64_t token = 0; token < tile.tokens; token++)
            for (int64_t c = 0; c < width; c += N)
                memcpy(added + (begin + token) * width + c, adding.at(token, c), sizeof(float) * N);
    }
}

}  // namespace

// The plain C symbol of one kind, that `whole_layers.py` calls.
#define WHOLE_LAYERS(NAME, DESK)                                                                                       \
    extern "C" void NAME##_layers(int64_t layers, const Layer<DESK::Packed>* layer, int64_t tile, int64_t sequences,   \
                                  int64_t heads, const int64_t* offsets, float* stream, float* added,                  \
                                  float* time_shift, float* channel_shift, float* wkv, int threads) {                  \
        whole_layers<DESK>(layers, layer, tile, sequences, heads, offsets, stream, added, time_shift, channel_shift,   \
                           wkv, threads);                                                                              \
    }
