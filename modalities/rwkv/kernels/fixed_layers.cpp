// All layers of a model in 16-bit fixed point: every product's left side is quantised as it is made.

#if defined(__AVX2__) && !defined(__AVX512F__)

#include "fixed.h"
#include "layers.h"

namespace {

class FixedDesk {
public:
    using Packed = int16_t;
    struct Use {};
    int threads = 1;

    struct Left {
        int64_t rows, inputs;
        int16_t* whole;
        float* scales;
    };

    Left left(int slot, int64_t rows, int64_t inputs) { return slots[slot].left(rows, inputs); }

    Left own(int slot, int64_t rows, int64_t inputs) {
        static thread_local Whole rooms[SLOTS];
        return rooms[slot].left(rows, inputs);
    }

    Left some(const Left& left, int64_t first, int64_t count) {
        return {count, left.inputs, left.whole + first * left.inputs, left.scales + first};
    }

    template <int COUNT>
    void mix(const Mixtures& mixtures, const Left* to) {
        static thread_local Room<float> room;
        int64_t width = to->inputs;
        float *now = kept(room, 3 * width), *back = now + width, *mixed = back + width;
        for (int64_t row = 0; row < to->rows; row++) {
            for (int64_t c = 0; c < width; c += LANES) {
                auto step = mixtures.after(mixtures.before(row, c), row, c);
                store(now + c, step.now);
                store(back + c, step.back);
            }
            for (int m = 0; m < COUNT; m++) {
                for (int64_t c = 0; c < width; c += LANES)
                    store(mixed + c, Mixtures::Step{load(now + c), load(back + c)}.by(load(mixtures.ratio(m, c))));
                quantise_row(width, mixed, to[m].whole + row * width, to[m].scales + row);
            }
        }
    }

    template <class Function>
    void through(const Left& side, const Matrix<Packed>& by, const Left& to, const Function& f) {
        through(side, by, to, 1, f);
    }

    template <class Function>
    void add_through(int slot, const Left& side, const Matrix<Packed>& by, const Matrix<Packed>& second, const Place& to,
                     const Function& f) {
        Left made = left(slot, side.rows, by.outputs);
        through(side, by, made, threads, f);
        multiply(made, second, to, true);
    }

    auto taking(int, int64_t rows, int64_t inputs) {
        float* made = kept(between, rows * inputs);
        return [=](int64_t row, int64_t column, Floats x) { store(made + row * inputs + column, x); };
    }

    Left taken(int slot, int64_t rows, int64_t inputs) {
        Left to = left(slot, rows, inputs);
        const float* made = between.data();
        fill(to, threads, [=](int64_t row, float* out) { memcpy(out, made + row * inputs, sizeof(float) * inputs); });
        return to;
    }

    void multiply(const Left& left, const Matrix<Packed>& by, const Place& to, bool add) { multiply(left, by, to, add, threads); }

    template <class Take>
    static void mix_head(const Head<float>& head, HeadState& state, const Take& take) { mix_singly(head, state, take); }

    Matrix<Packed> columns(const Matrix<Packed>& by, int64_t first, int64_t count) {
        return {by.packed + first * by.inputs, by.scales + first, count, by.inputs};
    }

private:
    struct Whole {
        Room<int16_t> numbers;
        Room<float> scales;

        Left left(int64_t rows, int64_t inputs) { return {rows, inputs, kept(numbers, rows * inputs), kept(scales, rows)}; }
    };

    // Rows that make(row, to) makes, quantised.
    template <class Make>
    static void fill(const Left& to, int threads, const Make& make) {
        parallel((to.rows + 15) / 16, threads, [&](int64_t block) {
            static thread_local Room<float> room;
            float* made = kept(room, to.inputs);
            for (int64_t row = block * 16; row < std::min(to.rows, block * 16 + 16); row++) {
                make(row, made);
                quantise_row(to.inputs, made, to.whole + row * to.inputs, to.scales + row);
            }
        });
    }

    template <class Function>
    static void through(const Left& side, const Matrix<Packed>& by, const Left& to, int threads, const Function& f) {
        static thread_local Room<float> room;
        float* sums = kept(room, side.rows * by.outputs);
        multiply(side, by, Place::rows(sums, by.outputs), false, threads);
        fill(to, threads, [&](int64_t row, float* out) {
            for (int64_t c = 0; c < by.outputs; c += LANES) store(out + c, f(load(sums + row * by.outputs + c)));
        });
    }

    static void multiply(const Left& left, const Matrix<Packed>& by, const Place& to, bool add, int threads) {
        ::multiply(left.rows, by.inputs, by.outputs, left.whole, left.scales, {by.packed, by.scales}, to, add, threads);
    }

    Whole slots[SLOTS];
    Room<float> between;
};

}  // namespace

WHOLE_LAYERS(fixed, FixedDesk)

#endif
