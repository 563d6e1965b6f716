/* SIMD registers as GCC vector types, and the arithmetic on them that C has no operator for. */
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include "types.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 32") /* arrays of vectors stay in registers only if every index is a constant */

/* PANEL_VECTORS: registers that hold one value for each row of a panel.
 * TILE_*: how many panels, tokens and queries are computed at once, such that their sums fit the register file.
 * GROUP_TILE_TOKENS: how many tokens of one panel of integers, which needs registers for the sums of a group besides.
 */
#if defined(__AVX512BW__)
#define PANEL_VECTORS 1
#define TILE_PANELS 4
#define TILE_TOKENS 4
#define GROUP_TILE_TOKENS 8
#define TILE_QUERIES 8
#elif defined(__AVX2__)
#define PANEL_VECTORS 2
#define TILE_PANELS 1
#define TILE_TOKENS 3
#define GROUP_TILE_TOKENS 3
#define TILE_QUERIES 4
#else
#define PANEL_VECTORS 4
#define TILE_PANELS 1
#define TILE_TOKENS 2
#define GROUP_TILE_TOKENS 2
#define TILE_QUERIES 2
#endif
#define LANES (PANEL_ROWS / PANEL_VECTORS) /* 32-bit lanes of a register */

typedef float vf32 __attribute__((vector_size(4 * LANES)));
typedef int32_t vi32 __attribute__((vector_size(4 * LANES)));
typedef uint32_t vu32 __attribute__((vector_size(4 * LANES)));
typedef int16_t vi16x2 __attribute__((vector_size(4 * LANES))); /* two int16 in each 32-bit lane */
typedef uint16_t vu16 __attribute__((vector_size(2 * LANES)));  /* one per lane: half a register */
typedef int16_t vi16 __attribute__((vector_size(2 * LANES)));
typedef int8_t vi8 __attribute__((vector_size(LANES)));

INLINE vf32 splat(float x) { return x - (vf32){0}; }

INLINE vi32 splat_int(int32_t x) { return x - (vi32){0}; }

INLINE vf32 load(const float *from) {
    vf32 x;
    memcpy(&x, from, sizeof x);
    return x;
}

INLINE void store(float *to, vf32 x) { memcpy(to, &x, sizeof x); }

/* mask ? yes : no, per lane */
INLINE vf32 blend(vi32 mask, vf32 yes, vf32 no) { return (vf32)(((vi32)yes & mask) | ((vi32)no & ~mask)); }

INLINE vf32 vmax(vf32 a, vf32 b) { return blend(a > b, a, b); }

INLINE vf32 vabs(vf32 x) { return (vf32)((vi32)x & 0x7fffffff); }

#define ROUND_TO_INTEGER 0x1.8p23f /* added and subtracted again: leaves a float with |x| < 2^22 rounded to nearest */

INLINE float reduce_max(vf32 x) {
#if defined(__AVX512F__)
    return _mm512_reduce_max_ps((__m512)x);
#else
    float max = x[0];
    for (int i = 1; i < LANES; i++)
        max = x[i] > max ? x[i] : max;
    return max;
#endif
}

INLINE float reduce_sum(vf32 x) {
    float sum = 0;
    for (int i = 0; i < LANES; i++)
        sum += x[i];
    return sum;
}

INLINE int32_t reduce_sum_int(vi32 x) {
#if defined(__AVX512F__)
    return _mm512_reduce_add_epi32((__m512i)x);
#else
    int32_t sum = 0;
    for (int i = 0; i < LANES; i++)
        sum += x[i];
    return sum;
#endif
}

/* exp(x) for x <= 0, with a relative error of about 1e-7 (expf of the Cephes library). */
INLINE vf32 vexp(vf32 x) {
    x = vmax(x, splat(-87.0f));
    vi32 n = __builtin_convertvector(x * 1.44269504f - 0.5f, vi32);
    vf32 m = __builtin_convertvector(n, vf32), r = x - m * 0.693359375f - m * -2.12194440e-4f;
    vf32 p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return (p * r * r + r + 1.0f) * (vf32)((n + 127) << 23);
}

INLINE float bf16_to_fp32(uint16_t x) {
    union {
        uint32_t bits;
        float value;
    } wide = {(uint32_t)x << 16};
    return wide.value;
}

INLINE vf32 load_bf16(const void *from) {
    vu16 x;
    memcpy(&x, from, sizeof x);
    return (vf32)(__builtin_convertvector(x, vu32) << 16);
}

/* Without an instruction for it: shifts fp16's bits into fp32's place, then corrects the exponent's bias by * 2^112. */
INLINE vf32 load_fp16(const void *from) {
#if defined(__AVX512F__)
    return (vf32)_mm512_cvtph_ps(_mm256_loadu_si256(from));
#elif defined(__F16C__)
    return (vf32)_mm256_cvtph_ps(_mm_loadu_si128(from));
#else
    vu16 x;
    memcpy(&x, from, sizeof x);
    vu32 wide = __builtin_convertvector(x, vu32);
    return (vf32)((vu32)((vf32)((wide & 0x7fff) << 13) * 0x1p112f) | (wide & 0x8000) << 16);
#endif
}

/* GCC widens by four lane by lane, and by two with an instruction. */
INLINE vf32 load_int8(const int8_t *from) {
#if defined(__AVX512F__)
    return (vf32)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)from)));
#elif defined(__AVX2__)
    return (vf32)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)from)));
#else
    vi8 x;
    memcpy(&x, from, sizeof x);
    return __builtin_convertvector(__builtin_convertvector(__builtin_convertvector(x, vi16), vi32), vf32);
#endif
}

/* Rounds to nearest even; values beyond fp16's range become its largest finite value. */
INLINE uint16_t fp32_to_fp16(float x) {
    union {
        float value;
        uint32_t bits;
    } raw = {x}, scaled = {fminf(fabsf(x), 65504.0f) * 0x1p-112f};
    uint32_t rounded = scaled.bits + 0xfff + (scaled.bits >> 13 & 1);
    return (uint16_t)(raw.bits >> 16 & 0x8000) | (uint16_t)(rounded >> 13);
}
