/* Causal attention with grouped queries (GQA) over the KV cache, with an online softmax (arXiv:1805.02867).
 *
 * A query reads the cache in spans, which begin at multiples of SPAN_BLOCKS blocks. Its sums are therefore rounded the
 * same way whichever other queries share its tile.
 */
#pragma once
#include "kv_cache.h"

#define SPAN_BLOCKS 8
#define SPAN_SLOTS (SPAN_BLOCKS * BLOCK_TOKENS)
#define RUN_QUERIES 64 /* for which a span is unpacked once */

/* Queries that share a key-value head and are computed together, with their online softmax so far. */
typedef struct {
    const float *query[TILE_QUERIES];
    float *output[TILE_QUERIES]; /* sum of the values, weighted by exp(score - max) */
    float max[TILE_QUERIES];     /* largest score */
    float sum[TILE_QUERIES];     /* sum of exp(score - max) */
    int position[TILE_QUERIES];  /* ascending; a query attends to the positions up to its own */
    int count;
} QueryTile;

#define ALIGNED __attribute__((aligned(64)))

/* A span's keys [blocks][head_dim][16] and values [slots][head_dim]. */
typedef struct {
    const float *keys, *values;
    int first; /* position of the first slot */
} Span;

/* Causal mask: lane i is set if slot + i < slots. */
INLINE vi32 causal_mask(int slot, int slots) {
    static const int32_t INDEX[PANEL_ROWS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vi32 lane;
    memcpy(&lane, INDEX, sizeof lane);
    return lane + slot < slots;
}

/* Dot products of the queries with a block's keys, not yet scaled, from scores[][slot] on. */
INLINE void score_block(
    const QueryTile *q, int count, const float *keys, float (*scores)[SPAN_SLOTS], int slot, int size) {
    vf32 sums[TILE_QUERIES * PANEL_VECTORS];
    UNROLLED for (int i = 0; i < count * PANEL_VECTORS; i++)
        sums[i] = splat(0);
    for (int d = 0; d < size; d++)
        UNROLLED for (int v = 0; v < PANEL_VECTORS; v++) {
            vf32 key = load(keys + d * BLOCK_TOKENS + v * LANES);
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
    const QueryTile *q, int count, const float *values, float (*weights)[SPAN_SLOTS], const float *rescale, int slots,
    int size) {
    for (int d = 0; d < size; d += LANES) {
        vf32 sums[TILE_QUERIES];
        UNROLLED for (int i = 0; i < count; i++)
            sums[i] = load(q->output[i] + d) * rescale[i];
        for (int slot = 0; slot < slots; slot++) {
            vf32 value = load(values + slot * size + d);
            UNROLLED for (int i = 0; i < count; i++)
                sums[i] += value * weights[i][slot];
        }
        UNROLLED for (int i = 0; i < count; i++)
            store(q->output[i] + d, sums[i]);
    }
}

/* Attends to a span. `count` is that of the tile, a constant for the compiler. */
INLINE void attend_span(QueryTile *q, const Span *span, int size, int count) {
    int slots = q->position[count - 1] - span->first + 1, own = slots < SPAN_SLOTS ? slots : SPAN_SLOTS;
    int blocks = (own + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
    float scores[TILE_QUERIES][SPAN_SLOTS], rescale[TILE_QUERIES], scale = 1 / sqrtf((float)size);
    for (int b = 0; b < blocks; b++)
        score_block(q, count, span->keys + b * BLOCK_TOKENS * size, scores, b * BLOCK_TOKENS, size);
    for (int i = 0; i < count; i++)
        rescale[i] = softmax_span(q, i, scores[i], blocks, q->position[i] - span->first + 1, scale);
    add_values(q, count, span->values, scores, rescale, own, size);
}

static void attend_tile(QueryTile *q, const Span *span, int size) {
    switch (q->count) {
#if TILE_QUERIES >= 8
    case 8: return attend_span(q, span, size, 8);
    case 7: return attend_span(q, span, size, 7);
    case 6: return attend_span(q, span, size, 6);
    case 5: return attend_span(q, span, size, 5);
#endif
#if TILE_QUERIES >= 4
    case 4: return attend_span(q, span, size, 4);
    case 3: return attend_span(q, span, size, 3);
#endif
    case 2: return attend_span(q, span, size, 2);
    default: return attend_span(q, span, size, 1);
    }
}

/* Opens a tile of up to `left` queries, from number `first` of the run that begins at `token`. A run's queries are
 * numbered token by token, within a token by query head.
 */
static void open_tile(const KvHead *kv, int token, int first, int left, QueryTile *q) {
    const Step *s = kv->step;
    const Model *m = s->model;
    size_t size = (size_t)m->head_dim;
    int group = m->heads / m->kv_heads;
    q->count = left < TILE_QUERIES ? left : TILE_QUERIES;
    for (int i = 0; i < q->count; i++) {
        size_t row = (size_t)(token + (first + i) / group), head = (size_t)(kv->head * group + (first + i) % group);
        q->query[i] = s->projected + row * qkv_rows(m) + head * size;
        q->output[i] = s->input.values + (row * m->heads + head) * size;
        q->position[i] = s->batch->positions[row], q->max[i] = -INFINITY, q->sum[i] = 0;
        memset(q->output[i], 0, size * sizeof(float));
    }
}

static void close_tile(const QueryTile *q, int size) {
    for (int i = 0; i < q->count; i++)
        for (int d = 0; d < size; d++)
            q->output[i][d] /= q->sum[i];
}

/* Computes `count` queries from number `first` of a run. A span is unpacked once for all their tiles. */
static void attend_queries(const KvHead *kv, int token, int first, int count) {
    int size = kv->step->model->head_dim, tile_count = 0;
    QueryTile tiles[RUN_QUERIES];
    float keys[SPAN_SLOTS * size] ALIGNED, values[SPAN_SLOTS * size] ALIGNED;
    for (int i = 0; i < count; i += tiles[tile_count++].count)
        open_tile(kv, token, first + i, count - i, tiles + tile_count);
    const QueryTile *last = tiles + tile_count - 1;
    int end = last->position[last->count - 1] + 1;
    for (Span span = {keys, values, 0}; span.first < end; span.first += SPAN_SLOTS) {
        for (int slot = 0; slot < SPAN_SLOTS && span.first + slot < end; slot += BLOCK_TOKENS)
            unpack_block(kv, (span.first + slot) / BLOCK_TOKENS, keys + slot * size, values + slot * size);
        for (int i = 0; i < tile_count; i++)
            if (span.first <= tiles[i].position[tiles[i].count - 1])
                attend_tile(tiles + i, &span, size);
    }
    for (int i = 0; i < tile_count; i++)
        close_tile(tiles + i, size);
}

/* Computes a run, the tokens from `token` to end - 1. */
static void attend_run(const KvHead *kv, int token, int end) {
    const Model *m = kv->step->model;
    int count = (end - token) * (m->heads / m->kv_heads);
    for (int i = 0; i < count; i += RUN_QUERIES)
        attend_queries(kv, token, i, count - i < RUN_QUERIES ? count - i : RUN_QUERIES);
}

/* Items: the key-value heads of all runs. */
static void attention_job(const void *context, int begin, int end) {
    const LayerJob *job = context;
    const Step *s = job->step;
    for (int i = begin; i < end; i++) {
        const int32_t *run = s->runs + i / s->model->kv_heads;
        KvHead kv = {s, job->layer, s->batch->sequences[run[0]], i % s->model->kv_heads};
        attend_run(&kv, run[0], run[1]);
    }
}

/* Attention of the queries in `projected` over the cache, into the next matmul's input, which is not quantised yet. */
static void attention(const Step *s, int layer) {
    LayerJob job = {s, layer};
    parallel_for(s->model->pool, attention_job, &job, s->run_count * s->model->kv_heads, 1);
}
