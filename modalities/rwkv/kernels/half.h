// Matrix products of bfloat16 with sums in float32, for processors that multiply it: compiled for tiles (AMX) or for
// vectors (AVX512-BF16), from the same layout. A tile is 16 rows of 32 products deep.
//
// Left sides lie as [16 rows][32 deep][row][inner], right sides, the weights, as [16 columns][32 deep][pair][column][2];
// what is missing to a whole tile is zero in depth and anything in rows.

#pragma once

#include <immintrin.h>

#include <cstring>

#include "vectors.h"

namespace {

constexpr int64_t SIDE = 16;             // rows or columns of a tile
constexpr int64_t DEPTH = 32;            // products of a tile's one instruction
constexpr int64_t CELL = SIDE * DEPTH;   // numbers of a tile of either side
constexpr int64_t PAIR = 2 * SIDE;       // rows or columns computed together: as many tiles of sums as there is room for
// Tiles deep that are added up before the next rows. The weights of these stay in the first-level cache: all of its 48 KB,
// where left sides stream past (AMX), or half of 32 KB.
#if defined(__AMX_BF16__)
constexpr int64_t DEEP = 24;
#else
constexpr int64_t DEEP = 8;
#endif

inline int64_t whole(int64_t count, int64_t step) { return (count + step - 1) / step; }

// Where a row of a left side stands; the tiles that its numbers go to lie CELL apart.
inline bfloat16* left_row(bfloat16* left, int64_t inner, int64_t row) {
    return left + row / SIDE * SIDE * whole(inner, DEPTH) * DEPTH + row % SIDE * DEPTH;
}

// Sixteen numbers of a left side's row, from column `inner` on, or thirty-two, which are a row of a tile.
inline void put(bfloat16* row, int64_t inner, Floats x) { store(row + inner / DEPTH * CELL + inner % DEPTH, x); }
inline void put(bfloat16* row, int64_t inner, Floats low, Floats high) {
    _mm512_storeu_si512(row + inner / DEPTH * CELL, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
}

// Zeros for the last half of a row of tiles, where the depth is an odd multiple of 16.
inline void fill_up(bfloat16* row, int64_t inner) {
    if (inner % DEPTH) put(row, inner, Floats{});
}

#if defined(__AMX_BF16__)

// Tiles are state of the thread, and others in this process (oneDNN) have a use of their own for them. To lay them out and
// back takes as long as some products, so a use within another one has nothing to do.
class TileUse {
public:
    TileUse() {
        if (uses++) return;
        alignas(64) static constexpr Shape ALL{1, 0, {}, {64, 64, 64, 64, 64, 64, 64, 64}, {}, {16, 16, 16, 16, 16, 16, 16, 16}, {}};
        _tile_storeconfig(&before);
        _tile_loadconfig(&ALL);
    }
    ~TileUse() {
        if (--uses) return;
        if (before.palette) _tile_loadconfig(&before);
        else _tile_release();
    }

private:
    struct Shape {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[8], unused[8];
        uint8_t rows[8], none[8];
    };
    alignas(64) Shape before;
    static inline thread_local int uses = 0;
};

// To be called between what stores numbers and what loads tiles of them: the compiler's own tile loads do not say that they
// read memory (GCC 12), so it would be free to store afterwards.
inline void all_stored() { __asm__ volatile("" ::: "memory"); }

#else

struct TileUse {
    ~TileUse() {}  // so that it is used
};

#endif

// Weights that will be read soon, fetched so many lines a step of depth: they come from far away.
struct Coming {
    const bfloat16* at;
    int64_t lines;

    void fetch() {
        constexpr int64_t LINE = 64 / sizeof(bfloat16);
        for (int64_t line = 0; line < lines; line++, at += LINE) __builtin_prefetch(at, 0, 2);
    }
};

// Some tiles of a row of either side, `count` of them; so many numbers later comes the next row.
struct Deep {
    const bfloat16 *left, *right;
    int64_t count, next_left, next_right;
};

// Sums of one or two tiles down and across, rows `stride` apart.
struct Square {
    float* first;
    int64_t stride;
    float* at(int down, int across) const { return first + down * SIDE * stride + across * SIDE; }
};

// to = from + left · right; `from` is null at the beginning.
using Step = void (*)(const Deep& deep, const Square* from, const Square& to, Coming& coming);

#if defined(__AMX_BF16__)

template <int DOWN, int ACROSS>
void add_step(const Deep& deep, const Square* from, const Square& to, Coming& coming) {
    constexpr bool BOTH = DOWN > 1 && ACROSS > 1;
    all_stored();
    if (from) {
        int64_t apart = from->stride * sizeof(float);
        _tile_loadd(0, from->at(0, 0), apart);
        if (ACROSS > 1) _tile_loadd(1, from->at(0, 1), apart);
        if (DOWN > 1) _tile_loadd(2, from->at(1, 0), apart);
        if (BOTH) _tile_loadd(3, from->at(1, 1), apart);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    const bfloat16 *left = deep.left, *right = deep.right;
    for (int64_t k = 0; k < deep.count; k++, left += CELL, right += CELL) {
        coming.fetch();
        // "stream": passing through, lest it drive the right side, which all rows need, out of the first-level cache.
        _tile_stream_loadd(4, left, 64);
        _tile_loadd(6, right, 64);
        if (DOWN > 1) _tile_stream_loadd(5, left + deep.next_left, 64);
        if (ACROSS > 1) _tile_loadd(7, right + deep.next_right, 64);
        _tile_dpbf16ps(0, 4, 6);
        if (ACROSS > 1) _tile_dpbf16ps(1, 4, 7);
        if (DOWN > 1) _tile_dpbf16ps(2, 5, 6);
        if (BOTH) _tile_dpbf16ps(3, 5, 7);
    }
    int64_t apart = to.stride * sizeof(float);
    _tile_stored(0, to.at(0, 0), apart);
    if (ACROSS > 1) _tile_stored(1, to.at(0, 1), apart);
    if (DOWN > 1) _tile_stored(2, to.at(1, 0), apart);
    if (BOTH) _tile_stored(3, to.at(1, 1), apart);
}

#else

template <int DOWN, int ACROSS>
void add_step(const Deep& deep, const Square* from, const Square& to, Coming& coming) {
    constexpr int TALL = 8;  // rows whose sums stay in registers together
    for (int64_t row = 0; row < DOWN * SIDE; row += TALL) {
        __m512 total[TALL][ACROSS];
        for (int r = 0; r < TALL; r++)
            for (int a = 0; a < ACROSS; a++)
                total[r][a] = from ? load(from->first + (row + r) * from->stride + a * SIDE) : Floats{};
        const bfloat16* rows = deep.left + row / SIDE * deep.next_left + row % SIDE * DEPTH;
        for (int64_t pair = 0; pair < deep.count * SIDE; pair++) {
            if (row == 0 && pair % SIDE == 0) coming.fetch();
            __m512bh weights[ACROSS];
            for (int a = 0; a < ACROSS; a++)
                weights[a] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(deep.right + a * deep.next_right + pair * DEPTH));
#pragma GCC unroll 8
            for (int r = 0; r < TALL; r++) {
                int32_t both;
                memcpy(&both, rows + pair / SIDE * CELL + r * DEPTH + pair % SIDE * 2, sizeof both);
                for (int a = 0; a < ACROSS; a++)
                    total[r][a] = _mm512_dpbf16_ps(total[r][a], reinterpret_cast<__m512bh>(_mm512_set1_epi32(both)), weights[a]);
            }
        }
        for (int r = 0; r < TALL; r++)
            for (int a = 0; a < ACROSS; a++) store(to.first + (row + r) * to.stride + a * SIDE, total[r][a]);
    }
}

#endif

inline Step step_of(bool down, bool across) {
    static constexpr Step STEPS[2][2] = {{add_step<1, 1>, add_step<1, 2>}, {add_step<2, 1>, add_step<2, 2>}};
    return STEPS[down][across];
}

// Where whole tiles of sums go at once: nowhere, if they have to pass through take(row, column, sums of one or two times
// sixteen columns). `add`: sums begin with what is there already.
struct Rows {
    Place to;
    bool add;
    Square square(int64_t row, int64_t column) const { return {to.at(row, column), to.stride}; }
    Floats there(int64_t row, int64_t column) const { return load(to.at(row, column)); }
    void take(int64_t row, int64_t column, Floats sums) const { store(to.at(row, column), sums); }
    void take(int64_t row, int64_t column, Floats low, Floats high) const {
        take(row, column, low);
        take(row, column + SIDE, high);
    }
};

template <class Take>
struct Taken {
    Take take;
    static constexpr bool add = false;
    Square square(int64_t, int64_t) const { return {}; }
    Floats there(int64_t, int64_t) const { return Floats{}; }
};

// Some columns of a right side, or of their depth alone.
struct Right {
    const bfloat16* tiles;
    int64_t columns, inner, next;  // next: numbers from one sixteen of columns to the other

    static Right of(const bfloat16* packed, int64_t columns, int64_t inner) {
        return {packed, columns, inner, whole(inner, DEPTH) * CELL};
    }
    Right some(int64_t first, int64_t count) const { return {tiles + first / SIDE * next, count, inner, next}; }
    Right deep(int64_t first, int64_t count) const { return {tiles + first / DEPTH * CELL, columns, count, next}; }
};

// left (rows, right.inner) · right; columns are a multiple of 16.
struct Product {
    int64_t rows;
    const bfloat16* left;
    Right right;

    int64_t depth() const { return whole(right.inner, DEPTH); }
};

// What the sums of a square that has less than whole tiles of rows begin with. Apart, as it is seldom wanted.
template <class Sink>
__attribute__((noinline)) void begin_sums(const Product& product, int64_t row, int64_t column, float* sums, const Sink& sink) {
    int64_t rows = std::min(PAIR, product.rows - row), columns = std::min(PAIR, product.right.columns - column);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c += SIDE) store(sums + r * PAIR + c, sink.there(row + r, column + c));
}

// One square of the product: `count` tiles of depth from `begin` on, added to what `sums` holds of those before; the
// last ones go to the sink.
template <class Sink>
void multiply_square(const Product& product, int64_t row, int64_t column, int64_t begin, int64_t count, float* sums,
                     Coming& coming, const Sink& sink) {
    int64_t next_left = product.depth() * CELL, next_right = product.right.next;
    bool down = row + SIDE < product.rows, across = column + SIDE < product.right.columns;
    bool last = begin + count == product.depth(), fits = row + (down ? PAIR : SIDE) <= product.rows;
    Square own{sums, PAIR}, there = fits ? sink.square(row, column) : Square{};
    if (sink.add && !begin && !there.first) begin_sums(product, row, column, sums, sink);
    const Square *added = sink.add ? (there.first ? &there : &own) : nullptr, *before = begin ? &own : added;
    const Square* to = last && there.first ? &there : &own;
    Deep deep{product.left + row / SIDE * next_left + begin * CELL,
              product.right.tiles + column / SIDE * next_right + begin * CELL, count, next_left, next_right};
    step_of(down, across)(deep, before, *to, coming);
    if (!last || to == &there) return;
    for (int64_t r = row; r < std::min(product.rows, row + PAIR); r++, sums += PAIR)
        if (across) sink.take(r, column, load(sums), load(sums + SIDE));
        else sink.take(r, column, load(sums));
}

// All rows of two tiles of columns.
template <class Sink>
void multiply_columns(const Product& product, int64_t column, const Sink& sink) {
    static thread_local Room<float> room;
    int64_t depth = product.depth(), pairs = whole(product.rows, PAIR), next = column + PAIR;
    float* sums = kept(room, pairs * PAIR * PAIR);
    Coming coming{product.right.tiles + next / SIDE * product.right.next, next < product.right.columns ? whole(PAIR, pairs) : 0};
    int64_t slice = whole(depth, whole(depth, DEEP));  // all about as deep
    for (int64_t begin = 0; begin < depth; begin += slice)
        for (int64_t row = 0; row < product.rows; row += PAIR)
            multiply_square(product, row, column, begin, std::min(slice, depth - begin), sums + row * PAIR, coming, sink);
}

// Each thread has a part of the columns.
template <class Sink>
void multiply_half(int64_t rows, const bfloat16* left, const Right& right, int threads, const Sink& sink) {
    int64_t pairs = whole(right.columns, PAIR), parts = std::min<int64_t>(threads, pairs);
    parallel(parts, threads, [&](int64_t part) {
        TileUse use;
        for (int64_t pair = pairs * part / parts; pair < pairs * (part + 1) / parts; pair++)
            multiply_columns({rows, left, right}, pair * PAIR, sink);
    });
}

}  // namespace
