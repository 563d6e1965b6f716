/* Layers that work on each token alone: embedding, RMSNorm, rotary embedding (RoPE), SwiGLU, and quantisation.
 *
 * Each layer is a job over tokens and a function that runs it on all threads. A layer whose output is the input of the
 * matmul `next` also quantises it.
 */
#pragma once
#include "step.h"

/* ---- quantisation ---- */

#define ROUND_TO_INTEGER 0x1.8p23f /* added and subtracted again: leaves a float with |x| < 2^22 rounded to nearest */

/* Brings a token's quantised activations into the order that the tiles of the matmul `next` read. */
INLINE void pack_token(const Activations *x, int token, const Linear *next) {
    int columns = next->columns;
    int16_t *activations = x->quantised + (size_t)token * columns;
    if (next->dtype == INT4)
        int4_pack_token(
            activations, x->planes + (size_t)token * 2 * columns, x->offsets + (size_t)token * (columns / GROUP_COLUMNS),
            columns);
    else if (x->planes)
        amx_pack_token(activations, x->planes, token, columns);
    permute_columns(activations, columns);
}

/* Quantises a token's activations to int16 with one scale if the weights are integers; otherwise does nothing. */
INLINE void quantise_token(const Activations *x, int token, const Linear *next) {
    if (!x->quantised)
        return;
    int columns = next->columns;
    const float *from = x->values + (size_t)token * columns;
    int16_t *to = x->quantised + (size_t)token * columns;
    vf32 max = splat(0);
    for (int i = 0; i < columns; i += LANES)
        max = vmax(max, vabs(load(from + i)));
    float largest = reduce_max(max), limit = (float)next->activation_limit, inverse = largest > 0 ? limit / largest : 0;
    for (int i = 0; i < columns; i += LANES) {
        vf32 rounded = load(from + i) * inverse + ROUND_TO_INTEGER - ROUND_TO_INTEGER;
        vi16 values = __builtin_convertvector(__builtin_convertvector(rounded, vi32), vi16);
        memcpy(to + i, &values, sizeof values);
    }
    x->scale[token] = largest / limit;
    pack_token(x, token, next);
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

/* ---- embedding ---- */

/* Column `column` of the embedding of token `id`, from panels. */
INLINE float embedding_value(const Linear *table, size_t id, int column) {
    size_t lane = id % PANEL_ROWS, panel = (id - lane) * (size_t)table->columns;
    size_t index = panel + (size_t)column * PANEL_ROWS + lane;
    if (table->dtype == FP32)
        return ((const float *)table->weight)[index];
    if (table->dtype == BF16)
        return bf16_to_fp32(((const uint16_t *)table->weight)[index]);
    size_t int8_index = panel + (size_t)(column / 4 * 4 * PANEL_ROWS + column % 4) + lane * 4;
    return ((const int8_t *)table->weight)[int8_index] * table->scale[id];
}

static void embedding_job(const void *context, int begin, int end) {
    const Step *s = context;
    int hidden = s->model->hidden;
    for (int token = begin; token < end; token++)
        for (int column = 0; column < hidden; column++)
            s->residual[(size_t)token * hidden + column] =
                embedding_value(&s->model->embedding, (size_t)s->batch->ids[token], column);
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

static void rope_job(const void *context, int begin, int end) {
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
static void rope_angles(const Step *s) { parallel_for(s->model->pool, rope_job, s, s->batch->tokens, 8); }

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
