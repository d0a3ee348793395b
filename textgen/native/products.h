/* Products of a few rows with weights of 32, 16 or 8 bits.

   Outputs are computed in groups of four vectors; what is done with a group's sums (bias, gates)
   follows while they are at hand. Letters: N rows, I inputs, O outputs, G the size of a group. */

#ifndef TEXTGEN_PRODUCTS_H
#define TEXTGEN_PRODUCTS_H

#include "vectors.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define UNROLL _Pragma("GCC unroll 16")

enum { VECTORS = 4, GROUP = VECTORS * LANES };

/* Rows at once by vectors: ROWS x VECTORS sums and VECTORS weights fill the registers. */
#if LANES == 16
#define ROWS 6
#else
#define ROWS 2
#endif

/* Products of two 16-bit numbers at once, of four bytes, and of tiles of 16 rows. */
#if LANES == 16 && defined(__AVX512BF16__)
#define PAIRS 1
#else
#define PAIRS 0
#endif
#if LANES == 16 && defined(__AVX512VNNI__)
#define BYTES 1
#define BYTE_ROWS 3
#else
#define BYTES 0
#define BYTE_ROWS ROWS
#endif
#if PAIRS && BYTES && defined(__AMX_BF16__) && defined(__AMX_INT8__)
#define TILES 16
#else
#define TILES 0
#endif

/* Weights in the order (O/G, I/P, G, P): P = 1, 2 or 4 neighbouring inputs, for numbers of 32, 16
   or 8 bits. O and I are filled up with zeros to multiples of G and of 64. */
typedef struct {
    const void *weights;
    const float *bias;   /* (O,), or null */
    const float *scale;  /* INT8: (O,), what the integers are multiplied by */
    const int32_t *sums; /* INT8: (O,), sums of the integers over the inputs */
    int64_t outputs;     /* O */
    int64_t inputs;      /* I */
    int64_t real;        /* outputs that there are; for a cell its units */
    int32_t type;
} layout;

/* N rows; of [x; h] the two parts stand in two places. */
typedef struct {
    const void *first, *second;
    int64_t width, more; /* of the parts; more = 0 where there is one */
    int32_t type;        /* FLOAT32 or BFLOAT16 */
} rows_of;

/* Rows in the type in which they are multiplied, filled up to I. */
typedef struct {
    int64_t width;
    const float *wide;
    const uint16_t *narrow;
    const uint8_t *high, *low; /* x = scale * (256 high + low - 32768) */
    const float *scale;        /* (N,) */
} operand;

INLINE size_t bytes_needed(const layout *w, int64_t rows) {
    return (size_t)rows * ((size_t)w->inputs * 6 + 4) + 64;
}

INLINE void widen(const void *from, int32_t type, int64_t at, int64_t count, float *to) {
    for (int64_t i = 0; i < count; i += LANES)
        put(to, FLOAT32, i, take(from, type, at + i, count - i), count - i);
}

INLINE void gather(const rows_of *rows, int64_t row, float *to, int64_t width) {
    const int64_t real = rows->width + rows->more;
    widen(rows->first, rows->type, row * rows->width, rows->width, to);
    widen(rows->second, rows->type, row * rows->more, rows->more, to + rows->width);
    memset(to + real, 0, 4 * (size_t)(width - real));
}

INLINE void gather_narrow(const rows_of *rows, int64_t row, uint16_t *to, int64_t width) {
    const uint16_t *first = rows->first, *second = rows->second;
    int64_t real = rows->width + rows->more;
    memcpy(to, first + row * rows->width, 2 * (size_t)rows->width);
    if (rows->more) memcpy(to + rows->width, second + row * rows->more, 2 * (size_t)rows->more);
    memset(to + real, 0, 2 * (size_t)(width - real));
}

/* 16 bits for each number of a row, the largest being 32767, as two bytes. Sums of products with
   bytes are exact then, and finer than bfloat16 near the largest; a row's scale is its own. */
INLINE float halve(const float *from, int64_t width, uint8_t *high, uint8_t *low) {
    vector most = spread(0), sum = spread(0);
    for (int64_t i = 0; i < width; i += LANES) {
        vector x = load(from + i);
        most = greater(greater(x, -x), most);
        sum += x - x; /* NaN if one of them is no number */
    }
    const float top = largest(most), none = total(sum);
    float factor = top > 0 ? 32767.0f / top : 0;
    for (int64_t i = 0; i < width; i += LANES) {
        integers bits = (integers)(load(from + i) * factor + 12582912.0f) - 0x4b400000 + 32768;
        *(loose_bytes *)(high + i) = __builtin_convertvector(bits >> 8, loose_bytes);
        *(loose_bytes *)(low + i) = __builtin_convertvector(bits & 255, loose_bytes);
    }
    return none == 0 ? top / 32767.0f : NAN;
}

/* Rows as they are multiplied; `scratch` has bytes_needed. */
INLINE operand prepare(const layout *w, const rows_of *rows, int64_t count, char *scratch) {
    const int64_t width = w->inputs;
    const int whole = rows->width == width && !rows->more;
    operand x = {.width = width};
    if (w->type == FLOAT32 && rows->type == FLOAT32 && whole) {
        x.wide = rows->first;
        return x;
    }
    if (PAIRS && w->type == BFLOAT16 && rows->type == BFLOAT16) {
        x.narrow = whole ? rows->first : scratch;
        for (int64_t r = 0; !whole && r < count; r++)
            gather_narrow(rows, r, (uint16_t *)scratch + r * width, width);
        return x;
    }
    float *wide = (float *)scratch;
    for (int64_t r = 0; r < count; r++) gather(rows, r, wide + r * width, width);
    x.wide = wide;
    char *rest = (char *)(wide + count * width);
    if (PAIRS && w->type == BFLOAT16) {
        uint16_t *narrow = (uint16_t *)rest;
        for (int64_t i = 0; i < count * width; i += LANES)
            store_narrowed(narrow + i, load(wide + i));
        x.narrow = narrow;
    }
    if (BYTES && w->type == INT8) {
        float *scale = (float *)rest;
        uint8_t *high = (uint8_t *)(scale + count), *low = high + count * width;
        for (int64_t r = 0; r < count; r++)
            scale[r] = halve(wide + r * width, width, high + r * width, low + r * width);
        x.high = high;
        x.low = low;
        x.scale = scale;
    }
    return x;
}

INLINE void clear(int R, vector found[][VECTORS]) {
    for (int r = 0; r < R; r++)
        for (int v = 0; v < VECTORS; v++) found[r][v] = spread(0);
}

INLINE void keep(int R, vector found[][VECTORS], float *sums) {
    for (int r = 0; r < R; r++)
        for (int v = 0; v < VECTORS; v++) store(sums + r * GROUP + v * LANES, found[r][v]);
}

/* One group of outputs for R rows from row `from` on, into `sums` (R, G). R is known where these
   are called, so that the sums stand in registers. */
INLINE void multiply_floats(int R, const layout *w, int64_t group, const operand *x, int64_t from,
                            float *sums) {
    const float *weights = (const float *)w->weights + group * w->inputs * GROUP;
    const float *rows = x->wide + from * x->width;
    vector found[ROWS][VECTORS];
    clear(R, found);
    for (int64_t i = 0; i < w->inputs; i++, weights += GROUP)
        for (int r = 0; r < R; r++) {
            vector value = spread(rows[r * x->width + i]);
            for (int v = 0; v < VECTORS; v++) found[r][v] += value * load(weights + v * LANES);
        }
    keep(R, found, sums);
}

/* Sums of the two halves of 16-bit rows to sums of products. */
INLINE void join_halves(const layout *w, int64_t at, float scale, integers high, integers low,
                        float *to) {
    vector whole = __builtin_convertvector(high - 128 * load_integers(w->sums + at), vector);
    whole = whole * 256.0f + __builtin_convertvector(low, vector);
    store(to, whole * (load(w->scale + at) * scale));
}

#if PAIRS
INLINE void multiply_pairs(int R, const layout *w, int64_t group, const operand *x, int64_t from,
                           float *sums) {
    const uint16_t *weights = (const uint16_t *)w->weights + group * w->inputs * GROUP;
    const uint16_t *rows = x->narrow + from * x->width;
    vector found[ROWS][VECTORS];
    clear(R, found);
    for (int64_t i = 0; i < w->inputs; i += 2, weights += 2 * GROUP)
        for (int r = 0; r < R; r++) {
            int32_t pair;
            memcpy(&pair, rows + r * x->width + i, 4);
            __m512bh value = (__m512bh)_mm512_set1_epi32(pair);
            for (int v = 0; v < VECTORS; v++) {
                __m512i weight = _mm512_loadu_si512(weights + v * 2 * LANES);
                found[r][v] =
                    (vector)_mm512_dpbf16_ps((__m512)found[r][v], value, (__m512bh)weight);
            }
        }
    keep(R, found, sums);
}
#else
/* The even weights of pairs stand in the lower halves of 32 bits, the odd ones in the upper. */
INLINE void multiply_pairs(int R, const layout *w, int64_t group, const operand *x, int64_t from,
                           float *sums) {
    const uint16_t *weights = (const uint16_t *)w->weights + group * w->inputs * GROUP;
    const float *rows = x->wide + from * x->width;
    vector found[ROWS][VECTORS];
    clear(R, found);
    for (int64_t i = 0; i < w->inputs; i += 2, weights += 2 * GROUP)
        for (int v = 0; v < VECTORS; v++) {
            integers pair = load_integers(weights + v * 2 * LANES);
            vector even = (vector)(pair << 16), odd = (vector)(pair >> 16 << 16);
            for (int r = 0; r < R; r++)
                found[r][v] += even * rows[r * x->width + i] + odd * rows[r * x->width + i + 1];
        }
    keep(R, found, sums);
}
#endif

#if BYTES
/* Sums of both halves of the rows: 2 x BYTE_ROWS x VECTORS of them fill the registers. The
   instruction stands here as it is, since GCC 12 copies the sums of its own to memory and back. */
INLINE void multiply_bytes(int R, const layout *w, int64_t group, const operand *x, int64_t from,
                           float *sums) {
    const int8_t *weights = (const int8_t *)w->weights + group * w->inputs * GROUP;
    const uint8_t *high = x->high + from * x->width, *low = x->low + from * x->width;
    __m512i upper[BYTE_ROWS][VECTORS], lower[BYTE_ROWS][VECTORS];
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int v = 0; v < VECTORS; v++)
            upper[r][v] = lower[r][v] = _mm512_setzero_si512();
    for (int64_t i = 0; i < w->inputs; i += 4, weights += 4 * GROUP) {
        __m512i weight[VECTORS];
        UNROLL for (int v = 0; v < VECTORS; v++)
            weight[v] = _mm512_loadu_si512(weights + v * 4 * LANES);
        UNROLL for (int r = 0; r < R; r++) {
            int32_t four, more;
            memcpy(&four, high + r * x->width + i, 4);
            memcpy(&more, low + r * x->width + i, 4);
            const __m512i first = _mm512_set1_epi32(four), second = _mm512_set1_epi32(more);
            UNROLL for (int v = 0; v < VECTORS; v++) {
                __asm__("vpdpbusd %2, %1, %0" : "+v"(upper[r][v]) : "v"(first), "v"(weight[v]));
                __asm__("vpdpbusd %2, %1, %0" : "+v"(lower[r][v]) : "v"(second), "v"(weight[v]));
            }
        }
    }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int v = 0; v < VECTORS; v++)
            join_halves(w, group * GROUP + v * LANES, x->scale[from + r], (integers)upper[r][v],
                        (integers)lower[r][v], sums + r * GROUP + v * LANES);
}
#else
INLINE void multiply_bytes(int R, const layout *w, int64_t group, const operand *x, int64_t from,
                           float *sums) {
    const int8_t *weights = (const int8_t *)w->weights + group * w->inputs * GROUP;
    const float *rows = x->wide + from * x->width;
    vector found[ROWS][VECTORS];
    clear(R, found);
    for (int64_t i = 0; i < w->inputs; i += 4, weights += 4 * GROUP)
        for (int v = 0; v < VECTORS; v++) {
            integers four = load_integers(weights + v * 4 * LANES);
            for (int part = 0; part < 4; part++) {
                integers one = (four << (24 - 8 * part)) >> 24;
                vector weight = __builtin_convertvector(one, vector);
                for (int r = 0; r < R; r++)
                    found[r][v] += weight * rows[r * x->width + i + part];
            }
        }
    for (int r = 0; r < R; r++)
        for (int v = 0; v < VECTORS; v++)
            store(sums + r * GROUP + v * LANES,
                  found[r][v] * load(w->scale + group * GROUP + v * LANES));
}
#endif

INLINE void multiply(int R, const layout *w, int64_t group, const operand *x, int64_t from,
                     float *sums) {
    if (w->type == FLOAT32) multiply_floats(R, w, group, x, from, sums);
    else if (w->type == BFLOAT16) multiply_pairs(R, w, group, x, from, sums);
    else if (R <= BYTE_ROWS) multiply_bytes(R, w, group, x, from, sums);
}

#if TILES
/* Tiles 0 to 3 are sums, 4 and 5 rows, 6 and 7 weights: up to 16 rows of 64 bytes each. */
typedef struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} tile_sizes;

/* For up to 16 rows, or for up to 32 of which the first 16 are in tiles 0, 1 and 4. */
INLINE void begin_tiles(int64_t rows) {
    static const uint8_t second[] = {2, 3, 5};
    tile_sizes sizes = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) {
        sizes.bytes[tile] = 64;
        sizes.rows[tile] = tile < 6 && rows < TILES ? (uint8_t)rows : TILES;
    }
    for (int other = 0; other < 3 && rows > TILES; other++)
        sizes.rows[second[other]] = (uint8_t)(rows - TILES);
    _tile_loadconfig(&sizes);
}

INLINE void zero_tiles(void) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

/* Up to 16 rows from row `from` on and four vectors of weights. */
INLINE void tile_pairs(const layout *w, int64_t group, const operand *x, int64_t from,
                       float *sums) {
    const uint16_t *weights = (const uint16_t *)w->weights + group * w->inputs * GROUP;
    const uint16_t *rows = x->narrow + from * x->width;
    const int64_t stride = 2 * x->width, step = 4 * GROUP;
    zero_tiles();
    for (int64_t i = 0; i < w->inputs; i += 32, weights += 32 * GROUP) {
        _tile_loadd(4, rows + i, stride);
        _tile_loadd(6, weights, step);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, weights + 32, step);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(6, weights + 64, step);
        _tile_dpbf16ps(2, 4, 6);
        _tile_loadd(7, weights + 96, step);
        _tile_dpbf16ps(3, 4, 7);
    }
    _tile_stored(0, sums, 4 * GROUP);
    _tile_stored(1, sums + LANES, 4 * GROUP);
    _tile_stored(2, sums + 2 * LANES, 4 * GROUP);
    _tile_stored(3, sums + 3 * LANES, 4 * GROUP);
}

/* 17 to 32 rows and two vectors of weights at a time: each tile that is loaded is used twice. */
INLINE void tile_more_pairs(const layout *w, int64_t group, const operand *x, int64_t from,
                            float *sums) {
    const int64_t stride = 2 * x->width, step = 4 * GROUP;
    const uint16_t *rows = x->narrow + from * x->width, *others = rows + TILES * x->width;
    for (int half = 0; half < 2; half++, sums += 2 * LANES) {
        const uint16_t *weights =
            (const uint16_t *)w->weights + group * w->inputs * GROUP + half * 64;
        zero_tiles();
        for (int64_t i = 0; i < w->inputs; i += 32, weights += 32 * GROUP) {
            _tile_loadd(4, rows + i, stride);
            _tile_loadd(6, weights, step);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, weights + 32, step);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, others + i, stride);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(0, sums, 4 * GROUP);
        _tile_stored(1, sums + LANES, 4 * GROUP);
        _tile_stored(2, sums + TILES * GROUP, 4 * GROUP);
        _tile_stored(3, sums + TILES * GROUP + LANES, 4 * GROUP);
    }
}

/* Up to 16 rows and two vectors at a time: each has sums for the upper and for the lower bytes. */
INLINE void tile_bytes(int64_t rows, const layout *w, int64_t group, const operand *x,
                       int64_t from, float *sums) {
    const int64_t step = 4 * GROUP;
    const uint8_t *high = x->high + from * x->width, *low = x->low + from * x->width;
    int32_t upper[TILES][2 * LANES], lower[TILES][2 * LANES];
    for (int half = 0; half < 2; half++) {
        const int8_t *weights = (const int8_t *)w->weights + group * w->inputs * GROUP + half * 128;
        zero_tiles();
        for (int64_t i = 0; i < w->inputs; i += 64, weights += 64 * GROUP) {
            _tile_loadd(4, high + i, x->width);
            _tile_loadd(5, low + i, x->width);
            _tile_loadd(6, weights, step);
            _tile_dpbusd(0, 4, 6);
            _tile_dpbusd(2, 5, 6);
            _tile_loadd(7, weights + 64, step);
            _tile_dpbusd(1, 4, 7);
            _tile_dpbusd(3, 5, 7);
        }
        _tile_stored(0, upper[0], 8 * LANES);
        _tile_stored(1, upper[0] + LANES, 8 * LANES);
        _tile_stored(2, lower[0], 8 * LANES);
        _tile_stored(3, lower[0] + LANES, 8 * LANES);
        for (int64_t r = 0; r < rows; r++)
            for (int v = 0; v < 2; v++) {
                int64_t at = (2 * half + v) * LANES;
                join_halves(w, group * GROUP + at, x->scale[from + r],
                            load_integers(upper[r] + v * LANES),
                            load_integers(lower[r] + v * LANES), sums + r * GROUP + at);
            }
    }
}

/* One group of outputs for up to TILES or, of 16-bit weights, 2 TILES rows. */
INLINE void multiply_tiles(int64_t rows, const layout *w, int64_t group, const operand *x,
                           int64_t from, float *sums) {
    if (w->type == INT8) tile_bytes(rows, w, group, x, from, sums);
    else if (rows > TILES) tile_more_pairs(w, group, x, from, sums);
    else tile_pairs(w, group, x, from, sums);
}
#endif

#endif
