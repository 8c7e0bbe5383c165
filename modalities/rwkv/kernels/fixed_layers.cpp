// All layers of a model in fixed point, in one call: every product's left side is quantised as it is made, and nothing
// but the sums goes through memory. A plain C symbol that `fixed_layers.py` calls.

#if defined(__AVX2__) && !defined(__AVX512F__)

#include "fixed.h"
#include "inference.h"

namespace {

// Weights (outputs, inputs) as `fixed_pack` leaves them.
struct Matrix {
    Panels panels;
    int64_t outputs, inputs;
};

// As `fixed_layers.py` lays it out: addresses and sizes of 64 bits.
struct Layer {
    const float *time_weight, *time_bias, *time_ratios, *vectors, *channel_weight, *channel_bias, *channel_ratios;
    Matrix receptance, w1, w2, key, value, v2, a1, a2, g1, g2, output, up, down;  // value: with v1 below; no v2 in the first
};

// Some tokens that follow one another, the sequences that have tokens among them, and their states in one layer.
struct Part {
    int64_t tokens, sequences, heads;
    const int64_t* offsets;
    float *stream, *added, *first_value, *time_shift, *channel_shift, *wkv;

    int64_t width() const { return heads * N; }
};

// What the products of a part need, kept from call to call.
class Desk {
public:
    int threads = 1;

    float* floats(int64_t place, int64_t count) { return kept(rooms[place], count); }

    // out (rows, outputs) = left · weights', where fill(row, to) makes a row of the left side.
    template <class Fill>
    void multiply_filled(int64_t rows, const Matrix& by, float* out, const Fill& fill) {
        int16_t* left = kept(whole, rows * by.inputs);
        float* row_scales = kept(scales, rows);
        parallel((rows + 15) / 16, threads, [&](int64_t block) {
            static thread_local std::vector<float> room;
            float* row_of = kept(room, by.inputs);
            for (int64_t row = block * 16; row < std::min(rows, block * 16 + 16); row++) {
                fill(row, row_of);
                quantise_row(by.inputs, row_of, left + row * by.inputs, row_scales + row);
            }
        });
        multiply(rows, by.inputs, by.outputs, left, row_scales, by.panels, out, threads);
    }

    // The same of f(x), where rows of x are `stride` apart.
    template <class Function>
    void multiply_made(int64_t rows, const Matrix& by, const float* x, int64_t stride, float* out, const Function& f) {
        multiply_filled(rows, by, out, [&](int64_t row, float* to) {
            for (int64_t c = 0; c < by.inputs; c += LANES) store(to + c, f(load(x + row * stride + c)));
        });
    }

private:
    std::vector<float> rooms[10];
    std::vector<int16_t> whole;
    std::vector<float> scales;
};

inline Floats same(Floats x) { return x; }
inline Floats squared(Floats x) {
    x = x > 0.f ? x : Floats{};
    return x * x;
}

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

void mix_time(const Layer& layer, const Part& part, Desk& desk) {
    int64_t tokens = part.tokens, width = part.width(), size = tokens * width;
    float *normed = desk.floats(0, size), *r = desk.floats(1, size), *decay = desk.floats(2, size);
    float *k = desk.floats(3, size), *v = desk.floats(4, tokens * layer.value.outputs), *rate = desk.floats(5, size);
    float *gate = desk.floats(6, size), *value_gate = desk.floats(7, size);
    float* low = desk.floats(8, tokens * std::max({layer.w1.outputs, layer.a1.outputs, layer.g1.outputs}));
    add_norm(tokens, width, part.stream, part.added, layer.time_weight, layer.time_bias, normed, desk.threads);
    auto before = predecessors(part.sequences, tokens, width, part.offsets, normed, part.time_shift);
    auto mixture = [&](int64_t m) { return Mixture{normed, layer.time_ratios + m * width, before, width}; };

    desk.multiply_filled(tokens, layer.receptance, r, mixture(0));
    desk.multiply_filled(tokens, layer.w1, low, mixture(1));
    desk.multiply_made(tokens, layer.w2, low, layer.w1.outputs, decay, hyperbolic_tangent);
    desk.multiply_filled(tokens, layer.key, k, mixture(2));
    desk.multiply_filled(tokens, layer.value, v, mixture(3));
    if (layer.v2.outputs) desk.multiply_made(tokens, layer.v2, v + width, layer.value.outputs, value_gate, same);
    desk.multiply_filled(tokens, layer.a1, low, mixture(4));
    desk.multiply_made(tokens, layer.a2, low, layer.a1.outputs, rate, same);
    desk.multiply_filled(tokens, layer.g1, low, mixture(5));
    desk.multiply_made(tokens, layer.g2, low, layer.g1.outputs, gate, sigmoid);
    carry(part.sequences, width, part.offsets, normed, part.time_shift);

    Projected<float> in{r, k, v, decay, rate, layer.v2.outputs ? value_gate : nullptr, gate, layer.value.outputs, part.first_value};
    time_mix(part.sequences, part.heads, part.offsets, in, Vectors(layer.vectors, width), part.first_value, r, part.wkv,
             desk.threads);
    desk.multiply_made(tokens, layer.output, r, width, part.added, same);
}

void mix_channel(const Layer& layer, const Part& part, Desk& desk) {
    int64_t tokens = part.tokens, width = part.width();
    float *normed = desk.floats(0, tokens * width), *inner = desk.floats(9, tokens * layer.up.outputs);
    add_norm(tokens, width, part.stream, part.added, layer.channel_weight, layer.channel_bias, normed, desk.threads);
    auto before = predecessors(part.sequences, tokens, width, part.offsets, normed, part.channel_shift);
    desk.multiply_filled(tokens, layer.up, inner, Mixture{normed, layer.channel_ratios, before, width});
    carry(part.sequences, width, part.offsets, normed, part.channel_shift);
    desk.multiply_made(tokens, layer.down, inner, layer.up.outputs, part.added, squared);
}

}  // namespace

// Takes `tile` tokens at a time through all layers. stream (T, C) and added (T, C) of zeros become the two parts of the
// last sum; shifts (layers, B, C) and wkv (layers, B, H, N, N) move on in place.
extern "C" void fixed_layers(int64_t layers, const Layer* layer, int64_t tile, int64_t sequences, int64_t heads,
                             const int64_t* offsets, float* stream, float* added, float* time_shift, float* channel_shift,
                             float* wkv, int threads) {
    static thread_local std::vector<float> room;
    int64_t width = heads * N, total = offsets[sequences];
    static thread_local Desk desk;
    desk.threads = threads;
    for (int64_t begin = 0; begin < total; begin += tile) {
        int64_t tokens = std::min(tile, total - begin);
        int64_t first = std::upper_bound(offsets, offsets + sequences + 1, begin) - offsets - 1;
        int64_t last = std::lower_bound(offsets, offsets + sequences + 1, begin + tokens) - offsets;
        std::vector<int64_t> own(offsets + first, offsets + last + 1);
        for (int64_t& offset : own) offset = std::clamp(offset, begin, begin + tokens) - begin;
        for (int64_t index = 0; index < layers; index++) {
            int64_t state = index * sequences + first;
            Part part{tokens, last - first, heads, own.data(), stream + begin * width, added + begin * width,
                      kept(room, tile * width), time_shift + state * width, channel_shift + state * width,
                      wkv + state * width * N};
            mix_time(layer[index], part, desk);
            mix_channel(layer[index], part, desk);
        }
    }
}

#endif
