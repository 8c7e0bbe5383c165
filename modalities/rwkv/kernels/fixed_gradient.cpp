// The gradient of a weight in fixed point, toᵧ' · x: its sums run over tokens, so the columns of both sides, not their
// rows, have to become pairs. x comes with one scale a token, as the forward pass quantised it; that goes into the
// gradient of y, which is quantised anew by column and block of tokens.

#if defined(__AVX2__) && !defined(__AVX512F__)

#include "fixed.h"

namespace {

constexpr int64_t WIDE = 128;  // columns of the gradient packed together: they stay in the second-level cache

// Some tokens, the rows of a matrix; there is always another row of zeros after an odd last one.
template <class T>
struct Tokens {
    const T* first;
    int64_t count, stride;

    const T* row(int64_t token, const T* zeros) const { return token < count ? first + token * stride : zeros; }
    int64_t pairs() const { return (count + 1) / 2; }
};

// Scales of 16 columns, as fine as LIMIT · Σ|column| allows, and what to multiply them with.
struct Scales {
    alignas(32) float scale[PANEL], factor[PANEL];

    Scales(const Tokens<float>& y, const float* token_scales) {
        for (int half = 0; half < PANEL; half += LANES) {
            Floats total = {};
            __m256i largest = _mm256_setzero_si256();
            for (int64_t token = 0; token < y.count; token++) {
                Floats size = reinterpret_cast<Floats>(sizes_of(y.first + token * y.stride + half)) * token_scales[token];
                total += size;
                largest = _mm256_max_epi32(largest, reinterpret_cast<__m256i>(size));
            }
            Floats by_sum = total / ROOM, by_size = reinterpret_cast<Floats>(largest) / 32767.f;
            Floats found = by_sum < by_size ? by_size : by_sum;
            store(scale + half, found);
            store(factor + half, found > 0.f ? 1.f / found : Floats{});
        }
    }
};

inline __m256i whole_row(const float* y, float token_scale, const Scales& by) {
    Floats low = load(y) * token_scale * load(by.factor), high = load(y + LANES) * token_scale * load(by.factor + LANES);
    return whole(reinterpret_cast<__m256>(low), reinterpret_cast<__m256>(high));
}

// Columns in fours, each four with all its pairs of tokens: (columns / 4, pairs, 4, 2).
void pack_left(const Tokens<float>& y, int64_t columns, const float* token_scales, int16_t* to, float* scales) {
    static const float zeros[PANEL] = {};
    int64_t four = y.pairs() * 2 * TALL;
    for (int64_t c = 0; c < columns; c += PANEL, to += PANEL / TALL * four) {
        Tokens<float> own{y.first + c, y.count, y.stride};
        Scales by(own, token_scales);
        memcpy(scales + c, by.scale, sizeof by.scale);
        for (int64_t pair = 0; pair < y.pairs(); pair++) {
            int64_t odd = 2 * pair + 1;
            __m256i now = whole_row(own.row(odd - 1, zeros), token_scales[odd - 1], by);
            __m256i next = whole_row(own.row(odd, zeros), odd < y.count ? token_scales[odd] : 0.f, by);
            // The quarters that `whole` exchanged come right here.
            __m256i low = _mm256_unpacklo_epi16(now, next), high = _mm256_unpackhi_epi16(now, next);
            __m128i fours[] = {_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1),
                               _mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1)};
            for (int64_t part = 0; part < PANEL / TALL; part++)
                _mm_storeu_si128(reinterpret_cast<__m128i*>(to + part * four + pair * 2 * TALL), fours[part]);
        }
    }
}

// Columns in panels, each with all its pairs of tokens: (columns / 16, pairs, 16, 2).
void pack_right(const Tokens<int16_t>& x, int64_t columns, int16_t* to) {
    static thread_local Room<int16_t> room;
    const int16_t* zeros = kept(room, columns);
    for (int64_t pair = 0; pair < x.pairs(); pair++) {
        const int16_t *now = x.row(2 * pair, zeros), *next = x.row(2 * pair + 1, zeros);
        for (int64_t c = 0; c < columns; c += PANEL) {
            __m256i one = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(now + c));
            __m256i other = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(next + c));
            __m256i low = _mm256_unpacklo_epi16(one, other), high = _mm256_unpackhi_epi16(one, other);
            __m256i* at = reinterpret_cast<__m256i*>(to + (c * x.pairs() + pair * PANEL) * 2);
            _mm256_storeu_si256(at, _mm256_permute2x128_si256(low, high, 0x20));
            _mm256_storeu_si256(at + 1, _mm256_permute2x128_si256(low, high, 0x31));
        }
    }
}

}  // namespace

// out (outputs, inputs) = toᵧ (tokens, outputs)' · x (tokens, inputs), which is quantised. Both are multiples of 16.
extern "C" void fixed_weight_gradient(int64_t tokens, int64_t outputs, int64_t inputs, const float* to_y, const int16_t* x,
                                      const float* token_scales, float* out, int threads) {
    static thread_local Room<int16_t> room_right;
    int16_t* right = kept(room_right, inputs * BLOCK);
    static const float ones[PANEL] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    for (int64_t begin = 0; begin < tokens; begin += BLOCK) {
        int64_t count = std::min(BLOCK, tokens - begin);
        Tokens<int16_t> rows{x + begin * inputs, count, inputs};
        pack_right(rows, inputs, right);
        parallel((outputs + WIDE - 1) / WIDE, threads, [&](int64_t part) {
            static thread_local Room<int16_t> room_left;
            int16_t* left = kept(room_left, WIDE * BLOCK);
            alignas(32) float scales[WIDE];
            int64_t first = part * WIDE, columns = std::min(WIDE, outputs - first), pairs = rows.pairs();
            pack_left({to_y + begin * outputs + first, count, outputs}, columns, token_scales + begin, left, scales);
            for (int64_t panel = 0; panel < inputs; panel += PANEL)
                for (int64_t c = 0; c < columns; c += TALL)
                    tile<TALL, 2 * TALL>(left + c * pairs * 2, 2, 2 * pairs, right + panel * pairs * 2, scales + c, ones,
                                         out + (first + c) * inputs + panel, inputs, begin == 0);
        });
    }
}

#endif
