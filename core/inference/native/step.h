/* A step: one forward pass over a batch, with the buffers that its layers work in. */
#pragma once
#include "matmul.h"

#define RUN_TOKENS 8 /* largest number of tokens whose attention a thread computes at once */

/* Constant once it is opened: layers write to the buffers, never to the fields. */
typedef struct {
    const Model *model;
    const Batch *batch;
    float *residual;   /* [tokens][hidden] */
    float *projected;  /* [tokens][rows]: output of qkv or of gate_up */
    Activations input; /* of the next matmul, see `input_of` */
    float *rope;       /* [tokens][head_dim]: cosines of the token's position, then sines */
    int32_t *runs;     /* [run_count + 1]: first token of each run, see `find_runs` */
    int32_t run_count;
} Step;

INLINE int max_int(int a, int b) { return a > b ? a : b; }

/* Takes the next buffer of scratch memory, whose first `used` bytes are taken. NULL scratch: counts the bytes only. */
static void *take(char *scratch, size_t *used, size_t bytes) {
    char *buffer = scratch ? scratch + *used : NULL;
    *used += (bytes + 63) / 64 * 64;
    return buffer;
}

/* Takes a step's buffers from scratch memory; returns their size in bytes. */
static size_t take_buffers(Step *s, size_t tokens, char *scratch) {
    const Model *m = s->model;
    size_t columns = (size_t)max_int(max_int(m->hidden, m->intermediate), m->heads * m->head_dim);
    size_t rows = (size_t)max_int(2 * m->intermediate, (m->heads + 2 * m->kv_heads) * m->head_dim), used = 0;
    size_t groups = (size_t)group_count((int)columns), padded = tokens + AMX_PADDING_TOKENS;
    s->residual = take(scratch, &used, tokens * (size_t)m->hidden * sizeof(float));
    s->projected = take(scratch, &used, tokens * rows * sizeof(float));
    s->input.values = take(scratch, &used, tokens * columns * sizeof(float));
    s->input.numbers = take(scratch, &used, padded * groups * GROUP_COLUMNS);
    s->input.scales = take(scratch, &used, padded * groups * sizeof(float));
    s->input.offsets = take(scratch, &used, padded * groups * sizeof(int32_t));
    s->input.sums = take(scratch, &used, tokens * groups * sizeof(float));
    s->rope = take(scratch, &used, tokens * (size_t)m->head_dim * sizeof(float));
    s->runs = take(scratch, &used, (tokens + 1) * sizeof(int32_t));
    return used;
}

/* Splits a batch into runs: up to RUN_TOKENS neighbouring tokens of one sequence. Writes each run's first token and,
 * after the last run, the number of tokens; returns the number of runs.
 */
static int find_runs(const Batch *b, int32_t *runs) {
    int count = 0;
    for (int token = 0; token < b->tokens; token++)
        if (!token || b->sequences[token] != b->sequences[token - 1] || token - runs[count - 1] == RUN_TOKENS)
            runs[count++] = token;
    runs[count] = b->tokens;
    return count;
}

static Step open_step(const Model *m, const Batch *b) {
    Step s = {.model = m, .batch = b};
    take_buffers(&s, (size_t)b->tokens, b->scratch);
    s.run_count = find_runs(b, s.runs);
    return s;
}

/* Bytes of Batch.scratch that a batch of `tokens` needs. */
size_t scratch_bytes(const Model *m, int tokens) {
    Step sized = {.model = m};
    return take_buffers(&sized, (size_t)tokens, NULL);
}

/* The input of the next matmul. Without numbers if its weights are floats. */
INLINE Activations input_of(const Step *s, const Linear *next, int tokens) {
    Activations input = s->input;
    input.tokens = tokens;
    if (next->dtype != INT8 && next->dtype != INT4)
        input.numbers = NULL;
    return input;
}
