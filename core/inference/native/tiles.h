/* Matmul tiles: a few panels of a matrix times the activations of a few tokens, with all sums in registers.
 *
 * A lane belongs to one output row. A dot product is summed within its lane, column after column.
 */
#pragma once
#include "simd.h"

#define PREFETCH_BYTES 1536 /* distance between the weights in use and those being prefetched */

/* Input of a matmul, [tokens][columns]: values for float weights; for integer weights, value = quantised * scale. */
typedef struct {
    float *values;
    int16_t *quantised; /* columns in the order of `permute_columns`; NULL if the weights are floats */
    int8_t *planes;     /* `quantised` as AMX or int4 reads it: `amx_pack_token`, `int4_pack_token`; NULL if neither does */
    int32_t *offsets;   /* int4: [tokens][columns / 32], see `int4_pack_token` */
    float *scale;       /* [tokens] */
    int32_t tokens;
} Activations;

typedef struct {
    const Linear *linear;
    Activations input;
    float *output;      /* [tokens][rows] */
    int32_t accumulate; /* add to the output instead of overwriting it */
} Matmul;

/* ---- output ---- */

/* Scales one token's sums for one panel, adds the bias and writes the result to the output. */
INLINE void store_panel(const Matmul *m, int panel, int token, const float *sums) {
    const Linear *linear = m->linear;
    int row = panel * PANEL_ROWS, count = linear->rows - row;
    float *to = m->output + (size_t)token * linear->rows + row, values[PANEL_ROWS];
    for (int i = 0; i < PANEL_ROWS; i += LANES) {
        vf32 value = load(sums + i);
        if (linear->dtype == INT8)
            value *= load(linear->scale + row + i) * m->input.scale[token];
        if (linear->dtype == INT4)
            value *= m->input.scale[token];
        if (linear->bias)
            value += load(linear->bias + row + i);
        store(values + i, value);
    }
    /* A whole panel by vectors; the matrix's last panel may have fewer rows. */
    for (int i = 0; count >= PANEL_ROWS && i < PANEL_ROWS; i += LANES)
        store(to + i, m->accumulate ? load(to + i) + load(values + i) : load(values + i));
    for (int i = 0; count < PANEL_ROWS && i < count; i++)
        to[i] = m->accumulate ? to[i] + values[i] : values[i];
}

/* `sums`: [panels * tokens][16]. Not inlined, since every shape of a tile would get its own unrolled copy. */
static __attribute__((noinline)) void store_tile(
    const Matmul *m, int panel, int panels, int token, int tokens, const float (*sums)[PANEL_ROWS]) {
    for (int i = 0; i < panels; i++)
        for (int j = 0; j < tokens; j++)
            store_panel(m, panel + i, token + j, sums[i * tokens + j]);
}

/* `sums`: registers, [panels * PANEL_VECTORS][tokens]. */
INLINE void store_sums(const Matmul *m, int panel, int panels, int token, int tokens, const vf32 *sums) {
    float rows[TILE_PANELS * TILE_TOKENS][PANEL_ROWS];
    UNROLLED for (int i = 0; i < panels * PANEL_VECTORS; i++)
        UNROLLED for (int j = 0; j < tokens; j++)
            store(rows[i / PANEL_VECTORS * tokens + j] + i % PANEL_VECTORS * LANES, sums[i * tokens + j]);
    store_tile(m, panel, panels, token, tokens, rows);
}

/* ---- int8 weights times int16 activations ---- */

/* Permutes every four columns of a token's activations from 0 1 2 3 to 0 2 1 3, to match `load_columns`. */
INLINE void permute_columns(int16_t *activations, int columns) {
    for (int column = 0; column < columns; column += 4) {
        uint64_t four;
        memcpy(&four, activations + column, sizeof four);
        four = (four & 0xffff00000000ffff) | (four & 0xffff0000) << 16 | (four >> 16 & 0xffff0000);
        memcpy(activations + column, &four, sizeof four);
    }
}

/* sums + weights[0] * activations[0] + weights[1] * activations[1], for the two weights in each lane. */
INLINE vi32 dot_pairs(vi32 sums, vi16x2 weights, const int16_t *activations) {
    int32_t pair;
    memcpy(&pair, activations, sizeof pair);
#if defined(__AVX512VNNI__)
    return (vi32)_mm512_dpwssd_epi32((__m512i)sums, (__m512i)weights, _mm512_set1_epi32(pair));
#elif defined(__AVX512BW__)
    return sums + (vi32)_mm512_madd_epi16((__m512i)weights, _mm512_set1_epi32(pair));
#elif defined(__AVX2__)
    return sums + (vi32)_mm256_madd_epi16((__m256i)weights, _mm256_set1_epi32(pair));
#elif defined(__SSE2__)
    return sums + (vi32)_mm_madd_epi16((__m128i)weights, _mm_set1_epi32(pair));
#else
    return sums + ((vi32)weights << 16 >> 16) * (int16_t)pair + ((vi32)weights >> 16) * (pair >> 16);
#endif
}

/* Prefetch distance in bytes. Beyond the end of a panel it skips the tile's other panels, to reach the next tile's. */
INLINE size_t prefetch_distance(size_t offset, size_t bytes, size_t panel_bytes, int panels) {
    return offset + bytes < panel_bytes ? bytes : bytes + (size_t)(panels - 1) * panel_bytes;
}

/* Loads four columns of some panels as int16: `even` gets columns 0 and 2 of each row, `odd` columns 1 and 3.
 * Prefetches the weights `ahead` bytes further on.
 */
INLINE void load_columns(
    const int8_t *weight, size_t panel_bytes, int panels, size_t ahead, vi16x2 *even, vi16x2 *odd) {
    UNROLLED for (int i = 0; i < panels * PANEL_VECTORS; i++) {
        const int8_t *panel = weight + i / PANEL_VECTORS * panel_bytes;
        vi16x2 four;
        memcpy(&four, panel + i % PANEL_VECTORS * sizeof four, sizeof four);
        if (i % PANEL_VECTORS == 0)
            __builtin_prefetch(panel + ahead);
        even[i] = four << 8 >> 8, odd[i] = four >> 8;
    }
}

INLINE void int8_tile(const Matmul *m, int panel, int panels, int token, int tokens) {
    enum { MAX_SUMS = TILE_PANELS * TILE_TOKENS * PANEL_VECTORS };
    size_t columns = (size_t)m->linear->columns, panel_bytes = PANEL_ROWS * columns;
    const int8_t *weight = (const int8_t *)m->linear->weight + (size_t)panel * panel_bytes;
    const int16_t *input = m->input.quantised + (size_t)token * columns;
    int count = panels * tokens * PANEL_VECTORS;
    int odd_sums = 2 * count <= MAX_SUMS ? count : 0; /* small tiles sum odd columns apart: shorter dependency chains */
    vi32 sums[MAX_SUMS];
    UNROLLED for (int i = 0; i < count + odd_sums; i++)
        sums[i] = (vi32){0};
    for (size_t column = 0; column < columns; column += 4) {
        size_t offset = column * PANEL_ROWS, ahead = prefetch_distance(offset, PREFETCH_BYTES, panel_bytes, panels);
        vi16x2 even[TILE_PANELS * PANEL_VECTORS], odd[TILE_PANELS * PANEL_VECTORS];
        load_columns(weight + offset, panel_bytes, panels, ahead, even, odd);
        UNROLLED for (int j = 0; j < tokens; j++) {
            const int16_t *four = input + j * columns + column;
            UNROLLED for (int i = 0; i < panels * PANEL_VECTORS; i++) {
                int sum = i * tokens + j;
                sums[sum] = dot_pairs(sums[sum], even[i], four);
                sums[odd_sums + sum] = dot_pairs(sums[odd_sums + sum], odd[i], four + 2);
            }
        }
    }
    UNROLLED for (int i = 0; i < odd_sums; i++)
        sums[i] += sums[odd_sums + i];
    vf32 totals[MAX_SUMS];
    UNROLLED for (int i = 0; i < count; i++)
        totals[i] = __builtin_convertvector(sums[i], vf32);
    store_sums(m, panel, panels, token, tokens, totals);
}

/* ---- float weights ---- */

INLINE void float_tile(const Matmul *m, int panel, int panels, int token, int tokens, int dtype) {
    size_t columns = (size_t)m->linear->columns, bytes = dtype == FP32 ? 4 : 2;
    const char *weight = (const char *)m->linear->weight + (size_t)panel * PANEL_ROWS * columns * bytes;
    const float *input = m->input.values + (size_t)token * columns;
    vf32 sums[TILE_PANELS * TILE_TOKENS * PANEL_VECTORS];
    UNROLLED for (int i = 0; i < panels * tokens * PANEL_VECTORS; i++)
        sums[i] = splat(0);
    for (size_t column = 0; column < columns; column++)
        UNROLLED for (int i = 0; i < panels * PANEL_VECTORS; i++) {
            size_t index = (i / PANEL_VECTORS * columns + column) * PANEL_ROWS + i % PANEL_VECTORS * LANES;
            const char *from = weight + index * bytes;
            vf32 values = dtype == FP32 ? load((const float *)from) : load_bf16(from);
            UNROLLED for (int j = 0; j < tokens; j++)
                sums[i * tokens + j] += values * input[j * columns + column];
        }
    store_sums(m, panel, panels, token, tokens, sums);
}
