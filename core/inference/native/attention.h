/* Causal attention with grouped queries (GQA) over the KV cache, with an online softmax (arXiv:1805.02867).
 *
 * A query reads the cache in spans, which begin at multiples of SPAN_BLOCKS blocks. Its sums are therefore rounded the
 * same way whichever other queries share its tile.
 */
#pragma once
#include "kv_cache.h"

#define SPAN_BLOCKS 8
#define SPAN_SLOTS (SPAN_BLOCKS * BLOCK_TOKENS)

/* Queries that share a key-value head and are computed together, with their online softmax so far. */
typedef struct {
    const float *query[TILE_QUERIES];
    float *output[TILE_QUERIES]; /* sum of the values, weighted by exp(score - max) */
    float max[TILE_QUERIES];     /* largest score */
    float sum[TILE_QUERIES];     /* sum of exp(score - max) */
    int position[TILE_QUERIES];  /* ascending; a query attends to the positions up to its own */
} QueryTile;

/* Causal mask: lane i is set if slot + i < slots. */
INLINE vi32 causal_mask(int slot, int slots) {
    static const int32_t INDEX[PANEL_ROWS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vi32 lane;
    memcpy(&lane, INDEX, sizeof lane);
    return lane + slot < slots;
}

/* Dot products of the queries with a block's keys, not yet scaled, from scores[][slot] on. */
INLINE void score_block(
    const QueryTile *q, int count, const char *keys, float (*scores)[SPAN_SLOTS], int slot, int size, int is_fp32) {
    vf32 sums[TILE_QUERIES * PANEL_VECTORS];
    UNROLLED for (int i = 0; i < count * PANEL_VECTORS; i++)
        sums[i] = splat(0);
    for (int d = 0; d < size; d++)
        UNROLLED for (int v = 0; v < PANEL_VECTORS; v++) {
            vf32 key = kv_load(keys, (size_t)(d * BLOCK_TOKENS + v * LANES), is_fp32);
            UNROLLED for (int i = 0; i < count; i++)
                sums[i * PANEL_VECTORS + v] += key * q->query[i][d];
        }
    UNROLLED for (int i = 0; i < count * PANEL_VECTORS; i++)
        store(scores[i / PANEL_VECTORS] + slot + i % PANEL_VECTORS * LANES, sums[i]);
}

/* Turns a query's scores of a span into weights exp(scale * score - max) and updates its max and sum. `slots`: how many
 * of the span's slots the query attends to. Returns the factor that rescales the output so far to the new max.
 *
 * Not inlined: two copies could be compiled to round differently, and a token's result would depend on its batch.
 */
static __attribute__((noinline)) float softmax_span(
    QueryTile *q, int query, float *scores, int blocks, int slots, float scale) {
    float old_max = q->max[query];
    vf32 max = splat(old_max), sums = splat(0);
    for (int i = 0; i < blocks * BLOCK_TOKENS; i += LANES)
        max = vmax(max, blend(causal_mask(i, slots), load(scores + i) * scale, splat(-INFINITY)));
    float new_max = reduce_max(max), rescale = expf(old_max - new_max);
    for (int i = 0; i < blocks * BLOCK_TOKENS; i += LANES) {
        vf32 weight = blend(causal_mask(i, slots), vexp(load(scores + i) * scale - new_max), splat(0));
        store(scores + i, weight);
        sums += weight;
    }
    q->sum[query] = q->sum[query] * rescale + reduce_sum(sums);
    q->max[query] = new_max;
    return rescale;
}

/* output = output * rescale + weights x values, over the first `slots` slots of a span. */
INLINE void add_values(
    const QueryTile *q, int count, char *const *values, float (*weights)[SPAN_SLOTS], const float *rescale, int slots,
    int size, int is_fp32) {
    for (int d = 0; d < size; d += LANES) {
        vf32 sums[TILE_QUERIES];
        UNROLLED for (int i = 0; i < count; i++)
            sums[i] = load(q->output[i] + d) * rescale[i];
        for (int b = 0; b * BLOCK_TOKENS < slots; b++)
            for (int slot = 0; slot < BLOCK_TOKENS && b * BLOCK_TOKENS + slot < slots; slot++) {
                vf32 value = kv_load(values[b], (size_t)(slot * size + d), is_fp32);
                UNROLLED for (int i = 0; i < count; i++)
                    sums[i] += value * weights[i][b * BLOCK_TOKENS + slot];
            }
        UNROLLED for (int i = 0; i < count; i++)
            store(q->output[i] + d, sums[i]);
    }
}

/* Attends to the span that begins at `block`. */
INLINE void attend_span(const KvHead *kv, QueryTile *q, int block, int count, int is_fp32) {
    int size = kv->step->model->head_dim, first = block * BLOCK_TOKENS, slots = q->position[count - 1] - first + 1;
    slots = slots < SPAN_SLOTS ? slots : SPAN_SLOTS;
    int blocks = (slots + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
    float scores[TILE_QUERIES][SPAN_SLOTS], rescale[TILE_QUERIES], scale = 1 / sqrtf((float)size);
    char *values[SPAN_BLOCKS];
    for (int b = 0; b < blocks; b++) {
        score_block(q, count, kv_block(kv, block + b, KEYS), scores, b * BLOCK_TOKENS, size, is_fp32);
        values[b] = kv_block(kv, block + b, VALUES);
    }
    for (int i = 0; i < count; i++)
        rescale[i] = softmax_span(q, i, scores[i], blocks, q->position[i] - first + 1, scale);
    add_values(q, count, values, scores, rescale, slots, size, is_fp32);
}

/* Computes `count` queries, a constant for the compiler, from number `first` of a run that begins at `token`. A run's
 * queries are numbered token by token, within a token by query head.
 */
INLINE void attend_tile(const KvHead *kv, int token, int first, int count, int is_fp32) {
    const Step *s = kv->step;
    const Model *m = s->model;
    size_t size = (size_t)m->head_dim, heads = (size_t)m->heads, kv_heads = (size_t)m->kv_heads;
    int group = m->heads / m->kv_heads;
    QueryTile q;
    for (int i = 0; i < count; i++) {
        size_t row = (size_t)(token + (first + i) / group), head = (size_t)(kv->head * group + (first + i) % group);
        q.query[i] = s->projected + (row * (heads + 2 * kv_heads) + head) * size;
        q.output[i] = s->input.values + (row * heads + head) * size;
        q.position[i] = s->batch->positions[row], q.max[i] = -INFINITY, q.sum[i] = 0;
        memset(q.output[i], 0, size * sizeof(float));
    }
    for (int block = 0; block * BLOCK_TOKENS <= q.position[count - 1]; block += SPAN_BLOCKS)
        attend_span(kv, &q, block, count, is_fp32);
    for (int i = 0; i < count; i++)
        for (int d = 0; d < m->head_dim; d++)
            q.output[i][d] /= q.sum[i];
}

/* Computes a run, the tokens from `token` to end - 1, in tiles of queries. */
INLINE void attend_run(const KvHead *kv, int token, int end, int is_fp32) {
    const Model *m = kv->step->model;
    int i = 0, count = (end - token) * (m->heads / m->kv_heads);
    for (; i + TILE_QUERIES <= count; i += TILE_QUERIES)
        attend_tile(kv, token, i, TILE_QUERIES, is_fp32);
    for (; TILE_QUERIES > 4 && i + 4 <= count; i += 4)
        attend_tile(kv, token, i, 4, is_fp32);
    for (; TILE_QUERIES > 2 && i + 2 <= count; i += 2)
        attend_tile(kv, token, i, 2, is_fp32);
    for (; i < count; i++)
        attend_tile(kv, token, i, 1, is_fp32);
}

/* Items: the key-value heads of all runs. */
static void attention_job(const void *context, int begin, int end) {
    const LayerJob *job = context;
    const Step *s = job->step;
    for (int i = begin; i < end; i++) {
        const int32_t *run = s->runs + i / s->model->kv_heads;
        KvHead kv = {s, job->layer, s->batch->sequences[run[0]], i % s->model->kv_heads};
        if (s->model->is_fp32)
            attend_run(&kv, run[0], run[1], 1);
        else
            attend_run(&kv, run[0], run[1], 0);
    }
}

/* Attention of the queries in `projected` over the cache, into the next matmul's input, which is not quantised yet. */
static void attention(const Step *s, int layer) {
    LayerJob job = {s, layer};
    parallel_for(s->model->pool, attention_job, &job, s->run_count * s->model->kv_heads, 1);
}
