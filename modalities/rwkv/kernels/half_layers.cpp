// All layers of a model in bfloat16: every product's left side is rounded as it is made, and what stands between two
// products never leaves bfloat16.

#if defined(__AVX512BF16__)

#include "half.h"
#include "half_chunk.h"
#include "layers.h"

namespace {

class HalfDesk {
public:
    using Packed = bfloat16;
    using Use = TileUse;
    int threads = 1;

    struct Left {
        int64_t rows, inputs;
        bfloat16* tiles;
    };

    Left left(int slot, int64_t rows, int64_t inputs) { return in(slots[slot], rows, inputs); }

    Left own(int slot, int64_t rows, int64_t inputs) {
        static thread_local Room<bfloat16> rooms[SLOTS];
        return in(rooms[slot], rows, inputs);
    }

    Left some(const Left& left, int64_t first, int64_t count) { return {count, left.inputs, left_row(left.tiles, left.inputs, first)}; }

    // Tile by tile, so that ratios stay in registers and what is written lies together.
    template <int COUNT>
    void mix(const Mixtures& mixtures, const Left* to) {
        for (int64_t block = 0; block < to->rows; block += SIDE)
            for (int64_t c = 0; c < to->inputs; c += DEPTH) {
                Floats low[COUNT], high[COUNT];
                for (int m = 0; m < COUNT; m++) {
                    low[m] = load(mixtures.ratio(m, c));
                    high[m] = load(mixtures.ratio(m, c + LANES));
                }
                Floats before[2];
                for (int64_t row = block; row < std::min(to->rows, block + SIDE); row++) {
                    if (row == block || mixtures.begins(row))
                        for (int half : {0, 1}) before[half] = mixtures.before(row, c + half * LANES);
                    auto first = mixtures.after(before[0], row, c), second = mixtures.after(before[1], row, c + LANES);
                    for (int m = 0; m < COUNT; m++)
                        put(left_row(to[m].tiles, to->inputs, row), c, first.by(low[m]), second.by(high[m]));
                    before[0] = first.now;
                    before[1] = second.now;
                }
            }
    }

    template <class Function>
    void through(const Left& side, const Matrix<Packed>& by, const Left& to, const Function& f) {
        through(side, right(by), to, 1, f);
    }

    // A part of what is between at a time, which stays in the cache that way.
    template <class Function>
    void add_through(int slot, const Left& side, const Matrix<Packed>& by, const Matrix<Packed>& second, const Place& to,
                     const Function& f) {
        constexpr int64_t PART = 1024;
        for (int64_t first = 0; first < by.outputs; first += PART) {
            int64_t count = std::min(PART, by.outputs - first);
            Left made = left(slot, side.rows, count);
            through(side, right(by).some(first, count), made, threads, f);
            multiply_half(made.rows, made.tiles, right(second).deep(first, count), threads, Rows{to, true});
        }
    }

    auto taking(int slot, int64_t rows, int64_t inputs) {
        bfloat16* to = left(slot, rows, inputs).tiles;
        return [=](int64_t row, int64_t column, auto... x) { put(left_row(to, inputs, row), column, x...); };
    }

    Left taken(int slot, int64_t rows, int64_t inputs) { return left(slot, rows, inputs); }

    void multiply(const Left& left, const Matrix<Packed>& by, const Place& to, bool add) {
        multiply_half(left.rows, left.tiles, right(by), threads, Rows{to, add});
    }

    template <class Take>
    static void mix_head(const Head<float>& head, HeadState& state, const Take& take) {
#if defined(__AMX_BF16__)
        mix_chunks(head, state, take);
#else
        mix_singly(head, state, take);
#endif
    }

    Matrix<Packed> columns(const Matrix<Packed>& by, int64_t first, int64_t count) {
        return {right(by).some(first, count).tiles, nullptr, count, by.inputs};
    }

private:
    Room<bfloat16> slots[SLOTS];

    static Right right(const Matrix<Packed>& by) { return Right::of(by.packed, by.outputs, by.inputs); }

    static Left in(Room<bfloat16>& room, int64_t rows, int64_t inputs) {
        return {rows, inputs, kept(room, whole(rows, SIDE) * whole(inputs, DEPTH) * CELL)};
    }

    template <class Function>
    static void through(const Left& side, const Right& by, const Left& to, int threads, const Function& f) {
        auto take = [&](int64_t row, int64_t column, auto... sums) { put(left_row(to.tiles, to.inputs, row), column, f(sums)...); };
        multiply_half(side.rows, side.tiles, by, threads, Taken<decltype(take)>{take});
        if (by.columns % DEPTH)
            for (int64_t row = 0; row < side.rows; row++) fill_up(left_row(to.tiles, to.inputs, row), by.columns);
    }
};

}  // namespace

WHOLE_LAYERS(half, HalfDesk)

// weights (outputs, inputs) → a right side of outputs · whole(inputs, 32) · 32; both sizes are multiples of 16.
extern "C" void half_pack(int64_t outputs, int64_t inputs, const float* weights, bfloat16* packed, float*, int) {
    int64_t depth = whole(inputs, DEPTH);
    std::vector<bfloat16> row(depth * DEPTH);
    for (int64_t output = 0; output < outputs; output++) {
        for (int64_t input = 0; input < inputs; input += LANES) store(row.data() + input, load(weights + output * inputs + input));
        bfloat16* to = packed + output / SIDE * depth * CELL + output % SIDE * 2;
        for (int64_t pair = 0; pair < depth * DEPTH / 2; pair++) memcpy(to + pair * DEPTH, row.data() + 2 * pair, 2 * sizeof(bfloat16));
    }
}

#endif
