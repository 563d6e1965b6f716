/* KV cache: keys and values of past tokens in blocks of 16 tokens (paged attention, arXiv:2309.06180).
 *
 * A block holds, for each layer, the keys of all key-value heads and then their values. Keys are [head_dim][16] and
 * values [16][head_dim], in fp32, fp16 or int8 with scales (kv_int8.h). Attention reads them unpacked to fp32.
 */
#pragma once
#include "kv_int8.h"

enum { KEYS, VALUES };

/* One key-value head of a layer, for one sequence. */
typedef struct {
    const Step *step;
    int layer, sequence, head;
} KvHead;

/* Bytes of a head's keys or values, by `which`, in a block. */
INLINE size_t head_bytes(const Model *m, int which) {
    size_t size = (size_t)m->head_dim;
    if (m->kv_dtype == INT8)
        return which == KEYS ? int8_keys_bytes(size) : int8_values_bytes(size);
    return BLOCK_TOKENS * size * (m->kv_dtype == FP32 ? 4 : 2);
}

/* Bytes of a block. */
size_t block_bytes(const Model *m) {
    return (size_t)m->layer_count * m->kv_heads * (head_bytes(m, KEYS) + head_bytes(m, VALUES));
}

/* Keys or values, by `which`, in block number `block` of the sequence. */
INLINE char *kv_block(const KvHead *kv, int block, int which) {
    const Model *m = kv->step->model;
    const Batch *b = kv->step->batch;
    size_t number = (size_t)b->block_tables[(size_t)kv->sequence * b->block_table_stride + block];
    size_t keys = head_bytes(m, KEYS), values = head_bytes(m, VALUES), kv_heads = (size_t)m->kv_heads;
    size_t in_layer = which == KEYS ? kv->head * keys : kv_heads * keys + kv->head * values;
    return (char *)b->kv_cache + (number * m->layer_count + kv->layer) * kv_heads * (keys + values) + in_layer;
}

/* ---- new tokens ---- */

typedef struct {
    const Step *step;
    int layer;
} LayerJob;

/* Floats of a token in `projected`: its queries, keys and values. */
INLINE size_t qkv_rows(const Model *m) { return (size_t)(m->heads + 2 * m->kv_heads) * (size_t)m->head_dim; }

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

static void rope_job(const void *context, int begin, int end) {
    const LayerJob *job = context;
    const Step *s = job->step;
    const Model *m = s->model;
    for (int token = begin; token < end; token++)
        rope_heads(s, m->layers + job->layer, token, s->projected + (size_t)token * qkv_rows(m));
}

INLINE void store_element(char *block, int index, float value, int dtype) {
    if (dtype == FP32)
        ((float *)block)[index] = value;
    else
        ((uint16_t *)block)[index] = fp32_to_fp16(value);
}

/* Packs a key and a value into the slot of their position. `first` as for `pack_int8_key`. */
INLINE void cache_head(const KvHead *kv, int position, const float *key, const float *value, const float *first) {
    const Model *m = kv->step->model;
    int size = m->head_dim, slot = position % BLOCK_TOKENS;
    char *keys = kv_block(kv, position / BLOCK_TOKENS, KEYS), *values = kv_block(kv, position / BLOCK_TOKENS, VALUES);
    if (m->kv_dtype == INT8) {
        pack_int8_key(keys, slot, key, first, m->layers[kv->layer].slot_rotations, size);
        pack_int8_value(values, slot, value, size);
        return;
    }
    for (int i = 0; i < size; i++) {
        store_element(keys, i * BLOCK_TOKENS + slot, key[i], m->kv_dtype);
        store_element(values, slot * size + i, value[i], m->kv_dtype);
    }
}

static void cache_job(const void *context, int begin, int end) {
    const LayerJob *job = context;
    const Step *s = job->step;
    const Model *m = s->model;
    const Batch *b = s->batch;
    size_t size = (size_t)m->head_dim, rows = qkv_rows(m);
    for (int token = begin; token < end; token++) {
        const float *keys = s->projected + (size_t)token * rows + m->heads * size, *values = keys + m->kv_heads * size;
        int slot = b->positions[token] % BLOCK_TOKENS;
        int has_first = slot <= token && b->sequences[token - slot] == b->sequences[token];
        for (int head = 0; head < m->kv_heads; head++) {
            KvHead kv = {s, job->layer, b->sequences[token], head};
            const float *key = keys + head * size, *first = has_first ? key - slot * rows : NULL;
            cache_head(&kv, b->positions[token], key, values + head * size, first);
        }
    }
}

/* Rotates the queries and keys in `projected`, then stores the keys and values in the cache. */
static void rope_and_cache(const Step *s, int layer) {
    LayerJob job = {s, layer};
    parallel_for(s->model->pool, rope_job, &job, s->batch->tokens, 1);
    parallel_for(s->model->pool, cache_job, &job, s->batch->tokens, 1);
}

/* ---- unpacking ---- */

INLINE void unpack_floats(const char *block, int count, int dtype, float *to) {
    for (int i = 0; i < count; i += LANES)
        store(to + i, dtype == FP32 ? load((const float *)block + i) : load_fp16((const uint16_t *)block + i));
}

/* Unpacks a block: keys[head_dim][16] and values[16][head_dim].
 *
 * Not inlined: two copies could be compiled to round differently, and a token's result would depend on its batch.
 */
static __attribute__((noinline)) void unpack_block(const KvHead *kv, int block, float *keys, float *values) {
    const Model *m = kv->step->model;
    char *packed_keys = kv_block(kv, block, KEYS), *packed_values = kv_block(kv, block, VALUES);
    int size = m->head_dim;
    if (m->kv_dtype == INT8) {
        unpack_int8_keys(packed_keys, m->layers[kv->layer].slot_rotations, size, keys);
        unpack_int8_values(packed_values, size, values);
    } else if (m->kv_dtype == FP16) {
        unpack_floats(packed_keys, BLOCK_TOKENS * size, FP16, keys);
        unpack_floats(packed_values, BLOCK_TOKENS * size, FP16, values);
    } else {
        unpack_floats(packed_keys, BLOCK_TOKENS * size, FP32, keys);
        unpack_floats(packed_values, BLOCK_TOKENS * size, FP32, values);
    }
}
