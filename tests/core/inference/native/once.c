/* The decoder, and functions that run a part of it once, for tests of the kernels. */
#include "../../../../core/inference/native/decoder.c"

/* output[tokens][rows] = input[tokens][columns] x matrix. Quantises the input. */
void multiply_once(Pool *pool, const Linear *matrix, float *input, float *output, int tokens) {
    size_t groups = (size_t)group_count(matrix->columns) * ((size_t)tokens + AMX_PADDING_TOKENS) + 1;
    Activations activations = {
        .values = input,
        .numbers = calloc(groups, GROUP_COLUMNS),
        .scales = calloc(groups, sizeof(float)),
        .offsets = calloc(groups, sizeof(int32_t)),
        .sums = calloc(groups, sizeof(float)),
        .tokens = tokens,
    };
    for (int token = 0; token < tokens; token++)
        quantise_token(&activations, token, matrix);
    Matmul m = {.linear = matrix, .input = activations, .output = output};
    set_spinning(pool, 1);
    matmul(pool, &m);
    set_spinning(pool, 0);
    free(activations.sums);
    free(activations.offsets);
    free(activations.scales);
    free(activations.numbers);
}

/* Caches the rotated keys and values in `projected` as those of layer 0. */
void cache_once(const Model *m, const Batch *b, float *projected) {
    Step s = {.model = m, .batch = b, .projected = projected};
    LayerJob job = {&s, 0};
    cache_job(&job, 0, b->tokens);
}

/* Unpacks block 0 of head `head` of layer 0: keys[head_dim][16], values[16][head_dim]. */
void unpack_once(const Model *m, const Batch *b, int head, float *keys, float *values) {
    Step s = {.model = m, .batch = b};
    KvHead kv = {&s, 0, 0, head};
    unpack_block(&kv, 0, keys, values);
}
