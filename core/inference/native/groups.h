/* Matmul tiles of int8 and int4 weights times int8 activations.
 *
 * GROUP_COLUMNS columns of a row share a scale, and so do those of a token. A group's sum is an exact integer. The groups
 * of a row are added as floats, in their order, whatever the tile.
 */
#pragma once
#include "tiles.h"
#if defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#endif

#define GROUP_COLUMNS 32
#define PAIR_TOKENS (GROUP_TILE_TOKENS / 2) /* tokens that are multiplied with two panels at once */
#define PREFETCH_BYTES 4096 /* distance between the weights in use and those being prefetched */

INLINE int group_count(int columns) { return (columns + GROUP_COLUMNS - 1) / GROUP_COLUMNS; }

/* Bytes of a group's numbers, for the 16 rows of a panel. */
INLINE size_t number_bytes(int dtype) { return PANEL_ROWS * GROUP_COLUMNS / (dtype == INT4 ? 2 : 1); }

/* Groups are stored in pairs, so that numbers begin with cache lines and memory is read in one direction. */
INLINE size_t pair_bytes(int dtype) { return 2 * (number_bytes(dtype) + PANEL_ROWS * sizeof(uint16_t)); }

INLINE size_t panel_bytes(size_t groups, int dtype) { return (groups + 1) / 2 * pair_bytes(dtype); }

/* Where a group's numbers and scales are in a panel. */
INLINE size_t numbers_at(size_t group, int dtype) {
    return group / 2 * pair_bytes(dtype) + group % 2 * number_bytes(dtype);
}

INLINE size_t scales_at(size_t group, int dtype) {
    return group / 2 * pair_bytes(dtype) + 2 * number_bytes(dtype) + group % 2 * PANEL_ROWS * sizeof(uint16_t);
}

/* What the kernels add to a weight, so that it is unsigned where the instructions ask for it. */
INLINE int raised_by(int dtype) {
#if defined(__AVX512VNNI__)
    return dtype == INT4 ? 8 : 128;
#else
    return dtype == INT4 ? 8 : 0;
#endif
}

/* What a group's sum of products with raised weights begins with, for activations of this sum. */
INLINE int32_t offset_of(int32_t sum, int dtype) { return -raised_by(dtype) * sum; }

/* ---- products of four columns ---- */

INLINE int32_t load_int(const int8_t *four) {
    int32_t x;
    memcpy(&x, four, sizeof x);
    return x;
}

INLINE void prefetch_eight(const uint8_t *group, int dtype, int eight) {
    size_t fours = 4 * PANEL_ROWS;
    __builtin_prefetch(group + (dtype == INT4 ? 1 : 2) * (size_t)eight * fours);
    if (dtype == INT8)
        __builtin_prefetch(group + (2 * (size_t)eight + 1) * fours);
}

/* Loads LANES rows of a group: the raised numbers of the columns 8 * eight to 8 * eight + 7, four in each lane. */
INLINE void load_eight(const uint8_t *group, int dtype, int eight, int vector, vu32 *four, vu32 *next_four) {
    size_t fours = 4 * PANEL_ROWS, offset = (size_t)vector * sizeof *four;
    if (dtype == INT4) {
        vu32 packed;
        memcpy(&packed, group + (size_t)eight * fours + offset, sizeof packed);
        *four = packed & 0x0f0f0f0f, *next_four = packed >> 4 & 0x0f0f0f0f;
    } else {
        uint32_t flip = raised_by(dtype) * 0x01010101u;
        memcpy(four, group + 2 * (size_t)eight * fours + offset, sizeof *four);
        memcpy(next_four, group + (2 * (size_t)eight + 1) * fours + offset, sizeof *four);
        *four ^= flip, *next_four ^= flip;
    }
}

#if defined(__AVX512VNNI__)
INLINE vi32 dot_four(vi32 sums, vu32 weights, const int8_t *activations) {
    return (vi32)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)weights, _mm512_set1_epi32(load_int(activations)));
}
#elif defined(__AVX512BW__)
/* Products of bytes, added in pairs. */
INLINE vi16x2 multiply_unsigned(vu32 weights, const int8_t *activations) {
    return (vi16x2)_mm512_maddubs_epi16((__m512i)weights, _mm512_set1_epi32(load_int(activations)));
}

INLINE vi16x2 multiply_signed(vu32 weights, const int8_t *activations) {
    __m512i four = _mm512_set1_epi32(load_int(activations));
    four = _mm512_mask_sub_epi8(four, _mm512_movepi8_mask((__m512i)weights), _mm512_setzero_si512(), four);
    return (vi16x2)_mm512_maddubs_epi16(_mm512_abs_epi8((__m512i)weights), four);
}

INLINE vi32 add_pairs(vi32 sums, vi16x2 pairs) {
    return sums + (vi32)_mm512_madd_epi16((__m512i)pairs, _mm512_set1_epi16(1));
}
#elif defined(__AVX2__)
INLINE vi16x2 multiply_unsigned(vu32 weights, const int8_t *activations) {
    return (vi16x2)_mm256_maddubs_epi16((__m256i)weights, _mm256_set1_epi32(load_int(activations)));
}

INLINE vi16x2 multiply_signed(vu32 weights, const int8_t *activations) {
    __m256i four = _mm256_sign_epi8(_mm256_set1_epi32(load_int(activations)), (__m256i)weights);
    return (vi16x2)_mm256_maddubs_epi16(_mm256_abs_epi8((__m256i)weights), four);
}

INLINE vi32 add_pairs(vi32 sums, vi16x2 pairs) {
    return sums + (vi32)_mm256_madd_epi16((__m256i)pairs, _mm256_set1_epi16(1));
}
#elif defined(__ARM_FEATURE_DOTPROD)
INLINE vi32 dot_four(vi32 sums, vu32 weights, const int8_t *activations) {
    int8x16_t four = vreinterpretq_s8_s32(vdupq_n_s32(load_int(activations)));
    return (vi32)vdotq_s32((int32x4_t)sums, (int8x16_t)weights, four);
}
#else
/* sums + weights[0] * first + weights[1] * second, for the two weights in each lane. */
INLINE vi32 dot_pair(vi32 sums, vi16x2 weights, int16_t first, int16_t second) {
#if defined(__SSE2__)
    int32_t pair = (int32_t)((uint32_t)second << 16 | (uint16_t)first);
    return sums + (vi32)_mm_madd_epi16((__m128i)weights, _mm_set1_epi32(pair));
#else
    return sums + ((vi32)weights << 16 >> 16) * first + ((vi32)weights >> 16) * second;
#endif
}

INLINE vi32 dot_four(vi32 sums, vu32 weights, const int8_t *activations) {
    vi16x2 four = (vi16x2)weights;
    sums = dot_pair(sums, four << 8 >> 8, activations[0], activations[2]);
    return dot_pair(sums, four >> 8, activations[1], activations[3]);
}
#endif

/* sums + weights * activations, for the eight weights of each lane's row. */
INLINE vi32 dot_eight(vi32 sums, vu32 four, vu32 next_four, const int8_t *activations, int dtype) {
#if defined(__AVX2__) && !defined(__AVX512VNNI__)
    if (dtype == INT4) /* a sum of four products, each of a number and a byte, fits int16 */
        return add_pairs(sums, multiply_unsigned(four, activations) + multiply_unsigned(next_four, activations + 4));
    return add_pairs(add_pairs(sums, multiply_signed(four, activations)), multiply_signed(next_four, activations + 4));
#else
    (void)dtype;
    return dot_four(dot_four(sums, four, activations), next_four, activations + 4);
#endif
}

/* ---- tiles ---- */

/* A few panels times the activations of a few tokens: `panels`, `tokens` and `dtype` are constants for the compiler. */
INLINE void group_tile(const Matmul *m, int panel, int panels, int token, int tokens, int dtype) {
    size_t groups = (size_t)group_count(m->linear->columns), size = panel_bytes(groups, dtype);
    const uint8_t *weight = (const uint8_t *)m->linear->weight + (size_t)panel * size;
    const int8_t *activations = m->input.numbers + (size_t)token * groups * GROUP_COLUMNS;
    int vectors = panels * PANEL_VECTORS;
    vf32 sums[PANEL_VECTORS * GROUP_TILE_TOKENS];
    UNROLLED for (int i = 0; i < vectors * tokens; i++)
        sums[i] = splat(0);
    for (size_t group = 0; group < groups; group++) {
        size_t of = (size_t)token * groups + group;
        vi32 dots[PANEL_VECTORS * GROUP_TILE_TOKENS];
        UNROLLED for (int i = 0; i < vectors; i++)
            UNROLLED for (int j = 0; j < tokens; j++)
                dots[i * tokens + j] = splat_int(m->input.offsets[of + j * groups]);
        UNROLLED for (int eight = 0; eight < GROUP_COLUMNS / 8; eight++)
            UNROLLED for (int i = 0; i < vectors; i++) {
                const uint8_t *numbers = weight + i / PANEL_VECTORS * size + numbers_at(group, dtype);
                vu32 four, next_four;
                load_eight(numbers, dtype, eight, i % PANEL_VECTORS, &four, &next_four);
                if (i % PANEL_VECTORS == 0)
                    prefetch_eight(numbers + PREFETCH_BYTES, dtype, eight);
                UNROLLED for (int j = 0; j < tokens; j++) {
                    const int8_t *from = activations + (j * groups + group) * GROUP_COLUMNS + 8 * eight;
                    dots[i * tokens + j] = dot_eight(dots[i * tokens + j], four, next_four, from, dtype);
                }
            }
        UNROLLED for (int i = 0; i < vectors; i++) {
            const uint8_t *scales = weight + i / PANEL_VECTORS * size + scales_at(group, dtype);
            vf32 scale = load_fp16(scales + i % PANEL_VECTORS * LANES * sizeof(uint16_t));
            if (i % PANEL_VECTORS == 0)
                __builtin_prefetch(scales + PREFETCH_BYTES);
            UNROLLED for (int j = 0; j < tokens; j++)
                sums[i * tokens + j] += __builtin_convertvector(dots[i * tokens + j], vf32) *
                                        (scale * m->input.scales[of + j * groups]);
        }
    }
    store_sums(m, panel, panels, token, tokens, sums);
}

INLINE void group_tile_of(const Matmul *m, int panel, int panels, int token, int tokens) {
    if (m->linear->dtype == INT8)
        group_tile(m, panel, panels, token, tokens, INT8);
    else
        group_tile(m, panel, panels, token, tokens, INT4);
}

/* Multiplies one panel with all tokens from `token` on, in as few tiles as there are registers for: what few tokens wait
 * for is memory, which is read fastest in one direction and once.
 */
INLINE void group_panel(const Matmul *m, int panel, int token) {
    int tokens = m->input.tokens;
    for (; token + GROUP_TILE_TOKENS <= tokens; token += GROUP_TILE_TOKENS)
        group_tile_of(m, panel, 1, token, GROUP_TILE_TOKENS);
    UNROLLED for (int rest = 1; rest < GROUP_TILE_TOKENS; rest++)
        if (rest == tokens - token)
            group_tile_of(m, panel, 1, token, rest);
}

/* Multiplies two panels, which share the loads of activations: many tokens find the weights in the core's cache, and
 * these loads limit them.
 */
INLINE void group_pair(const Matmul *m, int panel, int token) {
    for (; token + PAIR_TOKENS <= m->input.tokens; token += PAIR_TOKENS)
        group_tile_of(m, panel, 2, token, PAIR_TOKENS);
    group_panel(m, panel, token);
    group_panel(m, panel + 1, token);
}

/* Multiplies `panels` panels with all tokens from `token` on. */
INLINE void group_panels(const Matmul *m, int panel, int panels, int token) {
    int i = 0, has_pairs = TILE_PANELS > 1 && m->input.tokens - token > GROUP_TILE_TOKENS;
    for (; has_pairs && i + 2 <= panels; i += 2)
        group_pair(m, panel + i, token);
    for (; i < panels; i++)
        group_panel(m, panel + i, token);
}
