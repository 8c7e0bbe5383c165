// All layers of a model in bfloat16: every product's left side is rounded as it is made, and what stands between two
// products never leaves bfloat16.

#if defined(__AVX512BF16__)

#include "half.h"
#include "layers.h"

namespace {

class HalfDesk {
public:
    using Packed = bfloat16;
    int threads = 1;

    struct Left {
        int64_t rows;
        const bfloat16* tiles;
    };

    template <class Fill>
    Left left(int slot, int64_t rows, int64_t inputs, const Fill& fill) {
        bfloat16* to = room_for(slot, rows, inputs);
        parallel(whole(rows, SIDE), threads, [&](int64_t block) {
            static thread_local Room<float> room;
            float* made = kept(room, inputs);
            for (int64_t row = block * SIDE; row < std::min(rows, (block + 1) * SIDE); row++) {
                fill(row, made);
                bfloat16* own = left_row(to, inputs, row);
                for (int64_t c = 0; c < inputs; c += LANES) put(own, c, load(made + c));
                fill_up(own, inputs);
            }
        });
        return {rows, to};
    }

    template <class Function>
    Left through(int slot, const Left& side, const Matrix<Packed>& by, const Function& f) {
        return through(slot, side, right(by), f);
    }

    // A part of what is between at a time, which stays in the cache that way.
    template <class Function>
    void multiply_through(int slot, const Left& side, const Matrix<Packed>& by, const Matrix<Packed>& second, const Place& to,
                          const Function& f) {
        constexpr int64_t PART = 1024;
        for (int64_t first = 0; first < by.outputs; first += PART) {
            int64_t count = std::min(PART, by.outputs - first);
            Left made = through(slot, side, right(by).some(first, count), f);
            multiply_half(made.rows, made.tiles, right(second).deep(first, count), threads, Rows{to, first > 0});
        }
    }

    auto taking(int slot, int64_t rows, int64_t inputs) {
        bfloat16* to = room_for(slot, rows, inputs);
        return [=](int64_t row, int64_t column, Floats x) { put(left_row(to, inputs, row), column, x); };
    }

    Left taken(int slot, int64_t rows, int64_t) { return {rows, slots[slot].data()}; }

    void multiply(const Left& left, const Matrix<Packed>& by, const Place& to) {
        multiply_half(left.rows, left.tiles, right(by), threads, Rows{to, false});
    }

    Matrix<Packed> columns(const Matrix<Packed>& by, int64_t first, int64_t count) {
        return {right(by).some(first, count).tiles, nullptr, count, by.inputs};
    }

private:
    Room<bfloat16> slots[SLOTS];

    static Right right(const Matrix<Packed>& by) { return Right::of(by.packed, by.outputs, by.inputs); }

    template <class Function>
    Left through(int slot, const Left& side, const Right& by, const Function& f) {
        bfloat16* to = room_for(slot, side.rows, by.columns);
        auto take = [&](int64_t row, int64_t column, Floats sums) { put(left_row(to, by.columns, row), column, f(sums)); };
        multiply_half(side.rows, side.tiles, by, threads, Taken<decltype(take)>{take});
        if (by.columns % DEPTH)
            for (int64_t row = 0; row < side.rows; row++) fill_up(left_row(to, by.columns, row), by.columns);
        return {side.rows, to};
    }

    bfloat16* room_for(int slot, int64_t rows, int64_t inputs) {
        return kept(slots[slot], whole(rows, SIDE) * whole(inputs, DEPTH) * CELL);
    }
};

}  // namespace

WHOLE_LAYERS(half, HalfDesk)

// weights (outputs, inputs) → a right side of outputs · whole(inputs, 32) · 32; both sizes are multiples of 16.
extern "C" void half_pack(int64_t outputs, int64_t inputs, const float* weights, bfloat16* packed, float*, int) {
    int64_t depth = whole(inputs, DEPTH);
    std::vector<bfloat16> row(depth * DEPTH);
    for (int64_t output = 0; output < outputs; output++) {
        for (int64_t input = 0; input < inputs; input += LANES) store_half(row.data() + input, load(weights + output * inputs + input));
        bfloat16* to = packed + output / SIDE * depth * CELL + output % SIDE * 2;
        for (int64_t pair = 0; pair < depth * DEPTH / 2; pair++) memcpy(to + pair * DEPTH, row.data() + 2 * pair, 2 * sizeof(bfloat16));
    }
}

// Whether products go by tiles here, if they may.
extern "C" int half_tiles(int may) {
    TileUse::forbidden = !may;
    return TileUse::allowed();
}

#endif
