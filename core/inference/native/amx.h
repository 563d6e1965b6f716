/* Matmul tiles on AMX, Intel's matrix units: int8 weights times int16 activations, where the processor has them.
 *
 * AMX multiplies int8 by int8. An activation is therefore split into two signed bytes, 256 * high + low, and the sums
 * of both planes are combined. A tile register holds 16 rows of 64 bytes: 64 columns of both planes of 8 tokens, or 64
 * columns of a panel.
 */
#pragma once
#include "tiles.h"

#define AMX_TOKENS 8          /* tokens in a tile register */
#define AMX_COLUMNS 64        /* columns in a tile register */
#define AMX_PANELS 4          /* panels that are multiplied at once */
#define AMX_MIN_TOKENS 5      /* below, vector instructions are as fast: reading the weights dominates */
#define AMX_PADDING_TOKENS 16 /* tokens after the last one that tiles may read */

/* Splits a token's activations into planes: [tokens / 8][columns / 64][8][2][64], low and high in turn. */
INLINE void amx_pack_token(const int16_t *activations, int8_t *planes, int token, int columns) {
    int group = token / AMX_TOKENS * AMX_TOKENS;
    int8_t *to = planes + (size_t)group * 2 * columns + (token - group) * 2 * AMX_COLUMNS;
    for (int column = 0; column < columns; column += AMX_COLUMNS, to += AMX_TOKENS * 2 * AMX_COLUMNS)
        for (int i = 0; i < AMX_COLUMNS; i++) {
            int16_t value = activations[column + i];
            to[i] = (int8_t)value;
            to[AMX_COLUMNS + i] = (int8_t)((value - (int8_t)value) >> 8);
        }
}

/* Size of the planes of `tokens` tokens. */
INLINE size_t amx_plane_bytes(size_t tokens, size_t columns) { return 2 * (tokens + AMX_PADDING_TOKENS) * columns; }

#if defined(__AMX_INT8__)
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQ_XCOMP_PERM 0x1023 /* arch_prctl(2) */
#define XFEATURE_XTILEDATA 18
#define AMX_PREFETCH_BYTES 4096 /* tiles are loaded too seldom for the processor's own prefetcher */

/* Memory operand of LDTILECFG: all eight tile registers have 16 rows of 64 bytes. */
static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} AMX_CONFIG = {
    .palette = 1,
    .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
    .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

INLINE int amx_is_used(int tokens, int columns, int dtype) {
    return dtype == INT8 && tokens >= AMX_MIN_TOKENS && columns % AMX_COLUMNS == 0;
}

/* Assembly, since the intrinsic of GCC 12 declares only 8 of the 64 bytes as read. */
INLINE void amx_configure(void) { __asm__ volatile("ldtilecfg %0" : : "m"(AMX_CONFIG)); }

INLINE void amx_release(void) { _tile_release(); }

/* Writes a tile register's sums, low and high planes in turn, to the output of up to 8 tokens. */
static void amx_store_tokens(const Matmul *m, int panel, int token, const int32_t (*sums)[PANEL_ROWS]) {
    for (int i = 0; i < AMX_TOKENS && token + i < m->input.tokens; i++) {
        float totals[PANEL_ROWS];
        for (int row = 0; row < PANEL_ROWS; row++)
            totals[row] = (float)(int32_t)((uint32_t)sums[2 * i][row] + ((uint32_t)sums[2 * i + 1][row] << 8));
        store_panel(m, panel, token + i, totals);
    }
}

INLINE void amx_prefetch(const int8_t *tile) {
    for (int line = 0; line < 16; line++)
        _mm_prefetch((const char *)tile + 64 * line, _MM_HINT_T0);
}

/* Tile registers 4 to 7 hold the sums. */
INLINE void amx_clear_sums(void) {
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
}

INLINE void amx_store_sums(int32_t (*sums)[16][PANEL_ROWS]) {
    _tile_stored(4, sums[0], 64);
    _tile_stored(5, sums[1], 64);
    _tile_stored(6, sums[2], 64);
    _tile_stored(7, sums[3], 64);
}

/* 16 tokens times 2 panels. The calls for all tokens together prefetch the four panels after those in use. */
INLINE void amx_tile_2x2(const Matmul *m, int panel, int token) {
    int32_t sums[4][16][PANEL_ROWS];
    size_t columns = (size_t)m->linear->columns, panel_bytes = PANEL_ROWS * columns, tokens = (size_t)m->input.tokens;
    const int8_t *weight = (const int8_t *)m->linear->weight + (size_t)panel * panel_bytes;
    const int8_t *input = m->input.planes + (size_t)token * 2 * columns;
    size_t first = columns * (size_t)token / tokens, share = columns * 2 * AMX_TOKENS / tokens;
    amx_clear_sums();
    for (size_t column = 0; column < columns; column += AMX_COLUMNS) {
        if (column >= first && column <= first + share) {
            amx_prefetch(weight + 4 * panel_bytes + column * PANEL_ROWS);
            amx_prefetch(weight + 5 * panel_bytes + column * PANEL_ROWS);
        }
        _tile_loadd(0, input + column * 2 * AMX_TOKENS, 64);
        _tile_loadd(1, input + (columns + column) * 2 * AMX_TOKENS, 64);
        _tile_loadd(2, weight + column * PANEL_ROWS, 64);
        _tile_loadd(3, weight + panel_bytes + column * PANEL_ROWS, 64);
        _tile_dpbssd(4, 0, 2);
        _tile_dpbssd(5, 1, 2);
        _tile_dpbssd(6, 0, 3);
        _tile_dpbssd(7, 1, 3);
    }
    amx_store_sums(sums);
    for (int i = 0; i < 4; i++)
        amx_store_tokens(m, panel + i / 2, token + i % 2 * AMX_TOKENS, sums[i]);
}

/* 8 tokens times 4 panels. */
INLINE void amx_tile_1x4(const Matmul *m, int panel, int token) {
    int32_t sums[4][16][PANEL_ROWS];
    size_t columns = (size_t)m->linear->columns, panel_bytes = PANEL_ROWS * columns;
    const int8_t *weight = (const int8_t *)m->linear->weight + (size_t)panel * panel_bytes;
    const int8_t *input = m->input.planes + (size_t)token * 2 * columns;
    amx_clear_sums();
    for (size_t column = 0; column < columns; column += AMX_COLUMNS) {
        size_t ahead = prefetch_distance(column * PANEL_ROWS, AMX_PREFETCH_BYTES, panel_bytes, 4);
        for (int i = 0; i < 4; i++)
            amx_prefetch(weight + i * panel_bytes + column * PANEL_ROWS + ahead);
        _tile_loadd(0, input + column * 2 * AMX_TOKENS, 64);
        _tile_loadd(1, weight + column * PANEL_ROWS, 64);
        _tile_loadd(2, weight + panel_bytes + column * PANEL_ROWS, 64);
        _tile_dpbssd(4, 0, 1);
        _tile_dpbssd(5, 0, 2);
        _tile_loadd(1, weight + 2 * panel_bytes + column * PANEL_ROWS, 64);
        _tile_loadd(2, weight + 3 * panel_bytes + column * PANEL_ROWS, 64);
        _tile_dpbssd(6, 0, 1);
        _tile_dpbssd(7, 0, 2);
    }
    amx_store_sums(sums);
    for (int i = 0; i < 4; i++)
        amx_store_tokens(m, panel + i, token, sums[i]);
}

/* Multiplies AMX_PANELS panels with as many tokens as AMX is fast for; returns how many, counted from the first. */
INLINE int amx_matmul(const Matmul *m, int panel) {
    int token = 0, tokens = m->input.tokens;
    for (; tokens - token > AMX_TOKENS; token += 2 * AMX_TOKENS)
        for (int i = 0; i < AMX_PANELS; i += 2)
            amx_tile_2x2(m, panel + i, token);
    for (; tokens - token >= AMX_MIN_TOKENS; token += AMX_TOKENS)
        amx_tile_1x4(m, panel, token);
    return token < tokens ? token : tokens;
}

/* Asks Linux for permission to use the tile registers; 0 if granted. */
int enable_instructions(void) { return (int)syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA); }
#else
INLINE int amx_is_used(int tokens, int columns, int dtype) { return (void)tokens, (void)columns, (void)dtype, 0; }

INLINE void amx_configure(void) {}

INLINE void amx_release(void) {}

INLINE int amx_matmul(const Matmul *m, int panel) { return (void)m, (void)panel, 0; }

int enable_instructions(void) { return 0; }
#endif
