/* The decoder, and one function more: a single matmul of integer weights, for tests of the kernels. */
#include "../../../../core/inference/native/decoder.c"

/* output[tokens][rows] = input[tokens][columns] x matrix. Quantises the input. */
void multiply_once(Pool *pool, const Linear *matrix, float *input, float *output, int tokens) {
    size_t groups = (size_t)group_count(matrix->columns) * ((size_t)tokens + AMX_PADDING_TOKENS) + 1;
    Activations activations = {
        .values = input,
        .numbers = calloc(groups, GROUP_COLUMNS),
        .scales = calloc(groups, sizeof(float)),
        .offsets = calloc(groups, sizeof(int32_t)),
        .tokens = tokens,
    };
    for (int token = 0; token < tokens; token++)
        quantise_token(&activations, token, matrix);
    Matmul m = {.linear = matrix, .input = activations, .output = output};
    set_spinning(pool, 1);
    matmul(pool, &m);
    set_spinning(pool, 0);
    free(activations.offsets);
    free(activations.scales);
    free(activations.numbers);
}
