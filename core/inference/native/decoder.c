/* Forward pass of a Llama-like decoder on the CPU: token ids in, logits out; keys and values stay in a paged KV cache.
 *
 * C11 with GCC's vector extensions and POSIX threads, in one translation unit. Each part builds on those before it.
 *
 * A matrix is stored in panels of 16 rows, one row for each SIMD lane, and no sum crosses lanes. That also makes a
 * token's result independent of the other tokens in its batch, to the last bit.
 *
 * Integer weights and the activations that they multiply have one scale for 32 columns, see groups.h. The integer
 * products are exact, and the same on every processor.
 */
#include "types.h"     /* structures shared with Python */
#include "threads.h"   /* thread pool, parallel_for */
#include "simd.h"      /* registers */
#include "tiles.h"     /* matmul tiles of float weights */
#include "groups.h"    /* matmul tiles of integer weights */
#include "amx.h"       /* the same on AMX */
#include "gptq.h"      /* weights rounded to int4 */
#include "matmul.h"    /* matmul on all threads */
#include "step.h"      /* a forward pass and its buffers */
#include "layers.h"    /* embedding, rms_norm, rope, swiglu, quantisation */
#include "kv_cache.h"  /* paged keys and values, rope_and_cache */
#include "attention.h" /* causal attention, online softmax */
#include "head.h"      /* logits */

static void run_layer(const Step *s, int index) {
    const Layer *layer = s->model->layers + index;
    int tokens = s->batch->tokens;
    norm(s, layer->attention_norm, &layer->qkv, tokens, NULL);
    linear(s, &layer->qkv, tokens, s->projected, 0);
    rope_and_cache(s, index);
    attention(s, index);
    quantise(s, &layer->out);
    linear(s, &layer->out, tokens, s->residual, 1);

    norm(s, layer->mlp_norm, &layer->gate_up, tokens, NULL);
    linear(s, &layer->gate_up, tokens, s->projected, 0);
    swiglu(s, &layer->down);
    linear(s, &layer->down, tokens, s->residual, 1);
}

/* Computes the logits of a batch's output tokens and stores all its tokens in the KV cache. */
void forward(const Model *m, const Batch *b) {
    const Step s = open_step(m, b);
    set_spinning(m->pool, 1);
    embedding(&s);
    rope_angles(&s);
    for (int i = 0; i < m->layer_count; i++)
        run_layer(&s, i);
    head(&s);
    set_spinning(m->pool, 0);
}

/* Sizes of the structures that library.py mirrors, for it to compare when it loads the library. */
const size_t STRUCT_SIZES[] = {sizeof(Linear), sizeof(Layer), sizeof(Model), sizeof(Batch), sizeof(Rounding)};
