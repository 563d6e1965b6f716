/* Matmul tiles on AMX, Intel's matrix units, where the processor has them: the sums of a group for 16 tokens at once.
 *
 * A tile register holds a group's activations of 16 tokens, [16][32] bytes; a group of a panel, [8][16][4] bytes; or the
 * sums of their products, [16 tokens][16 rows].
 */
#pragma once
#include "groups.h"

#define AMX_TOKENS 16
#define AMX_MIN_TOKENS 5                    /* below, vector instructions are as fast: reading the weights dominates */
#define AMX_PADDING_TOKENS (AMX_TOKENS - 1) /* tokens after the last one that tiles may read */

#if defined(__AMX_INT8__)
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQ_XCOMP_PERM 0x1023 /* arch_prctl(2) */
#define XFEATURE_XTILEDATA 18

/* Tile registers. */
#define AMX_SUMS 0
#define AMX_ACTIVATIONS 1
#define AMX_NUMBERS 2

/* Memory operand of LDTILECFG. */
static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} AMX_CONFIG = {.palette = 1, .row_bytes = {64, GROUP_COLUMNS, 64}, .rows = {AMX_TOKENS, AMX_TOKENS, GROUP_COLUMNS / 4}};

INLINE int amx_is_used(const Matmul *m) { return m->input.numbers && m->input.tokens >= AMX_MIN_TOKENS; }

/* Assembly, since the intrinsic of GCC 12 declares only 8 of the 64 bytes as read. */
INLINE void amx_configure(void) { __asm__ volatile("ldtilecfg %0" : : "m"(AMX_CONFIG)); }

INLINE void amx_release(void) { _tile_release(); }

/* Brings an int4 group into the order of an int8 one. */
INLINE void amx_unpack(const uint8_t *group, int8_t (*numbers)[4 * PANEL_ROWS]) {
    UNROLLED for (int eight = 0; eight < GROUP_COLUMNS / 8; eight++) {
        vu32 four, next_four;
        load_eight(group, INT4, eight, 0, &four, &next_four);
        __m512i raised = _mm512_set1_epi8((char)raised_by(INT4));
        _mm512_storeu_si512(numbers[2 * eight], _mm512_sub_epi8((__m512i)four, raised));
        _mm512_storeu_si512(numbers[2 * eight + 1], _mm512_sub_epi8((__m512i)next_four, raised));
    }
}

/* dots[token][row]: the products of a group's activations, `stride` bytes from token to token, with its numbers. */
INLINE void amx_dot(const int8_t *activations, size_t stride, const uint8_t *group, int dtype, int32_t (*dots)[PANEL_ROWS]) {
    int8_t unpacked[GROUP_COLUMNS / 4][4 * PANEL_ROWS];
    const void *numbers = group;
    if (dtype == INT4) {
        amx_unpack(group, unpacked);
        numbers = unpacked;
        __asm__ volatile("" : : : "memory"); /* GCC 12 does not know that a tile load reads memory */
    }
    _tile_zero(AMX_SUMS);
    _tile_loadd(AMX_ACTIVATIONS, activations, stride);
    _tile_loadd(AMX_NUMBERS, numbers, 4 * PANEL_ROWS);
    _tile_dpbssd(AMX_SUMS, AMX_ACTIVATIONS, AMX_NUMBERS);
    _tile_stored(AMX_SUMS, dots, sizeof *dots);
}

/* 16 tokens times a panel; `dtype` is a constant for the compiler. The sums are rounded as those of `group_tile` are. */
INLINE void amx_tile(const Matmul *m, int panel, int token, int dtype) {
    size_t groups = (size_t)group_count(m->linear->columns), size = panel_bytes(groups, dtype);
    const uint8_t *first = (const uint8_t *)m->linear->weight + (size_t)panel * size;
    const int8_t *activations = m->input.numbers + (size_t)token * groups * GROUP_COLUMNS;
    vf32 sums[AMX_TOKENS];
    UNROLLED for (int j = 0; j < AMX_TOKENS; j++)
        sums[j] = splat(0);
    for (size_t group = 0; group < groups; group++) {
        const uint8_t *numbers = first + numbers_at(group, dtype);
        int32_t dots[AMX_TOKENS][PANEL_ROWS];
        amx_dot(activations + group * GROUP_COLUMNS, groups * GROUP_COLUMNS, numbers, dtype, dots);
        UNROLLED for (int eight = 0; eight < GROUP_COLUMNS / 8; eight++)
            prefetch_eight(numbers + PREFETCH_BYTES, dtype, eight);
        vf32 scale = load_fp16(first + scales_at(group, dtype));
        UNROLLED for (int j = 0; j < AMX_TOKENS; j++) {
            vi32 products;
            memcpy(&products, dots[j], sizeof products);
            sums[j] += __builtin_convertvector(products, vf32) *
                       (scale * m->input.scales[((size_t)token + (size_t)j) * groups + group]);
        }
    }
    float rows[AMX_TOKENS][PANEL_ROWS];
    UNROLLED for (int j = 0; j < AMX_TOKENS; j++)
        store(rows[j], sums[j]);
    for (int j = 0; j < AMX_TOKENS && token + j < m->input.tokens; j++)
        store_panel(m, panel, token + j, rows[j]);
}

/* Multiplies `panels` panels with as many tokens as AMX is fast for; returns how many, counted from the first. */
INLINE int amx_matmul(const Matmul *m, int panel, int panels) {
    int token = 0, tokens = m->input.tokens;
    for (; tokens - token >= AMX_MIN_TOKENS; token += AMX_TOKENS)
        for (int i = 0; i < panels; i++)
            if (m->linear->dtype == INT4)
                amx_tile(m, panel + i, token, INT4);
            else
                amx_tile(m, panel + i, token, INT8);
    return token < tokens ? token : tokens;
}

/* Asks Linux for permission to use the tile registers; 0 if granted. */
int enable_instructions(void) { return (int)syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA); }
#else
INLINE int amx_is_used(const Matmul *m) { return (void)m, 0; }

INLINE void amx_configure(void) {}

INLINE void amx_release(void) {}

INLINE int amx_matmul(const Matmul *m, int panel, int panels) { return (void)m, (void)panel, (void)panels, 0; }

int enable_instructions(void) { return 0; }
#endif
