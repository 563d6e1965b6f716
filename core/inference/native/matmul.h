/* Matmul on all threads: output[tokens][rows] = input[tokens][columns] x transposed weight[rows][columns] + bias. */
#pragma once
#include "amx.h"
#include "threads.h"

#define GRAIN_PANELS 4 /* smallest number of panels that a thread claims */

/* Chunks of a large matrix: few, since memory is read fastest in long runs; more than one, to balance the threads. */
#define CHUNKS_PER_THREAD 4

/* `panels` and `tokens` are constants for the compiler, at most TILE_PANELS and TILE_TOKENS. */
INLINE void float_tiles(const Matmul *m, int panel, int panels, int token, int tokens) {
    if (m->linear->dtype == BF16)
        float_tile(m, panel, panels, token, tokens, BF16);
    else
        float_tile(m, panel, panels, token, tokens, FP32);
}

/* Multiplies `panels` panels with all tokens from `token` on. */
INLINE void float_panels(const Matmul *m, int panel, int panels, int token) {
    int tokens = m->input.tokens;
    for (; token + TILE_TOKENS <= tokens; token += TILE_TOKENS)
        float_tiles(m, panel, panels, token, TILE_TOKENS);
    for (; TILE_TOKENS > 2 && token + 2 <= tokens; token += 2)
        float_tiles(m, panel, panels, token, 2);
    for (; token < tokens; token++)
        float_tiles(m, panel, panels, token, 1);
}

/* Adds the shifts of the groups, which are floats, times the sums of the groups' activations. */
INLINE void shift_panels(const Matmul *m, int panel, int panels) {
    const Linear *linear = m->linear;
    Linear shifts = {
        .weight = linear->shifts, .rows = linear->rows, .columns = group_count(linear->columns), .dtype = FP32};
    Matmul shifted = {&shifts, {.values = m->input.sums, .tokens = m->input.tokens}, m->output, 1};
    float_panels(&shifted, panel, panels, 0);
}

/* Multiplies `panels` panels with all tokens from `token` on, and adds the shifts for all tokens: AMX adds none. */
INLINE void matmul_panels(const Matmul *m, int panel, int panels, int token) {
    if (m->input.numbers)
        group_panels(m, panel, panels, token);
    else
        float_panels(m, panel, panels, token);
    if (m->linear->shifts)
        shift_panels(m, panel, panels);
}

/* Multiplies GRAIN_PANELS panels at a time with all tokens: they stay in the core's cache until the last token. */
static void matmul_job(const void *context, int begin, int end) {
    const Matmul *m = context;
    int panel = begin, uses_amx = amx_is_used(m);
    if (uses_amx)
        amx_configure();
    for (; panel + GRAIN_PANELS <= end; panel += GRAIN_PANELS) {
        int token = uses_amx ? amx_matmul(m, panel, GRAIN_PANELS) : 0;
        for (int i = 0; i < GRAIN_PANELS; i += TILE_PANELS)
            matmul_panels(m, panel + i, TILE_PANELS, token);
    }
    if (uses_amx)
        amx_release();
    for (; panel < end; panel++)
        matmul_panels(m, panel, 1, 0);
}

static void matmul(Pool *pool, const Matmul *m) {
    int panels = (m->linear->rows + PANEL_ROWS - 1) / PANEL_ROWS, threads = pool->workers + 1;
    int grain = panels / (CHUNKS_PER_THREAD * threads) / GRAIN_PANELS * GRAIN_PANELS;
    parallel_for(pool, matmul_job, m, panels, grain > GRAIN_PANELS ? grain : GRAIN_PANELS);
}
