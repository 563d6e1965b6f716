/* int4 by GPTQ (arXiv:2210.17323): columns are rounded in turn, and the columns that follow make up for the error.
 *
 * A row is in a lane: rows do not depend on each other.
 */
#pragma once
#include "groups.h"
#include "threads.h"

#define MAX_BLOCK_COLUMNS 1024
#define LOWEST_INT4 (-8)
#define HIGHEST_INT4 7
#define AT_ONCE 4 /* columns that are corrected at once, each in a register */

/* Scales that are tried, as parts of the one with which a group's largest weight is the lowest number: 0.7 to 1.1. */
#define TRIED_SCALES 21
#define TRIED_SCALE(number) ((float)(35 + (number)) / 50)

/* Upper Cholesky factor of the inverse of the second moments of a block's inputs, [size][size], or its lower right part. */
typedef struct {
    const float *elements;
    int size;
} Factor;

INLINE const float *factor_row(Factor f, int i) { return f.elements + (size_t)i * f.size; }

INLINE Factor factor_from(Factor f, int column) { return (Factor){factor_row(f, column) + column, f.size}; }

INLINE vf32 inverse_of(vf32 scale) { return blend(scale == 0, splat(0), 1 / scale); }

/* The nearest int4 numbers, as floats. */
INLINE vf32 nearest_int4(vf32 weight, vf32 inverse) {
    vf32 number = vmax(weight * inverse, splat(LOWEST_INT4));
    return -vmax(-number, splat(-HIGHEST_INT4)) + ROUND_TO_INTEGER - ROUND_TO_INTEGER;
}

/* For each lane, of the scales that are tried the one with the least sum of squared errors. An error weighs as much as it
 * costs: the less the columns that follow can make up for it, the smaller the diagonal element of its column.
 */
static vf32 find_scale(const vf32 *weights, int count, Factor factor) {
    vf32 largest = splat(0), best = splat(0), least = splat(INFINITY);
    for (int i = 0; i < count; i++)
        largest = blend(vabs(weights[i]) > vabs(largest), weights[i], largest);
    for (int tried = 0; tried < TRIED_SCALES; tried++) {
        vf32 scale = largest / LOWEST_INT4 * TRIED_SCALE(tried), inverse = inverse_of(scale), sum = splat(0);
        for (int i = 0; i < count; i++) {
            vf32 error = (nearest_int4(weights[i], inverse) * scale - weights[i]) / factor_row(factor, i)[i];
            sum += error * error;
        }
        vi32 is_better = sum < least;
        best = blend(is_better, scale, best), least = blend(is_better, sum, least);
    }
    return best;
}

/* Rounds the columns of a group in turn, and corrects those of it that follow. */
static void round_group(vf32 *weights, int count, Factor factor, vf32 scale, vf32 *numbers, vf32 *errors) {
    vf32 inverse = inverse_of(scale);
    for (int i = 0; i < count; i++) {
        const float *row = factor_row(factor, i);
        numbers[i] = nearest_int4(weights[i], inverse);
        errors[i] = (weights[i] - numbers[i] * scale) / row[i];
        for (int j = i + 1; j < count; j++)
            weights[j] -= row[j] * errors[i];
    }
}

/* Corrects the columns from `begin` to end - 1, for the errors of the factor's first `count` columns. */
static void correct(vf32 *weights, int begin, int end, Factor factor, const vf32 *errors, int count) {
    int j = begin;
    for (; j + AT_ONCE <= end; j += AT_ONCE)
        for (int i = 0; i < count; i++)
            UNROLLED for (int k = 0; k < AT_ONCE; k++)
                weights[j + k] -= factor_row(factor, i)[j + k] * errors[i];
    for (; j < end; j++)
        for (int i = 0; i < count; i++)
            weights[j] -= factor_row(factor, i)[j] * errors[i];
}

/* Stores the scales of a group, of the rows from `row` on; returns them as they are stored. */
static vf32 store_scales(const Rounding *r, int row, int group, vf32 scale) {
    uint16_t stored[LANES];
    for (int lane = 0; lane < LANES; lane++) {
        stored[lane] = fp32_to_fp16(scale[lane]);
        if (row + lane < r->rows)
            r->scales[(size_t)(row + lane) * group_count(r->columns) + group] = stored[lane];
    }
    return load_fp16(stored);
}

static void store_numbers(const Rounding *r, int row, int group, const vf32 *numbers, int count) {
    for (int lane = 0; lane < LANES && row + lane < r->rows; lane++) {
        int8_t *to = r->numbers + ((size_t)(row + lane) * group_count(r->columns) + group) * GROUP_COLUMNS;
        for (int i = 0; i < count; i++)
            to[i] = (int8_t)numbers[i][lane];
    }
}

/* Loads columns of the rows from `row` on, zeros for rows that are missing. */
static void load_columns(const Rounding *r, int row, int begin, int count, vf32 *weights) {
    for (int i = 0; i < count; i++)
        for (int lane = 0; lane < LANES; lane++)
            weights[i][lane] = row + lane < r->rows ? r->weight[(size_t)(row + lane) * r->columns + begin + i] : 0;
}

/* Rounds a block, the columns from `begin` on, of the rows from `row` on. */
static void round_block(const Rounding *r, int row, int begin, Factor block) {
    vf32 weights[MAX_BLOCK_COLUMNS], numbers[GROUP_COLUMNS], errors[GROUP_COLUMNS];
    load_columns(r, row, begin, block.size, weights);
    for (int first = 0; first < block.size; first += GROUP_COLUMNS) {
        Factor factor = factor_from(block, first);
        int left = block.size - first, count = left < GROUP_COLUMNS ? left : GROUP_COLUMNS;
        int group = (begin + first) / GROUP_COLUMNS;
        vf32 scale = store_scales(r, row, group, find_scale(weights + first, count, factor));
        round_group(weights + first, count, factor, scale, numbers, errors);
        correct(weights + first, count, left, factor, errors, count);
        store_numbers(r, row, group, numbers, count);
    }
}

/* Items: LANES rows each. */
static void round_job(const void *context, int begin, int end) {
    const Rounding *r = context;
    for (int item = begin; item < end; item++)
        for (int i = 0, column = 0; i < r->blocks; column += r->sizes[i++])
            round_block(r, item * LANES, column, (Factor){r->factors[i], r->sizes[i]});
}

/* Rounds rows of a matrix to int4. */
void round_rows(Pool *pool, const Rounding *r) {
    set_spinning(pool, 1);
    parallel_for(pool, round_job, r, (r->rows + LANES - 1) / LANES, 1);
    set_spinning(pool, 0);
}
