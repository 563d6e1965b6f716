/* The output head: logits of the batch's output tokens.
 *
 * A large head is read in two stages (SVD-softmax, Shim et al., NIPS 2017): all rows by an int4 copy, the preview, and
 * then the likeliest rows by the head itself. A token's logits depend on its own preview alone, not on its batch.
 */
#pragma once
#include "layers.h"

#define LIKELIEST_PANELS 128

/* Largest logit of a panel. */
INLINE float panel_max(const float *logits, int panel, int rows) {
    const float *from = logits + panel * PANEL_ROWS;
    int count = rows - panel * PANEL_ROWS;
    float max = from[0];
    for (int i = 1; i < PANEL_ROWS && i < count; i++)
        max = from[i] > max ? from[i] : max;
    return max;
}

/* Finds the panels with the largest of `logits`, [rows], in descending order. Fewer panels are filled up with panel 0. */
static void find_likeliest(const float *logits, int rows, int32_t *likeliest) {
    float maxima[LIKELIEST_PANELS];
    for (int i = 0; i < LIKELIEST_PANELS; i++)
        likeliest[i] = 0, maxima[i] = -INFINITY;
    for (int panel = 0; panel * PANEL_ROWS < rows; panel++) {
        float max = panel_max(logits, panel, rows);
        int at = LIKELIEST_PANELS - 1;
        if (!(max > maxima[at]))
            continue;
        for (; at > 0 && max > maxima[at - 1]; at--)
            likeliest[at] = likeliest[at - 1], maxima[at] = maxima[at - 1];
        likeliest[at] = panel, maxima[at] = max;
    }
}

/* The same multiplication for one of its tokens. */
INLINE Matmul of_token(const Matmul *m, int token) {
    size_t groups = (size_t)group_count(m->linear->columns), first = (size_t)token * groups;
    Matmul one = *m;
    one.input.tokens = 1;
    one.input.numbers += first * GROUP_COLUMNS, one.input.scales += first, one.input.offsets += first;
    one.output += (size_t)token * m->linear->rows;
    return one;
}

/* Items: tokens whose logits are those of the preview. */
static void refine_job(const void *context, int begin, int end) {
    for (int token = begin; token < end; token++) {
        Matmul m = of_token(context, token);
        int32_t likeliest[LIKELIEST_PANELS];
        find_likeliest(m.output, m.linear->rows, likeliest);
        for (int i = 0; i < LIKELIEST_PANELS; i++)
            matmul_panels(&m, likeliest[i], 1, 0);
    }
}

static void head(const Step *s) {
    const Model *m = s->model;
    const Batch *b = s->batch;
    const Linear *first = m->preview.weight ? &m->preview : &m->lm_head;
    norm(s, m->final_norm, first, b->outputs, b->output_tokens);
    linear(s, first, b->outputs, b->logits, 0);
    if (first == &m->lm_head)
        return;
    norm(s, m->final_norm, &m->lm_head, b->outputs, b->output_tokens); /* quantised for another type */
    Matmul refined = {&m->lm_head, input_of(s, &m->lm_head, b->outputs), b->logits, 0};
    parallel_for(m->pool, refine_job, &refined, b->outputs, 1);
}
