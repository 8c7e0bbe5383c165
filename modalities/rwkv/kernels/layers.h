// All layers of a model in one call, so that nothing but sums goes through memory and all of it stays in the caches.
// How products are computed is a Desk's matter (`fixed_layers.cpp`, `half_layers.cpp`):
//
//     left(slot, rows, inputs, fill)   a left side whose rows fill(row, to) makes, valid until its slot is used again
//     through(slot, left, by, f)       the left side f(left · by')
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
    auto adding() const {
        return [to = added](int64_t token, int64_t column) { return load(to.at(token, column)); };
    }
};

// What becomes of a product before the next one; objects, so that the compiler sees through them.
constexpr auto SAME = [](Floats x) { return x; };
constexpr auto TANH = [](Floats x) { return hyperbolic_tangent(x); };
constexpr auto SIGMOID = [](Floats x) { return sigmoid(x); };
constexpr auto SQUARED = [](Floats x) {
    x = x > 0.f ? x : Floats{};
    return x * x;
};

// A token mixed with the one before it.
struct Mixture {
    const float *normed, *ratios;
    const std::vector<const float*>& before;
    int64_t width;

    void operator()(int64_t row, float* to) const {
        for (int64_t c = 0; c < width; c += LANES) {
            Floats now = load(normed + row * width + c);
            store(to + c, now + (load(before[row] + c) - now) * load(ratios + c));
        }
    }
};

// Rooms for what a layer computes.
struct Rooms {
    Room<float> each[8];
    float* operator()(int64_t place, int64_t count) { return kept(each[place], count); }
};

// The left sides of a layer, by slot.
enum Slot { R, W, K, V, A, G, INNER_W, INNER_V, INNER_A, INNER_G, OUT, SLOTS };

// The time mix of some heads, whose projections are made, used and forgotten while they are in the caches.
template <class Desk>
void mix_heads(const Layer<typename Desk::Packed>& layer, const Part& part, int64_t first, int64_t heads,
               const typename Desk::Left* lefts, Desk& desk, Rooms& rooms) {
    int64_t size = part.tokens * heads * N, skipped = first * N;
    int64_t place = 1;
    auto project = [&](Slot slot, const Matrix<typename Desk::Packed>& by) -> const float* {
        float* out = rooms(place++, size);
        desk.multiply(lefts[slot], desk.columns(by, skipped, heads * N), Place::blocks(out, part.tokens));
        return out;
    };
    Projected<float> in;
    in.r = project(R, layer.receptance);
    in.k = project(K, layer.key);
    in.v = project(V, layer.value);
    in.decay = project(INNER_W, layer.w2);
    in.rate = project(INNER_A, layer.a2);
    in.gate = project(INNER_G, layer.g2);
    in.value_gate = layer.v1.outputs ? project(INNER_V, layer.v2) : nullptr;
    float* first_value = part.first_value + part.tokens * skipped;
    in.first_value = first_value;
    time_mix(part.sequences, {first, heads, part.heads}, part.offsets, in, Vectors(layer.vectors, part.width()), first_value,
             desk.taking(OUT, part.tokens, part.width()), part.wkv, part.tokens, desk.threads);
}

template <class Desk>
void mix_time(const Layer<typename Desk::Packed>& layer, const Part& part, Desk& desk, Rooms& rooms) {
    int64_t tokens = part.tokens, width = part.width();
    float* normed = rooms(0, tokens * width);
    add_norm(tokens, width, part.stream, part.adding(), layer.time_weight, layer.time_bias, normed, desk.threads);
    auto before = predecessors(part.sequences, tokens, width, part.offsets, normed, part.time_shift);
    typename Desk::Left lefts[SLOTS];
    for (int64_t m = R; m <= G; m++)
        lefts[m] = desk.left(m, tokens, width, Mixture{normed, layer.time_ratios + m * width, before, width});
    carry(part.sequences, width, part.offsets, normed, part.time_shift);
    lefts[INNER_W] = desk.through(INNER_W, lefts[W], layer.w1, TANH);
    if (layer.v1.outputs) lefts[INNER_V] = desk.through(INNER_V, lefts[V], layer.v1, SAME);
    lefts[INNER_A] = desk.through(INNER_A, lefts[A], layer.a1, SAME);
    lefts[INNER_G] = desk.through(INNER_G, lefts[G], layer.g1, SIGMOID);

    int64_t together = std::min<int64_t>(part.heads, (desk.threads + 1) / 2);  // a head is columns for two threads
    for (int64_t head = 0; head < part.heads; head += together)
        mix_heads(layer, part, head, std::min(together, part.heads - head), lefts, desk, rooms);
    desk.multiply(desk.taken(OUT, tokens, width), layer.output, part.added);
}

template <class Desk>
void mix_channel(const Layer<typename Desk::Packed>& layer, const Part& part, Desk& desk, Rooms& rooms) {
    int64_t tokens = part.tokens, width = part.width();
    float* normed = rooms(0, tokens * width);
    add_norm(tokens, width, part.stream, part.adding(), layer.channel_weight, layer.channel_bias, normed, desk.threads);
    auto before = predecessors(part.sequences, tokens, width, part.offsets, normed, part.channel_shift);
    auto mixed = desk.left(K, tokens, width, Mixture{normed, layer.channel_ratios, before, width});
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
