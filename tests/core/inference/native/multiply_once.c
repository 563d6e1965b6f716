/* The decoder, and one function more: a single int8 matmul, for tests of the kernels. */
#include "../../../../core/inference/native/decoder.c"

/* output[tokens][rows] = scale[tokens] * input[tokens][columns] x matrix */
void multiply_once(Pool *pool, const Linear *matrix, const int16_t *input, float *scale, float *output, int tokens) {
    int columns = matrix->columns;
    size_t size = (size_t)tokens * (size_t)columns;
    int16_t *quantised = memcpy(malloc(size * sizeof *input + 1), input, size * sizeof *input);
    int uses_amx = amx_is_used(tokens, columns, INT8);
    int8_t *planes = uses_amx ? calloc(1, amx_plane_bytes((size_t)tokens, (size_t)columns)) : NULL;
    for (int token = 0; token < tokens; token++)
        pack_token(quantised + (size_t)token * columns, planes, token, columns);
    Activations activations = {.quantised = quantised, .planes = planes, .scale = scale, .tokens = tokens};
    Matmul m = {.linear = matrix, .input = activations, .output = output, .dtype = INT8};
    set_spinning(pool, 1);
    matmul(pool, &m);
    set_spinning(pool, 0);
    free(planes);
    free(quantised);
}
