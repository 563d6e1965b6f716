/* The decoder, and one function more: a single matmul of integer weights, for tests of the kernels. */
#include "../../../../core/inference/native/decoder.c"

/* output[tokens][rows] = scale[tokens] * input[tokens][columns] x matrix */
void multiply_once(Pool *pool, const Linear *matrix, const int16_t *input, float *scale, float *output, int tokens) {
    size_t columns = (size_t)matrix->columns, size = (size_t)tokens * columns;
    int has_planes = matrix->dtype == INT4 || amx_is_used(tokens, matrix->columns, matrix->dtype);
    Activations activations = {
        .quantised = memcpy(malloc(size * sizeof *input + 1), input, size * sizeof *input),
        .planes = has_planes ? calloc(1, amx_plane_bytes((size_t)tokens, columns)) : NULL,
        .offsets = malloc(size * sizeof(int32_t) / GROUP_COLUMNS + 1),
        .scale = scale,
        .tokens = tokens,
    };
    for (int token = 0; token < tokens; token++)
        pack_token(&activations, token, matrix);
    Matmul m = {.linear = matrix, .input = activations, .output = output};
    set_spinning(pool, 1);
    matmul(pool, &m);
    set_spinning(pool, 0);
    free(activations.offsets);
    free(activations.planes);
    free(activations.quantised);
}
