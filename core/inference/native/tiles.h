/* Matmul tiles: a few panels of a matrix times the activations of a few tokens, with all sums in registers.
 *
 * A lane belongs to one output row. A dot product is summed within its lane, column after column.
 */
#pragma once
#include "simd.h"

/* Input of a matmul. Integer weights: value = number * scale of its group. */
typedef struct {
    float *values;    /* [tokens][columns] */
    int8_t *numbers;  /* [tokens][groups * 32]; NULL if the weights are floats */
    float *scales;    /* [tokens][groups] */
    int32_t *offsets; /* [tokens][groups]: what a group's sum begins with, see `offset_of` */
    float *sums;      /* [tokens][groups]: sums of the groups' values */
    int32_t tokens;
} Activations;

typedef struct {
    const Linear *linear;
    Activations input;
    float *output;      /* [tokens][rows] */
    int32_t accumulate; /* add to the output instead of overwriting it */
} Matmul;

/* ---- output ---- */

/* Adds the bias to one token's sums for one panel and writes the result to the output. */
INLINE void store_panel(const Matmul *m, int panel, int token, const float *sums) {
    const Linear *linear = m->linear;
    int row = panel * PANEL_ROWS, count = linear->rows - row;
    float *to = m->output + (size_t)token * linear->rows + row, values[PANEL_ROWS];
    for (int i = 0; i < PANEL_ROWS; i += LANES)
        store(values + i, linear->bias ? load(sums + i) + load(linear->bias + row + i) : load(sums + i));
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

/* ---- float weights ---- */

/* `panels` and `tokens` are constants for the compiler, at most TILE_PANELS and TILE_TOKENS. */
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
