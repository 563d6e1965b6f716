/* Layers that work on each token alone: embedding, RMSNorm, rotary embedding (RoPE), SwiGLU, and quantisation.
 *
 * Each layer is a job over tokens and a function that runs it on all threads. A layer whose output is the input of the
 * matmul `next` also quantises it.
 */
#pragma once
#include "step.h"

/* ---- quantisation ---- */

#define MAX_NUMBER 127

/* Quantises floats to numbers from -127 to 127. Returns their scale; `sum` takes the sum of the numbers. */
INLINE float quantise_floats(const float *from, int count, int8_t *numbers, int32_t *sum) {
    vf32 max = splat(0);
    vi32 sums = splat_int(0);
    for (int i = 0; i < count; i += LANES)
        max = vmax(max, vabs(load(from + i)));
    float largest = reduce_max(max), inverse = largest > 0 ? MAX_NUMBER / largest : 0;
    for (int i = 0; i < count; i += LANES) {
        vi32 rounded = __builtin_convertvector(load(from + i) * inverse + ROUND_TO_INTEGER - ROUND_TO_INTEGER, vi32);
        vi8 bytes = __builtin_convertvector(rounded, vi8);
        memcpy(numbers + i, &bytes, sizeof bytes);
        sums += rounded;
    }
    *sum = reduce_sum_int(sums);
    return largest / MAX_NUMBER;
}

/* Quantises up to 32 activations of a group, which are padded with zeros. */
INLINE float quantise_group(const float *from, int count, int8_t *numbers, int32_t *sum) {
    memset(numbers + count, 0, (size_t)(GROUP_COLUMNS - count));
    return quantise_floats(from, count, numbers, sum);
}

/* Quantises a token's activations for the matmul `next` if its weights are integers; otherwise does nothing. */
INLINE void quantise_token(const Activations *x, int token, const Linear *next) {
    if (!x->numbers)
        return;
    int columns = next->columns, groups = group_count(columns);
    for (int group = 0; group < groups; group++) {
        size_t of = (size_t)token * groups + group;
        int column = group * GROUP_COLUMNS, left = columns - column, count = left < GROUP_COLUMNS ? left : GROUP_COLUMNS;
        const float *from = x->values + (size_t)token * columns + column;
        int32_t sum;
        x->scales[of] = quantise_group(from, count, x->numbers + of * GROUP_COLUMNS, &sum);
        x->offsets[of] = offset_of(sum, next->dtype);
        x->sums[of] = x->scales[of] * (float)sum;
    }
}

typedef struct {
    Activations input;
    const Linear *next;
} QuantiseJob;

static void quantise_job(const void *context, int begin, int end) {
    const QuantiseJob *job = context;
    for (int token = begin; token < end; token++)
        quantise_token(&job->input, token, job->next);
}

static void quantise(const Step *s, const Linear *next) {
    QuantiseJob job = {input_of(s, next, s->batch->tokens), next};
    parallel_for(s->model->pool, quantise_job, &job, s->batch->tokens, 1);
}

/* ---- linear ---- */

/* output[tokens][rows] = the step's input x transposed matrix + bias, added to the output if `accumulate`. */
static void linear(const Step *s, const Linear *matrix, int tokens, float *output, int accumulate) {
    Matmul m = {matrix, input_of(s, matrix, tokens), output, accumulate};
    if (matrix->observed)
        memcpy(matrix->observed, m.input.values, (size_t)tokens * (size_t)matrix->columns * sizeof(float));
    matmul(s->model->pool, &m);
}

/* ---- embedding ---- */

/* Column `column` of the embedding of token `id`, from panels of floats. */
INLINE float float_embedding(const Linear *table, size_t id, size_t column) {
    size_t lane = id % PANEL_ROWS, index = (id - lane) * (size_t)table->columns + column * PANEL_ROWS + lane;
    if (table->dtype == FP32)
        return ((const float *)table->weight)[index];
    return bf16_to_fp32(((const uint16_t *)table->weight)[index]);
}

/* The same, from panels of int8. */
INLINE float int8_embedding(const Linear *table, size_t id, size_t column) {
    size_t lane = id % PANEL_ROWS, groups = (size_t)group_count(table->columns);
    size_t group = column / GROUP_COLUMNS, within = column % GROUP_COLUMNS;
    const int8_t *panel = (const int8_t *)table->weight + id / PANEL_ROWS * panel_bytes(groups, INT8);
    float scales[PANEL_ROWS];
    for (int i = 0; i < PANEL_ROWS; i += LANES)
        store(scales + i, load_fp16(panel + scales_at(group, INT8) + (size_t)i * sizeof(uint16_t)));
    return panel[numbers_at(group, INT8) + within / 4 * 4 * PANEL_ROWS + lane * 4 + within % 4] * scales[lane];
}

static void embedding_job(const void *context, int begin, int end) {
    const Step *s = context;
    const Linear *table = &s->model->embedding;
    size_t hidden = (size_t)s->model->hidden;
    for (int token = begin; token < end; token++)
        for (size_t column = 0, id = (size_t)s->batch->ids[token]; column < hidden; column++)
            s->residual[(size_t)token * hidden + column] =
                table->dtype == INT8 ? int8_embedding(table, id, column) : float_embedding(table, id, column);
}

static void embedding(const Step *s) { parallel_for(s->model->pool, embedding_job, s, s->batch->tokens, 8); }

/* ---- RMSNorm (arXiv:1910.07467) ---- */

INLINE void rms_norm(float *to, const float *from, const float *weight, int size, float epsilon) {
    vf32 squares = splat(0);
    for (int i = 0; i < size; i += LANES)
        squares += load(from + i) * load(from + i);
    float factor = 1 / sqrtf(reduce_sum(squares) / (float)size + epsilon);
    for (int i = 0; i < size; i += LANES)
        store(to + i, load(from + i) * factor * load(weight + i));
}

typedef struct {
    const Step *step;
    const float *weight;
    const int32_t *chosen; /* [tokens]: indices in the batch, or NULL for the whole batch */
    Activations input;
    const Linear *next;
} NormJob;

static void norm_job(const void *context, int begin, int end) {
    const NormJob *job = context;
    const Step *s = job->step;
    int size = s->model->hidden;
    for (int token = begin; token < end; token++) {
        size_t from = (size_t)(job->chosen ? job->chosen[token] : token);
        float *to = job->input.values + (size_t)token * size;
        rms_norm(to, s->residual + from * size, job->weight, size, s->model->epsilon);
        quantise_token(&job->input, token, job->next);
    }
}

/* Normalises the residual stream of the batch's tokens, or of `chosen` ones, into the input of the matmul `next`. */
static void norm(const Step *s, const float *weight, const Linear *next, int tokens, const int32_t *chosen) {
    NormJob job = {s, weight, chosen, input_of(s, next, tokens), next};
    parallel_for(s->model->pool, norm_job, &job, tokens, 1);
}

/* ---- rotary position embedding (arXiv:2104.09864) ---- */

static void rope_angles_job(const void *context, int begin, int end) {
    const Step *s = context;
    int half = s->model->head_dim / 2;
    for (int token = begin; token < end; token++)
        for (int i = 0; i < half; i++) {
            float angle = (float)s->batch->positions[token] * s->model->rope_frequencies[i];
            s->rope[(size_t)token * 2 * half + i] = cosf(angle);
            s->rope[(size_t)token * 2 * half + half + i] = sinf(angle);
        }
}

/* Cosines and sines of each token's position, the same for all layers and heads. */
static void rope_angles(const Step *s) { parallel_for(s->model->pool, rope_angles_job, s, s->batch->tokens, 8); }

/* Rotates the pairs (i, i + half) of a query or key head. */
INLINE void rope(float *head, const float *angles, int half) {
    for (int i = 0; i < half; i++) {
        float cosine = angles[i], sine = angles[half + i], first = head[i], second = head[half + i];
        head[i] = first * cosine - second * sine;
        head[half + i] = second * cosine + first * sine;
    }
}

/* ---- SwiGLU (arXiv:2002.05202) ---- */

typedef struct {
    const Step *step;
    Activations input;
    const Linear *next;
} SwigluJob;

static void swiglu_job(const void *context, int begin, int end) {
    const SwigluJob *job = context;
    int size = job->step->model->intermediate;
    for (int token = begin; token < end; token++) {
        const float *gate = job->step->projected + (size_t)token * 2 * size, *up = gate + size;
        float *to = job->input.values + (size_t)token * size;
        for (int i = 0; i < size; i += LANES) {
            vf32 x = load(gate + i), e = vexp(-vabs(x));
            store(to + i, x * blend(x < 0, e, splat(1)) / (1 + e) * load(up + i));
        }
        quantise_token(&job->input, token, job->next);
    }
}

/* silu(gate) * up, with silu(x) = x / (1 + exp(-x)), into the input of the matmul `next`. */
static void swiglu(const Step *s, const Linear *next) {
    SwigluJob job = {s, input_of(s, next, s->batch->tokens), next};
    parallel_for(s->model->pool, swiglu_job, &job, s->batch->tokens, 1);
}
