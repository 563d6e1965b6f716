/* Structures and constants that Python shares with the decoder: library.py mirrors the structures with ctypes. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define PANEL_ROWS 16   /* rows of a matrix that are stored together */
#define BLOCK_TOKENS 16 /* tokens in a block of the KV cache */

enum dtype { FP32, BF16, INT8, INT4, FP16 };

typedef struct Pool Pool;

/* Matrix of a linear layer, in panels. The last panel is padded with zeros; so is bias.
 *
 * Floats: [rows / 16][columns][16]. Integers, in groups of 32 columns: in each panel pairs of groups, first the numbers
 * of both and then their scales, [2][16] in fp16. The numbers of an int8 group are [8][16][4]: eight times, for each row,
 * those of four columns. Those of an int4 group are [4][16][4], raised by 8 and in half a byte: the second half has the
 * column 4 columns further on. Columns are padded with zeros to whole pairs.
 */
typedef struct {
    const void *weight;
    const float *bias;   /* [rows] or NULL */
    const float *shifts; /* [panels][groups][16]: added to each weight of a group of integers; or NULL */
    float *observed;     /* [tokens][columns]: takes the activations that are multiplied, before rounding; NULL usually */
    int32_t rows, columns;
    int32_t dtype;
} Linear;

typedef struct {
    Linear qkv, out, gate_up, down;
    const float *attention_norm, *mlp_norm; /* [hidden] */
    const float *query_norm, *key_norm;     /* [head_dim] or NULL */
    const float *slot_rotations;            /* [head_dim / 2][2][16]: cosines and sines of RoPE, from slot 0 to each */
    int32_t is_unrotated;                   /* without rotary embedding */
} Layer;

typedef struct {
    const Layer *layers;
    const float *final_norm;       /* [hidden] */
    const float *rope_frequencies; /* [head_dim / 2] */
    Linear embedding, lm_head;     /* [vocabulary, hidden], without shifts; the embedding is not int4 */
    Linear preview;                /* int4 copy of lm_head; without weights if there is none, see head.h */
    Pool *pool;
    int32_t kv_dtype; /* of keys and values: FP32, FP16 or INT8 */
    int32_t layer_count, hidden, intermediate, heads, kv_heads, head_dim;
    float epsilon;
} Model;

/* Rows of a matrix that are rounded to int4, see gptq.h. Its columns are in blocks, of whole groups but for the last. */
typedef struct {
    const float *weight;         /* [rows][columns] */
    const int32_t *sizes;        /* [blocks]: columns of each */
    const float *const *factors; /* [blocks]: [size][size] */
    int8_t *numbers;             /* [rows][groups * 32], zeros before */
    uint16_t *scales;            /* [rows][groups] in fp16 */
    int32_t rows, columns, blocks;
} Rounding;

typedef struct {
    const int32_t *ids, *positions; /* [tokens] */
    const int32_t *sequences;       /* [tokens]: index of the token's sequence, a row of `block_tables` */
    const int32_t *block_tables;    /* [sequences][block_table_stride]: blocks of the KV cache, in order */
    const int32_t *output_tokens;   /* [outputs]: tokens whose logits are asked for */
    void *kv_cache;                 /* [blocks], see kv_cache.h */
    float *logits;                  /* [outputs][vocabulary] */
    void *scratch;                  /* scratch_bytes() of memory to work in */
    int32_t tokens, outputs, block_table_stride;
} Batch;
