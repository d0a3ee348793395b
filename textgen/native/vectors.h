/* Vectors of float32 as wide as the processor has them, and functions of them.

   Written with the vector types of GCC and Clang: one text for every processor. */

#ifndef TEXTGEN_VECTORS_H
#define TEXTGEN_VECTORS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float vector __attribute__((vector_size(4 * LANES)));
typedef int32_t integers __attribute__((vector_size(4 * LANES)));
/* the same in memory, at any address */
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t loose_integers __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint8_t loose_bytes __attribute__((vector_size(LANES), aligned(1), may_alias));
typedef uint16_t loose_halves __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

/* Types of numbers in memory; library.py has the same. */
enum { FLOAT32 = 0, BFLOAT16 = 1, INT8 = 2 };

#define INLINE static inline __attribute__((always_inline))

INLINE vector spread(float value) {
    vector zeros = {0};
    return zeros + value;
}

INLINE vector load(const float *from) { return *(const loose *)from; }

INLINE void store(float *to, vector values) { *(loose *)to = values; }

INLINE integers load_integers(const void *from) { return *(const loose_integers *)from; }

INLINE float widened(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, 4);
    return value;
}

/* To the nearest bfloat16, ties to even, as torch rounds. */
INLINE uint16_t narrowed(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if (value != value) return 0x7fc0;
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

INLINE float number(const void *from, int32_t type, int64_t at) {
    return type == FLOAT32 ? ((const float *)from)[at] : widened(((const uint16_t *)from)[at]);
}

INLINE vector widened_vector(const uint16_t *from) {
    return (vector)(__builtin_convertvector(*(const loose_halves *)from, integers) << 16);
}

/* As `narrowed`. */
INLINE void store_narrowed(uint16_t *to, vector values) {
    integers bits = (integers)values;
    integers rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    integers bad = (integers)(values != values);
    rounded = (rounded & ~bad) | (0x7fc0 & bad);
    *(loose_halves *)to = __builtin_convertvector(rounded, loose_halves);
}

/* The numbers from place `at` on, of which there are `count`; 0 for those that there are not. */
INLINE vector take(const void *from, int32_t type, int64_t at, int64_t count) {
    if (count >= LANES)
        return type == FLOAT32 ? load((const float *)from + at)
                               : widened_vector((const uint16_t *)from + at);
    vector values = spread(0);
    for (int lane = 0; lane < count; lane++) values[lane] = number(from, type, at + lane);
    return values;
}

INLINE void put(void *to, int32_t type, int64_t at, vector values, int64_t count) {
    if (count >= LANES) {
        if (type == FLOAT32) store((float *)to + at, values);
        else store_narrowed((uint16_t *)to + at, values);
        return;
    }
    for (int lane = 0; lane < count; lane++) {
        if (type == FLOAT32) ((float *)to)[at + lane] = values[lane];
        else ((uint16_t *)to)[at + lane] = narrowed(values[lane]);
    }
}

INLINE vector chosen(integers where, vector yes, vector no) {
    return (vector)(((integers)yes & where) | ((integers)no & ~where));
}

INLINE vector greater(vector a, vector b) { return chosen((integers)(a > b), a, b); }

INLINE float total(vector values) {
    float sum = 0;
    for (int lane = 0; lane < LANES; lane++) sum += values[lane];
    return sum;
}

INLINE float largest(vector values) {
    float best = values[0];
    for (int lane = 1; lane < LANES; lane++) best = values[lane] > best ? values[lane] : best;
    return best;
}

/* e^r - 1, and 2^n in `power`, with e^x = 2^n e^r and |r| <= ln 2 / 2: e^r by its Taylor polynomial
   of degree 7; ln 2 in two parts, of which n times the first is exact (Cody & Waite 1980). x is
   held in -87 ... 88, where 2^n is a float32. */
INLINE vector reduced(vector x, vector *power) {
    const vector shift = spread(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    x = chosen((integers)(x < spread(-87.0f)), spread(-87.0f), x);
    x = chosen((integers)(x > spread(88.0f)), spread(88.0f), x);
    vector n = x * 1.44269504f + shift;
    *power = (vector)(((integers)n - (integers)shift + 127) << 23);
    n = n - shift;
    vector r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    vector y = spread(1.0f / 5040);
    y = y * r + 1.0f / 720;
    y = y * r + 1.0f / 120;
    y = y * r + 1.0f / 24;
    y = y * r + 1.0f / 6;
    y = y * r + 0.5f;
    y = y * r + 1.0f;
    return y * r;
}

/* e^x within 3e-7 of it, and 0 below -87, where float32 loses digits. */
INLINE vector exponential(vector x) {
    vector power, rest = reduced(x, &power);
    vector y = rest * power + power;
    return (vector)((integers)y & ~(integers)(x < spread(-87.0f)));
}

/* The next two give NaN for NaN. */
INLINE vector logistic(vector x) {
    return chosen((integers)(x != x), x, 1.0f / (1.0f + exponential(-x)));
}

/* (e^2x - 1) / (e^2x + 1), without cancelling digits near 0. */
INLINE vector hyperbolic(vector x) {
    vector power, rest = reduced(x + x, &power);
    vector y = rest * power + (power - 1.0f);
    return chosen((integers)(x != x), x, y / (y + 2.0f));
}

/* Threads that pay: each is to have some tens of thousands of multiplications. */
INLINE int threads_for(int64_t work, int64_t most) {
    int64_t paying = work >> 16;
    return paying < 1 ? 1 : (int)(paying < most ? paying : most);
}

#endif
