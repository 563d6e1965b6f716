/* KV cache: keys and values of past tokens in blocks of 16 tokens (paged attention, arXiv:2309.06180).
 *
 * Elements are fp16, or fp32 if the weights are. A block holds, for each layer and key-value head, the keys as
 * [head_dim][16] and the values as [16][head_dim]: attention reads both along their last dimension.
 */
#pragma once
#include "layers.h"

enum { KEYS, VALUES };

/* One key-value head of a layer, for one sequence. */
typedef struct {
    const Step *step;
    int layer, sequence, head;
} KvHead;

/* Keys or values, by `which`, in block number `block` of the sequence. */
INLINE char *kv_block(const KvHead *kv, int block, int which) {
    const Model *m = kv->step->model;
    const Batch *b = kv->step->batch;
    size_t number = (size_t)b->block_tables[(size_t)kv->sequence * b->block_table_stride + block];
    size_t index = ((number * m->layer_count + kv->layer) * 2 + which) * m->kv_heads + kv->head;
    return (char *)b->kv_cache + index * BLOCK_TOKENS * m->head_dim * (m->is_fp32 ? 4 : 2);
}

INLINE void kv_store(char *block, size_t index, float value, int is_fp32) {
    if (is_fp32)
        ((float *)block)[index] = value;
    else
        ((uint16_t *)block)[index] = fp32_to_fp16(value);
}

INLINE vf32 kv_load(const char *block, size_t index, int is_fp32) {
    return is_fp32 ? load((const float *)block + index) : load_fp16((const uint16_t *)block + index);
}

/* ---- new tokens ---- */

typedef struct {
    const Step *step;
    int layer;
} LayerJob;

/* Normalises (Qwen3) and rotates (except some layers of SmolLM3) a token's query and key heads in place. */
INLINE void rope_heads(const Step *s, const Layer *layer, int token, float *heads) {
    const Model *m = s->model;
    int size = m->head_dim;
    for (int i = 0; i < m->heads + m->kv_heads; i++) {
        float *head = heads + (size_t)i * size;
        const float *weight = i < m->heads ? layer->query_norm : layer->key_norm;
        if (weight)
            rms_norm(head, head, weight, size, m->epsilon);
        if (!layer->is_unrotated)
            rope(head, s->rope + (size_t)token * size, size / 2);
    }
}

INLINE void cache_head(const KvHead *kv, int position, const float *key, const float *value) {
    const Model *m = kv->step->model;
    int size = m->head_dim, is_fp32 = m->is_fp32, slot = position % BLOCK_TOKENS;
    char *keys = kv_block(kv, position / BLOCK_TOKENS, KEYS), *values = kv_block(kv, position / BLOCK_TOKENS, VALUES);
    for (int i = 0; i < size; i++) {
        kv_store(keys, (size_t)(i * BLOCK_TOKENS + slot), key[i], is_fp32);
        kv_store(values, (size_t)(slot * size + i), value[i], is_fp32);
    }
}

static void rope_and_cache_job(const void *context, int begin, int end) {
    const LayerJob *job = context;
    const Step *s = job->step;
    const Model *m = s->model;
    const Batch *b = s->batch;
    size_t size = (size_t)m->head_dim, heads = (size_t)m->heads, kv_heads = (size_t)m->kv_heads;
    for (int token = begin; token < end; token++) {
        float *queries = s->projected + (size_t)token * (heads + 2 * kv_heads) * size;
        const float *keys = queries + heads * size, *values = keys + kv_heads * size;
        rope_heads(s, m->layers + job->layer, token, queries);
        for (int head = 0; head < m->kv_heads; head++) {
            KvHead kv = {s, job->layer, b->sequences[token], head};
            cache_head(&kv, b->positions[token], keys + head * size, values + head * size);
        }
    }
}

/* Rotates the queries and keys in `projected`, then stores the keys and values in the cache. */
static void rope_and_cache(const Step *s, int layer) {
    LayerJob job = {s, layer};
    parallel_for(s->model->pool, rope_and_cache_job, &job, s->batch->tokens, 1);
}
