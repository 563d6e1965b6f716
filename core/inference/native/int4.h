/* Matmul tiles of int4 weights times int16 activations.
 *
 * A weight is (number - 8) * scale, with a number from 0 to 15 and one scale for GROUP_COLUMNS columns of a row. A
 * group's sum is an exact integer. The groups of a row are added as floats, in their order, whatever the tile.
 *
 * x86 multiplies bytes, unsigned by signed. An activation is therefore split into two signed bytes, 256 * high + low.
 */
#pragma once
#include "tiles.h"

#define GROUP_COLUMNS 32                                           /* columns that share a scale */
#define GROUP_FOURS (GROUP_COLUMNS / 4)                            /* a lane holds four columns of its row */
#define NUMBER_BYTES (PANEL_ROWS * GROUP_COLUMNS / 2)              /* of a group of a panel */
#define GROUP_BYTES (NUMBER_BYTES + PANEL_ROWS * sizeof(uint16_t)) /* with its scales */
#define INT4_PANELS (TILE_PANELS > 1 ? 2 : 1)                      /* in a tile: registers hold their numbers */
#define INT4_PREFETCH_BYTES 2048 /* distance between the groups in use and those being prefetched */

/* Brings a token's quantised activations into the order that the tiles read: `planes` is [groups][2][32], high bytes and
 * low ones. `offsets`, [groups], takes the 8 of each number off the sums.
 */
INLINE void int4_pack_token(const int16_t *activations, int8_t *planes, int32_t *offsets, int columns) {
    for (int group = 0; group < columns / GROUP_COLUMNS; group++) {
        const int16_t *from = activations + group * GROUP_COLUMNS;
        int8_t *high = planes + group * 2 * GROUP_COLUMNS, *low = high + GROUP_COLUMNS;
        int32_t sum = 0;
        for (int i = 0; i < GROUP_COLUMNS; i++) {
            low[i] = (int8_t)from[i];
            high[i] = (int8_t)((from[i] - low[i]) >> 8);
            sum += from[i];
        }
        offsets[group] = -8 * sum;
    }
}

/* Loads a group for LANES rows: each lane of numbers[i] holds those of the columns 4 * i to 4 * i + 3. Prefetches the
 * group `ahead` bytes further on.
 */
INLINE void load_group(const uint8_t *group, int vector, size_t ahead, vu32 *numbers, vf32 *scale) {
    UNROLLED for (int i = 0; i < GROUP_FOURS; i += 2) {
        vu32 packed;
        memcpy(&packed, group + i / 2 * 4 * PANEL_ROWS + vector * sizeof packed, sizeof packed);
        if (vector == 0)
            __builtin_prefetch(group + ahead + i / 2 * 4 * PANEL_ROWS);
        numbers[i] = packed & 0x0f0f0f0f, numbers[i + 1] = packed >> 4 & 0x0f0f0f0f;
    }
    *scale = load_fp16(group + NUMBER_BYTES + vector * LANES * sizeof(uint16_t));
}

INLINE vi32 splat_int(int32_t x) { return x - (vi32){0}; }

INLINE int32_t load_int(const int8_t *four) {
    int32_t x;
    memcpy(&x, four, sizeof x);
    return x;
}

#if defined(__AVX512BW__)
INLINE vi16x2 multiply_bytes(vu32 numbers, int32_t four) {
    return (vi16x2)_mm512_maddubs_epi16((__m512i)numbers, _mm512_set1_epi32(four));
}

INLINE vi32 add_pairs(vi16x2 pairs, int16_t factor) {
    return (vi32)_mm512_madd_epi16((__m512i)pairs, _mm512_set1_epi16(factor));
}
#elif defined(__AVX2__)
INLINE vi16x2 multiply_bytes(vu32 numbers, int32_t four) {
    return (vi16x2)_mm256_maddubs_epi16((__m256i)numbers, _mm256_set1_epi32(four));
}

INLINE vi32 add_pairs(vi16x2 pairs, int16_t factor) {
    return (vi32)_mm256_madd_epi16((__m256i)pairs, _mm256_set1_epi16(factor));
}
#endif

/* A token's dot products with a group of some panels: in each lane that of its row. `planes` and `permuted` are the
 * token's activations of the group in both orders.
 */
INLINE void int4_dot(
    vu32 (*numbers)[GROUP_FOURS], int vectors, const int8_t *planes, const int16_t *permuted, int32_t offset,
    vi32 *sums) {
#if defined(__AVX512VNNI__)
    __m512i high[INT4_PANELS], low[INT4_PANELS];
    UNROLLED for (int v = 0; v < vectors; v++)
        high[v] = _mm512_setzero_si512(), low[v] = _mm512_set1_epi32(offset);
    UNROLLED for (int i = 0; i < GROUP_FOURS; i++) {
        __m512i of_high = _mm512_set1_epi32(load_int(planes + 4 * i));
        __m512i of_low = _mm512_set1_epi32(load_int(planes + 4 * i + GROUP_COLUMNS));
        UNROLLED for (int v = 0; v < vectors; v++) {
            high[v] = _mm512_dpbusd_epi32(high[v], (__m512i)numbers[v][i], of_high);
            low[v] = _mm512_dpbusd_epi32(low[v], (__m512i)numbers[v][i], of_low);
        }
    }
    UNROLLED for (int v = 0; v < vectors; v++)
        sums[v] = ((vi32)high[v] << 8) + (vi32)low[v];
    (void)permuted;
#elif defined(__AVX2__) /* a sum of 16 products, each of a number and a byte, fits int16 */
    UNROLLED for (int v = 0; v < vectors; v++) {
        vi16x2 high = {0}, low = {0};
        UNROLLED for (int i = 0; i < GROUP_FOURS; i++) {
            high += multiply_bytes(numbers[v][i], load_int(planes + 4 * i));
            low += multiply_bytes(numbers[v][i], load_int(planes + 4 * i + GROUP_COLUMNS));
        }
        sums[v] = add_pairs(high, 256) + add_pairs(low, 1) + offset;
    }
    (void)permuted;
#else
    UNROLLED for (int v = 0; v < vectors; v++) {
        sums[v] = splat_int(offset);
        UNROLLED for (int i = 0; i < GROUP_FOURS; i++) {
            sums[v] = dot_pairs(sums[v], (vi16x2)(numbers[v][i] & 0x00ff00ff), permuted + 4 * i);
            sums[v] = dot_pairs(sums[v], (vi16x2)(numbers[v][i] >> 8 & 0x00ff00ff), permuted + 4 * i + 2);
        }
    }
    (void)planes;
#endif
}

/* `panels` and `tokens` are constants for the compiler, at most INT4_PANELS and TILE_TOKENS. */
INLINE void int4_tile(const Matmul *m, int panel, int panels, int token, int tokens) {
    size_t columns = (size_t)m->linear->columns, groups = columns / GROUP_COLUMNS, first = (size_t)token * groups;
    size_t panel_bytes = groups * GROUP_BYTES;
    const uint8_t *block = (const uint8_t *)m->linear->weight + (size_t)panel * panel_bytes;
    vf32 sums[INT4_PANELS * TILE_TOKENS * PANEL_VECTORS];
    UNROLLED for (int i = 0; i < panels * tokens * PANEL_VECTORS; i++)
        sums[i] = splat(0);
    for (size_t group = first; group < first + groups; group++, block += GROUP_BYTES) {
        size_t offset = (group - first) * GROUP_BYTES;
        size_t ahead = prefetch_distance(offset, INT4_PREFETCH_BYTES, panel_bytes, panels);
        vu32 numbers[INT4_PANELS * PANEL_VECTORS][GROUP_FOURS];
        vf32 scales[INT4_PANELS * PANEL_VECTORS];
        UNROLLED for (int i = 0; i < panels * PANEL_VECTORS; i++)
            load_group(block + i / PANEL_VECTORS * panel_bytes, i % PANEL_VECTORS, ahead, numbers[i], scales + i);
        UNROLLED for (int j = 0; j < tokens; j++) {
            size_t of = group + j * groups;
            vi32 products[INT4_PANELS * PANEL_VECTORS];
            int4_dot(
                numbers, panels * PANEL_VECTORS, m->input.planes + of * 2 * GROUP_COLUMNS,
                m->input.quantised + of * GROUP_COLUMNS, m->input.offsets[of], products);
            UNROLLED for (int i = 0; i < panels * PANEL_VECTORS; i++)
                sums[i * tokens + j] += __builtin_convertvector(products[i], vf32) * scales[i];
        }
    }
    store_sums(m, panel, panels, token, tokens, sums);
}
