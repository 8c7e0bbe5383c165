// All layers of a model in 16-bit fixed point: every product's left side is quantised as it is made.

#if defined(__AVX2__) && !defined(__AVX512F__)

#include "fixed.h"
#include "layers.h"

namespace {

class FixedDesk {
public:
    using Packed = int16_t;
    int threads = 1;

    struct Left {
        int64_t rows;
        const int16_t* whole;
        const float* scales;
    };

    template <class Fill>
    Left left(int slot, int64_t rows, int64_t inputs, const Fill& fill) {
        int16_t* numbers = kept(slots[slot].numbers, rows * inputs);
        float* scales = kept(slots[slot].scales, rows);
        parallel((rows + 15) / 16, threads, [&](int64_t block) {
            static thread_local Room<float> room;
            float* row_of = kept(room, inputs);
            for (int64_t row = block * 16; row < std::min(rows, block * 16 + 16); row++) {
                fill(row, row_of);
                quantise_row(inputs, row_of, numbers + row * inputs, scales + row);
            }
        });
        return {rows, numbers, scales};
    }

    template <class Function>
    Left through(int slot, const Left& side, const Matrix<Packed>& by, const Function& f) {
        float* made = kept(between, side.rows * by.outputs);
        multiply(side, by, Place::rows(made, by.outputs));
        return left(slot, side.rows, by.outputs, [&](int64_t row, float* out) {
            for (int64_t c = 0; c < by.outputs; c += LANES) store(out + c, f(load(made + row * by.outputs + c)));
        });
    }

    template <class Function>
    void multiply_through(int slot, const Left& side, const Matrix<Packed>& by, const Matrix<Packed>& second, const Place& to,
                          const Function& f) {
        multiply(through(slot, side, by, f), second, to);
    }

    auto taking(int, int64_t rows, int64_t inputs) {
        float* made = kept(between, rows * inputs);
        return [=](int64_t row, int64_t column, Floats x) { store(made + row * inputs + column, x); };
    }

    Left taken(int slot, int64_t rows, int64_t inputs) {
        const float* made = between.data();
        return left(slot, rows, inputs, [=](int64_t row, float* out) { memcpy(out, made + row * inputs, sizeof(float) * inputs); });
    }

    void multiply(const Left& left, const Matrix<Packed>& by, const Place& to) {
        ::multiply(left.rows, by.inputs, by.outputs, left.whole, left.scales, {by.packed, by.scales}, to, threads);
    }

    Matrix<Packed> columns(const Matrix<Packed>& by, int64_t first, int64_t count) {
        return {by.packed + first * by.inputs, by.scales + first, count, by.inputs};
    }

private:
    struct Whole {
        Room<int16_t> numbers;
        Room<float> scales;
    };
    Whole slots[SLOTS];
    Room<float> between;
};

}  // namespace

WHOLE_LAYERS(fixed, FixedDesk)

#endif
