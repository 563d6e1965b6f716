/* The forward pass of a Qwen2-like decoder on the CPU: token ids in, logits out, keys and values kept in blocks.
 *
 * C11 with GCC's vector extensions and POSIX threads. A register has `LANES` numbers, and sixteen fill `PARTS` of them. A
 * matrix is stored in panels of sixteen rows, so that a lane is an output row and nothing is ever summed across lanes;
 * that also makes a token's result independent of its neighbours in the batch, to the last bit.
 *
 * int8 weights have one scale a row, activations are int16 with one scale a token. Python picks `limit` such that no
 * sum can leave int32: products are exact, and the same on every processor.
 */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__AMX_INT8__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define PANEL 16          /* rows of a matrix that are stored together */
#define BLOCK 16          /* tokens of a block of the cache */
#define ROUNDER 0x1.8p23f /* added and taken off again, it leaves a small number rounded to nearest */
#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 32") /* sums are in registers only where no loop is left to index them */

/* What the registers hold: sixteen numbers in so many of them; the sums of a tile of panels times tokens; of queries. */
#if defined(__AVX512BW__)
#define PARTS 1
#define PANELS 4
#define TOKENS 4
#define QUERIES 8
#elif defined(__AVX2__)
#define PARTS 2
#define PANELS 1
#define TOKENS 3
#define QUERIES 4
#else
#define PARTS 4
#define PANELS 1
#define TOKENS 2
#define QUERIES 2
#endif
#define LANES (16 / PARTS)

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t bits __attribute__((vector_size(4 * LANES)));
typedef int16_t pairs __attribute__((vector_size(4 * LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));
typedef int16_t shorts __attribute__((vector_size(2 * LANES)));

enum kind { FP32, BF16, INT8 };

/* The structures below are mirrored in library.py. */

typedef struct {
    const void *weight; /* panels: [rows / 16][columns][16], int8: [rows / 16][columns / 4][16][4] */
    const float *scale; /* int8: [rows], in whole panels */
    const float *bias;  /* [rows], in whole panels, or NULL */
    int32_t rows, columns;
    int32_t limit; /* int8: the largest activation */
} Linear;

typedef struct {
    Linear qkv, out, gate_up, down;
    const float *attention_norm, *mlp_norm;
    const float *query_norm, *key_norm; /* [head_dim] or NULL */
} Layer;

typedef struct Pool Pool;

typedef struct {
    const Layer *layers;
    const float *norm;
    const float *frequencies; /* of rotary embedding: [head_dim / 2] */
    const void *embedding;    /* panels, as a matrix of [vocabulary, hidden] */
    const float *embedding_scale;
    Linear head;
    Pool *pool;
    int32_t kind, layer_count, hidden, intermediate, heads, kv_heads, head_dim;
    float epsilon;
} Model;

typedef struct {
    const int32_t *ids, *positions; /* [tokens] */
    const int32_t *rows;            /* [tokens]: whose blocks a token's are */
    const int32_t *blocks;          /* [row count][block_stride]: a row's blocks, in order */
    const int32_t *wanted;          /* [outputs]: the tokens to give logits for */
    void *cache;                    /* [blocks][layers][2][kv_heads][16 * head_dim], keys [head_dim][16] */
    float *logits;                  /* [outputs][head.rows] */
    void *scratch;
    int32_t tokens, outputs, block_stride;
} Batch;

/* ---- threads: one job at a time, cut into pieces that whoever is free takes ---- */

typedef void Job(const void *context, int begin, int end);

struct Pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t *threads;
    int extra;
    Job *job;
    const void *context;
    int items;
    atomic_int grain, awake, closed;
    _Alignas(64) atomic_ullong open; /* the job's number << 32 | items of it that nobody has taken */
    _Alignas(64) atomic_int done;
};

INLINE void relax(int spins) {
    if (spins % 64 == 63)
        sched_yield(); /* there may be more threads than cores: let those run that we wait for */
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Works as long as there is something to take. A piece that is taken keeps its job open, so its fields stand still. */
static void take_pieces(Pool *pool) {
    unsigned long long open = atomic_load(&pool->open);
    while ((uint32_t)open) {
        int left = (int)(uint32_t)open, grain = atomic_load(&pool->grain), count = left < grain ? left : grain;
        if (!atomic_compare_exchange_weak(&pool->open, &open, open - (unsigned)count))
            continue;
        int begin = pool->items - left;
        pool->job(pool->context, begin, begin + count);
        atomic_fetch_add(&pool->done, count);
        open = atomic_load(&pool->open);
    }
}

static void *work(void *argument) {
    Pool *pool = argument;
    while (!atomic_load(&pool->closed)) {
        for (int spins = 0; atomic_load(&pool->awake); spins++) {
            take_pieces(pool);
            relax(spins);
        }
        pthread_mutex_lock(&pool->lock);
        while (!atomic_load(&pool->awake) && !atomic_load(&pool->closed))
            pthread_cond_wait(&pool->wake, &pool->lock);
        pthread_mutex_unlock(&pool->lock);
    }
    return NULL;
}

static void set_awake(Pool *pool, int awake) {
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->awake, awake);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

static void parallel(Pool *pool, Job *job, const void *context, int items, int grain) {
    if (!pool->extra || items <= grain) {
        job(context, 0, items);
        return;
    }
    unsigned long long number = (atomic_load(&pool->open) >> 32) + 1;
    pool->job = job, pool->context = context, pool->items = items;
    atomic_store(&pool->grain, grain);
    atomic_store(&pool->done, 0);
    atomic_store(&pool->open, number << 32 | (unsigned)items);
    take_pieces(pool);
    for (int spins = 0; atomic_load(&pool->done) != items; spins++)
        relax(spins);
}

void close_pool(Pool *pool) {
    atomic_store(&pool->closed, 1);
    set_awake(pool, 0);
    for (int i = 0; i < pool->extra; i++)
        pthread_join(pool->threads[i], NULL);
    free(pool->threads);
    free(pool);
}

/* A pool of `threads`, the caller being one of them; NULL where they cannot be had. */
Pool *open_pool(int threads) {
    Pool *pool = aligned_alloc(64, (sizeof(Pool) + 63) / 64 * 64);
    if (!pool)
        return NULL;
    memset(pool, 0, sizeof *pool);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->threads = calloc((size_t)threads, sizeof(pthread_t));
    for (int i = 1; pool->threads && i < threads; i++) {
        if (pthread_create(&pool->threads[i - 1], NULL, work, pool))
            break;
        pool->extra = i;
    }
    if (!pool->threads || pool->extra + 1 != threads) {
        close_pool(pool);
        return NULL;
    }
    return pool;
}

/* ---- a register of numbers ---- */

INLINE floats splat(float x) { return x - (floats){0}; }

INLINE floats load(const float *from) {
    floats x;
    memcpy(&x, from, sizeof x);
    return x;
}

INLINE void store(float *to, floats x) { memcpy(to, &x, sizeof x); }

INLINE floats choose(ints where, floats yes, floats no) { return (floats)(((ints)yes & where) | ((ints)no & ~where)); }

INLINE floats larger(floats a, floats b) { return choose(a > b, a, b); }

INLINE floats magnitude(floats x) { return (floats)((ints)x & 0x7fffffff); }

INLINE float largest(floats x) {
    float most = x[0];
    for (int i = 1; i < LANES; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

INLINE float total(floats x) {
    float sum = 0;
    for (int i = 0; i < LANES; i++)
        sum += x[i];
    return sum;
}

/* e to the x, for x <= 0, to about 1e-7 (Cephes' expf). */
INLINE floats exponential(floats x) {
    x = larger(x, splat(-87.0f));
    ints n = __builtin_convertvector(x * 1.44269504f - 0.5f, ints);
    floats m = __builtin_convertvector(n, floats), r = x - m * 0.693359375f - m * -2.12194440e-4f;
    floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return (p * r * r + r + 1.0f) * (floats)((n + 127) << 23);
}

INLINE floats from_bf16(const void *from) {
    halves x;
    memcpy(&x, from, sizeof x);
    return (floats)(__builtin_convertvector(x, bits) << 16);
}

/* IEEE half precision, which a multiplication by a power of two turns into single precision and back. */
INLINE floats from_half(const void *from) {
#if defined(__AVX512F__)
    return (floats)_mm512_cvtph_ps(_mm256_loadu_si256(from));
#elif defined(__F16C__)
    return (floats)_mm256_cvtph_ps(_mm_loadu_si128(from));
#else
    halves x;
    memcpy(&x, from, sizeof x);
    bits wide = __builtin_convertvector(x, bits);
    return (floats)((bits)((floats)((wide & 0x7fff) << 13) * 0x1p112f) | (wide & 0x8000) << 16);
#endif
}

INLINE uint16_t to_half(float x) {
    union {
        float real;
        uint32_t bits;
    } raw = {x}, scaled = {fminf(fabsf(x), 65504.0f) * 0x1p-112f};
    uint32_t rounded = scaled.bits + 0xfff + (scaled.bits >> 13 & 1);
    return (uint16_t)(raw.bits >> 16 & 0x8000) | (uint16_t)(rounded >> 13);
}

/* ---- matrices: a tile is some panels times some tokens ---- */

/* Adds the products of two columns of some rows with two activations of a token. */
INLINE ints add_pairs(ints sums, pairs weights, const int16_t *activations) {
    int32_t two;
    memcpy(&two, activations, sizeof two);
#if defined(__AVX512VNNI__)
    return (ints)_mm512_dpwssd_epi32((__m512i)sums, (__m512i)weights, _mm512_set1_epi32(two));
#elif defined(__AVX512BW__)
    return sums + (ints)_mm512_madd_epi16((__m512i)weights, _mm512_set1_epi32(two));
#elif defined(__AVX2__)
    return sums + (ints)_mm256_madd_epi16((__m256i)weights, _mm256_set1_epi32(two));
#elif defined(__SSE2__)
    return sums + (ints)_mm_madd_epi16((__m128i)weights, _mm_set1_epi32(two));
#else
    return sums + ((ints)weights << 16 >> 16) * (int16_t)two + ((ints)weights >> 16) * (two >> 16);
#endif
}

#define GRAIN 4    /* panels that a thread takes at once, at least */
#define SHARES 4   /* pieces of a large matrix for each thread */
#define SPAN 8     /* blocks whose scores are weighed at once */
#define RUN 8      /* tokens whose attention a thread takes at once */
#define AHEAD 1536 /* bytes of a panel that are fetched before they are needed */

typedef struct {
    const Linear *linear;
    const float *input;       /* [tokens][columns] */
    const int16_t *quantised; /* the same, where weights are int8 */
    const int8_t *planes;     /* the same for matrix units, see `split` */
    const float *scale;       /* [tokens] */
    float *output;            /* [tokens][rows] */
    int32_t tokens, kind, adds;
} Product;

/* Puts a panel's sums for a token in their place. */
INLINE void put(const Product *p, int panel, int token, const float *sums) {
    const Linear *linear = p->linear;
    int row = panel * PANEL, count = linear->rows - row;
    float *to = p->output + (size_t)token * linear->rows + row, values[PANEL];
    for (int i = 0; i < PANEL; i += LANES) {
        floats value = load(sums + i);
        if (p->kind == INT8)
            value *= load(linear->scale + row + i) * p->scale[token];
        if (linear->bias)
            value += load(linear->bias + row + i);
        store(values + i, value);
    }
    for (int i = 0; count >= PANEL && i < PANEL; i += LANES)
        store(to + i, p->adds ? load(to + i) + load(values + i) : load(values + i));
    for (int i = 0; count < PANEL && i < count; i++)
        to[i] = p->adds ? to[i] + values[i] : values[i];
}

/* The same for a tile. Once in the program, since tiles are unrolled. */
static __attribute__((noinline)) void put_tile(
    const Product *p, int panel, int panels, int token, int tokens, const float (*sums)[PANEL]) {
    for (int i = 0; i < panels; i++)
        for (int j = 0; j < tokens; j++)
            put(p, panel + i, token + j, sums[i * tokens + j]);
}

/* The same for sums in registers: [panels][PARTS][tokens]. */
INLINE void put_sums(const Product *p, int panel, int panels, int token, int tokens, const floats *sums) {
    float totals[PANELS * TOKENS][PANEL];
    UNROLLED for (int i = 0; i < panels * PARTS; i++)
        UNROLLED for (int j = 0; j < tokens; j++)
            store(totals[i / PARTS * tokens + j] + i % PARTS * LANES, sums[i * tokens + j]);
    put_tile(p, panel, panels, token, tokens, totals);
}

/* Where the weights are that a tile comes to after so many bytes: in the same panel, or that of the next tile. */
INLINE size_t ahead(size_t place, size_t distance, size_t panel_bytes, int panels) {
    size_t later = place + distance;
    return later < panel_bytes ? later : later + (size_t)(panels - 1) * panel_bytes;
}

INLINE void int8_tile(const Product *p, int panel, int panels, int token, int tokens) {
    const Linear *linear = p->linear;
    size_t columns = (size_t)linear->columns;
    const int8_t *weight = (const int8_t *)linear->weight + (size_t)panel * PANEL * columns;
    const int16_t *input = p->quantised + (size_t)token * columns;
    enum { MOST = PANELS * TOKENS * PARTS };
    int count = panels * tokens * PARTS, odds = 2 * count <= MOST ? count : 0; /* few sums wait for each other: take two */
    ints sums[MOST];
    UNROLLED for (int i = 0; i < count + odds; i++)
        sums[i] = (ints){0};
    for (size_t column = 0; column < columns; column += 4) {
        size_t later = ahead(column * PANEL, AHEAD, columns * PANEL, panels);
        pairs even[PANELS * PARTS], odd[PANELS * PARTS];
        UNROLLED for (int i = 0; i < panels * PARTS; i++) {
            const int8_t *from = weight + (i / PARTS * columns + column) * PANEL + i % PARTS * sizeof(pairs);
            pairs four;
            memcpy(&four, from, sizeof four);
            if (i % PARTS == 0)
                __builtin_prefetch(weight + i / PARTS * columns * PANEL + later);
            even[i] = four << 8 >> 8, odd[i] = four >> 8;
        }
        UNROLLED for (int j = 0; j < tokens; j++) {
            const int16_t *quad = input + j * columns + column;
            UNROLLED for (int i = 0; i < panels * PARTS; i++) {
                int sum = i * tokens + j;
                sums[sum] = add_pairs(sums[sum], even[i], quad);
                sums[odds + sum] = add_pairs(sums[odds + sum], odd[i], quad + 2);
            }
        }
    }
    UNROLLED for (int i = 0; i < odds; i++)
        sums[i] += sums[odds + i];
    floats values[PANELS * TOKENS * PARTS];
    UNROLLED for (int i = 0; i < count; i++)
        values[i] = __builtin_convertvector(sums[i], floats);
    put_sums(p, panel, panels, token, tokens, values);
}

INLINE void float_tile(const Product *p, int panel, int panels, int token, int tokens, int kind) {
    size_t columns = (size_t)p->linear->columns, size = kind == FP32 ? 4 : 2;
    const char *weight = (const char *)p->linear->weight + (size_t)panel * PANEL * columns * size;
    const float *input = p->input + (size_t)token * columns;
    floats sums[PANELS * TOKENS * PARTS];
    UNROLLED for (int i = 0; i < panels * tokens * PARTS; i++)
        sums[i] = splat(0);
    for (size_t column = 0; column < columns; column++)
        UNROLLED for (int i = 0; i < panels * PARTS; i++) {
            const char *from = weight + ((i / PARTS * columns + column) * PANEL + i % PARTS * LANES) * size;
            floats values = kind == FP32 ? load((const float *)from) : from_bf16(from);
            UNROLLED for (int j = 0; j < tokens; j++)
                sums[i * tokens + j] += values * input[j * columns + column];
        }
    put_sums(p, panel, panels, token, tokens, sums);
}

INLINE void tile(const Product *p, int panel, int panels, int token, int tokens) {
    if (p->kind == INT8)
        int8_tile(p, panel, panels, token, tokens);
    else if (p->kind == BF16)
        float_tile(p, panel, panels, token, tokens, BF16);
    else
        float_tile(p, panel, panels, token, tokens, FP32);
}

/* ---- matrix units, which multiply int8 by int8: an activation is split into 256 * high + low ---- */

#define TILE_TOKENS 8 /* their two halves fill a tile */
#define FEW_TOKENS 4  /* up to here reading the weights takes longer than vector instructions need */
#define SLACK 16      /* tokens after the last one that may be read */

/* Puts a token where a tile finds it: [tokens / 8][columns / 64][8][2][64], low and high by turns. */
INLINE void split(const int16_t *from, int8_t *planes, int token, int columns) {
    int8_t *to = planes + (size_t)(token / TILE_TOKENS * TILE_TOKENS) * 2 * columns + token % TILE_TOKENS * 128;
    for (int column = 0; column < columns; column += 64, to += 1024)
        for (int i = 0; i < 64; i++) {
            int16_t value = from[column + i];
            to[i] = (int8_t)value;
            to[64 + i] = (int8_t)((value - (int8_t)value) >> 8);
        }
}

/* Puts a token's activations where the products find them: by fours as 0 2 1 3, since a weight's even and odd columns are
 * multiplied apart.
 */
INLINE void arrange(int16_t *quantised, int8_t *planes, int token, int columns) {
    if (planes)
        split(quantised, planes, token, columns);
    for (int column = 0; column < columns; column += 4) {
        uint64_t four;
        memcpy(&four, quantised + column, sizeof four);
        four = (four & 0xffff00000000ffff) | (four & 0xffff0000) << 16 | (four >> 16 & 0xffff0000);
        memcpy(quantised + column, &four, sizeof four);
    }
}

INLINE int has_planes(int tokens, int columns, int kind) {
#if defined(__AMX_INT8__)
    return kind == INT8 && tokens > FEW_TOKENS && columns % 64 == 0;
#else
    return (void)tokens, (void)columns, (void)kind, 0;
#endif
}

#if defined(__AMX_INT8__)
#define FEATURE_REQUEST 0x1023 /* ARCH_REQ_XCOMP_PERM of XTILEDATA, arch_prctl(2) */
#define TILE_DATA 18

#define TILE_AHEAD 4096 /* bytes: tiles are loaded too seldom for the processor to see what comes next */

typedef struct {
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} TileShapes;

static const TileShapes SHAPES = {.palette = 1,
                                  .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                                  .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

/* The intrinsic of GCC 12 tells the compiler of 8 bytes of the 64 only. */
INLINE void configure_tiles(void) { __asm__ volatile("ldtilecfg %0" : : "m"(SHAPES)); }

/* Puts what a tile of sums holds: 8 tokens, low and high by turns, times a panel. */
static void put_tokens(const Product *p, int panel, int token, const int32_t (*sums)[PANEL]) {
    for (int i = 0; i < TILE_TOKENS && token + i < p->tokens; i++) {
        float whole[PANEL];
        for (int lane = 0; lane < PANEL; lane++)
            whole[lane] = (float)(int32_t)((uint32_t)sums[2 * i][lane] + ((uint32_t)sums[2 * i + 1][lane] << 8));
        put(p, panel, token + i, whole);
    }
}

INLINE void fetch_tile(const int8_t *from) {
    for (int line = 0; line < 16; line++)
        _mm_prefetch((const char *)from + 64 * line, _MM_HINT_T0);
}

/* The sums are tiles 4 to 7. */
INLINE void clear_sums(void) {
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
}

INLINE void store_sums(int32_t (*sums)[16][PANEL]) {
    _tile_stored(4, sums[0], 64);
    _tile_stored(5, sums[1], 64);
    _tile_stored(6, sums[2], 64);
    _tile_stored(7, sums[3], 64);
}

/* 16 tokens times two panels. Every 16 tokens are a pass over them, and each pass fetches its share of the next ones. */
INLINE void square_of_tiles(const Product *p, int panel, int token) {
    int32_t sums[4][16][PANEL];
    size_t columns = (size_t)p->linear->columns, next = PANEL * columns;
    const int8_t *weight = (const int8_t *)p->linear->weight + (size_t)panel * next;
    const int8_t *input = p->planes + (size_t)token * 2 * columns;
    size_t first = columns * (size_t)token / (size_t)p->tokens, share = columns * 16 / (size_t)p->tokens;
    clear_sums();
    for (size_t column = 0; column < columns; column += 64) {
        if (column >= first && column <= first + share) {
            fetch_tile(weight + 4 * next + column * PANEL);
            fetch_tile(weight + 5 * next + column * PANEL);
        }
        _tile_loadd(0, input + column * 16, 64);
        _tile_loadd(1, input + 16 * columns + column * 16, 64);
        _tile_loadd(2, weight + column * PANEL, 64);
        _tile_loadd(3, weight + next + column * PANEL, 64);
        _tile_dpbssd(4, 0, 2);
        _tile_dpbssd(5, 1, 2);
        _tile_dpbssd(6, 0, 3);
        _tile_dpbssd(7, 1, 3);
    }
    store_sums(sums);
    for (int i = 0; i < 4; i++)
        put_tokens(p, panel + i / 2, token + i % 2 * TILE_TOKENS, sums[i]);
}

/* 8 tokens times four panels. */
INLINE void row_of_tiles(const Product *p, int panel, int token) {
    int32_t sums[4][16][PANEL];
    size_t columns = (size_t)p->linear->columns, next = PANEL * columns;
    const int8_t *weight = (const int8_t *)p->linear->weight + (size_t)panel * next;
    const int8_t *input = p->planes + (size_t)token * 2 * columns;
    clear_sums();
    for (size_t column = 0; column < columns; column += 64) {
        for (int i = 0; i < 4; i++)
            fetch_tile(weight + i * next + ahead(column * PANEL, TILE_AHEAD, next, 4));
        _tile_loadd(0, input + column * 16, 64);
        _tile_loadd(1, weight + column * PANEL, 64);
        _tile_loadd(2, weight + next + column * PANEL, 64);
        _tile_dpbssd(4, 0, 1);
        _tile_dpbssd(5, 0, 2);
        _tile_loadd(1, weight + 2 * next + column * PANEL, 64);
        _tile_loadd(2, weight + 3 * next + column * PANEL, 64);
        _tile_dpbssd(6, 0, 1);
        _tile_dpbssd(7, 0, 2);
    }
    store_sums(sums);
    for (int i = 0; i < 4; i++)
        put_tokens(p, panel + i, token, sums[i]);
}

/* What the matrix units take of four panels: tokens from the first on; how many. */
INLINE int multiply_tiles(const Product *p, int panel) {
    int token = 0;
    if (!p->planes)
        return 0;
    for (; p->tokens - token > TILE_TOKENS; token += 2 * TILE_TOKENS)
        for (int i = 0; i < 4; i += 2)
            square_of_tiles(p, panel + i, token);
    for (; p->tokens - token > FEW_TOKENS; token += TILE_TOKENS)
        row_of_tiles(p, panel, token);
    return token < p->tokens ? token : p->tokens;
}

INLINE void release_tiles(void) { _tile_release(); }

/* Whether the system lets us: 0 if so. */
int prepare_processor(void) { return (int)syscall(SYS_arch_prctl, FEATURE_REQUEST, TILE_DATA); }
#else
INLINE int multiply_tiles(const Product *p, int panel) { return (void)p, (void)panel, 0; }

INLINE void configure_tiles(void) {}

INLINE void release_tiles(void) {}

int prepare_processor(void) { return 0; }
#endif

/* Some panels for all tokens from one on; the shapes are constants for the compiler. */
INLINE void strip(const Product *p, int panel, int panels, int token) {
    for (; token + TOKENS <= p->tokens; token += TOKENS)
        tile(p, panel, panels, token, TOKENS);
    for (; TOKENS > 2 && token + 2 <= p->tokens; token += 2)
        tile(p, panel, panels, token, 2);
    for (; token < p->tokens; token++)
        tile(p, panel, panels, token, 1);
}

/* A few panels at a time for all tokens: so they stay in the core's cache until the last. */
static void multiply_panels(const void *context, int begin, int end) {
    const Product *p = context;
    int panel = begin;
    if (p->planes)
        configure_tiles();
    for (; panel + GRAIN <= end; panel += GRAIN) {
        int token = multiply_tiles(p, panel);
        for (int i = 0; i < GRAIN; i += PANELS)
            strip(p, panel + i, PANELS, token);
    }
    if (p->planes)
        release_tiles();
    for (; panel < end; panel++)
        strip(p, panel, 1, 0);
}

/* A thread takes many panels at once: memory is read fastest in long runs, and what comes next is fetched ahead. */
static void multiply(Pool *pool, const Product *p) {
    int panels = (p->linear->rows + PANEL - 1) / PANEL, share = panels / (SHARES * (pool->extra + 1)) / GRAIN * GRAIN;
    parallel(pool, multiply_panels, p, panels, share > GRAIN ? share : GRAIN);
}

/* ---- the steps between the matrices: each is a job over tokens ---- */

typedef struct {
    const Model *model;
    const Batch *batch;
    const Layer *layer;
    const float *weight; /* of the norm */
    float *hidden;       /* [tokens][hidden] */
    float *wide;         /* [tokens][outputs of a matrix] */
    float *input;        /* [tokens][inputs of a matrix] */
    int16_t *quantised;
    int8_t *planes;
    float *scale;
    float *angles;                /* [tokens][head_dim]: cosines, then sines */
    int32_t *runs;                /* [run_count + 1]: see `find_runs` */
    int32_t run_count;
    int32_t tokens;               /* that the next matrix takes */
    int32_t index, limit, chosen; /* of the layer; of the next matrix; whether only wanted tokens are normed */
} Step;

static int at_most(const Model *m) {
    int attended = m->heads * m->head_dim, most = m->hidden > m->intermediate ? m->hidden : m->intermediate;
    return attended > most ? attended : most;
}

/* Makes a token's activations what the next matrix takes. */
INLINE void prepare(const Step *s, int token, int columns) {
    if (s->model->kind != INT8)
        return;
    const float *from = s->input + (size_t)token * columns;
    int16_t *to = s->quantised + (size_t)token * columns;
    floats peaks = splat(0);
    for (int i = 0; i < columns; i += LANES)
        peaks = larger(peaks, magnitude(load(from + i)));
    float most = largest(peaks), inverse = most > 0 ? (float)s->limit / most : 0;
    for (int i = 0; i < columns; i += LANES) {
        floats rounded = load(from + i) * inverse + ROUNDER - ROUNDER;
        shorts values = __builtin_convertvector(__builtin_convertvector(rounded, ints), shorts);
        memcpy(to + i, &values, sizeof values);
    }
    s->scale[token] = most / (float)s->limit;
    arrange(to, has_planes(s->tokens, columns, INT8) ? s->planes : NULL, token, columns);
}

INLINE void rms_norm(const float *from, float *to, const float *weight, int size, float epsilon) {
    floats squares = splat(0);
    for (int i = 0; i < size; i += LANES)
        squares += load(from + i) * load(from + i);
    float factor = 1 / sqrtf(total(squares) / (float)size + epsilon);
    for (int i = 0; i < size; i += LANES)
        store(to + i, load(from + i) * factor * load(weight + i));
}

static void embed(const void *context, int begin, int end) {
    const Step *s = context;
    const Model *m = s->model;
    for (int token = begin; token < end; token++) {
        float *to = s->hidden + (size_t)token * m->hidden;
        size_t id = (size_t)s->batch->ids[token], lane = id % PANEL, start = (id - lane) * (size_t)m->hidden;
        for (int i = 0; i < m->hidden; i++) {
            size_t plain = start + (size_t)i * PANEL + lane, fourth = start + (size_t)(i / 4 * 64 + i % 4) + lane * 4;
            if (m->kind == INT8)
                to[i] = ((const int8_t *)m->embedding)[fourth] * m->embedding_scale[id];
            else if (m->kind == FP32)
                to[i] = ((const float *)m->embedding)[plain];
            else {
                union {
                    uint32_t bits;
                    float real;
                } raw = {(uint32_t)((const uint16_t *)m->embedding)[plain] << 16};
                to[i] = raw.real;
            }
        }
    }
}

static void norm(const void *context, int begin, int end) {
    const Step *s = context;
    int size = s->model->hidden;
    for (int token = begin; token < end; token++) {
        int from = s->chosen ? s->batch->wanted[token] : token;
        rms_norm(s->hidden + (size_t)from * size, s->input + (size_t)token * size, s->weight, size, s->model->epsilon);
        prepare(s, token, size);
    }
}

/* Where a block of the cache holds what a layer's key-value head has; `values` 0 is the keys. */
INLINE char *cached(const Step *s, int row, int block, int values, int head) {
    const Model *m = s->model;
    size_t number = (size_t)s->batch->blocks[(size_t)row * s->batch->block_stride + block];
    size_t index = ((number * m->layer_count + s->index) * 2 + values) * m->kv_heads + head;
    return (char *)s->batch->cache + index * BLOCK * m->head_dim * (m->kind == FP32 ? 4 : 2);
}

INLINE void keep(char *to, size_t index, float value, int exact) {
    if (exact)
        ((float *)to)[index] = value;
    else
        ((uint16_t *)to)[index] = to_half(value);
}

/* Cosines and sines of a token's position, which all layers and heads turn by (arXiv:2104.09864). */
static void measure_angles(const void *context, int begin, int end) {
    const Step *s = context;
    int half = s->model->head_dim / 2;
    for (int token = begin; token < end; token++)
        for (int i = 0; i < half; i++) {
            float angle = (float)s->batch->positions[token] * s->model->frequencies[i];
            s->angles[(size_t)token * 2 * half + i] = cosf(angle);
            s->angles[(size_t)token * 2 * half + half + i] = sinf(angle);
        }
}

INLINE void rotate(float *head, const float *angles, int half) {
    for (int i = 0; i < half; i++) {
        float cosine = angles[i], sine = angles[half + i], first = head[i], second = head[half + i];
        head[i] = first * cosine - second * sine;
        head[half + i] = second * cosine + first * sine;
    }
}

/* Rotates queries and keys, and puts keys and values into the cache. */
static void remember(const void *context, int begin, int end) {
    const Step *s = context;
    const Model *m = s->model;
    const Batch *b = s->batch;
    int size = m->head_dim, exact = m->kind == FP32;
    for (int token = begin; token < end; token++) {
        float *heads = s->wide + (size_t)token * (m->heads + 2 * m->kv_heads) * size;
        const float *values = heads + (size_t)(m->heads + m->kv_heads) * size;
        int position = b->positions[token], block = position / BLOCK, slot = position % BLOCK;
        for (int i = 0; i < m->heads + m->kv_heads; i++) {
            const float *weight = i < m->heads ? s->layer->query_norm : s->layer->key_norm;
            if (weight)
                rms_norm(heads + i * size, heads + i * size, weight, size, m->epsilon);
            rotate(heads + i * size, s->angles + (size_t)token * size, size / 2);
        }
        for (int head = 0; head < m->kv_heads; head++) {
            char *keys = cached(s, b->rows[token], block, 0, head), *kept = cached(s, b->rows[token], block, 1, head);
            for (int i = 0; i < size; i++) {
                keep(keys, (size_t)(i * BLOCK + slot), heads[(m->heads + head) * size + i], exact);
                keep(kept, (size_t)(slot * size + i), values[head * size + i], exact);
            }
        }
    }
}

INLINE floats kept(const char *from, size_t index, int exact) {
    return exact ? load((const float *)from + index) : from_half((const uint16_t *)from + index);
}

/* Queries of one key-value head that are attended to together, and what they have gathered so far (online softmax,
 * arXiv:1805.02867).
 */
typedef struct {
    const float *query[QUERIES];
    float *out[QUERIES];
    float most[QUERIES], sum[QUERIES];
    int last[QUERIES]; /* position up to which each sees, in order */
} Queries;

/* Which of the slots from one on a query sees that sees so many. */
INLINE ints seen(int slot, int slots) {
    static const int32_t ORDER[BLOCK] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    ints order;
    memcpy(&order, ORDER, sizeof order);
    return order + slot < slots;
}

/* Turns the scores of some blocks for a query, of which it sees so many, into weights; what all weights before have
 * shrunk to. Once in the program: compiled twice, it might round in two ways, and a token's company would tell.
 */
static __attribute__((noinline)) float weigh(Queries *q, int query, float *scores, int blocks, int slots, float factor) {
    float before = q->most[query];
    floats highest = splat(before), sums = splat(0);
    for (int i = 0; i < blocks * BLOCK; i += LANES)
        highest = larger(highest, choose(seen(i, slots), load(scores + i) * factor, splat(-INFINITY)));
    float peak = largest(highest), fade = expf(before - peak);
    for (int i = 0; i < blocks * BLOCK; i += LANES) {
        floats weight = choose(seen(i, slots), exponential(load(scores + i) * factor - peak), splat(0));
        store(scores + i, weight);
        sums += weight;
    }
    q->sum[query] = q->sum[query] * fade + total(sums);
    q->most[query] = peak;
    return fade;
}

/* Products of the queries with the keys of a block. */
INLINE void score(
    const Queries *q, int count, const char *keys, float (*scores)[SPAN * BLOCK], int from, int size, int exact) {
    floats sums[QUERIES * PARTS];
    UNROLLED for (int i = 0; i < count * PARTS; i++)
        sums[i] = splat(0);
    for (int d = 0; d < size; d++)
        UNROLLED for (int part = 0; part < PARTS; part++) {
            floats key = kept(keys, (size_t)(d * BLOCK + part * LANES), exact);
            UNROLLED for (int i = 0; i < count; i++)
                sums[i * PARTS + part] += key * q->query[i][d];
        }
    UNROLLED for (int i = 0; i < count * PARTS; i++)
        store(scores[i / PARTS] + from + i % PARTS * LANES, sums[i]);
}

/* Some blocks from one on, at most `SPAN`; the same ones for every query, whatever its company. */
INLINE void attend_span(const Step *s, Queries *q, int row, int head, int block, int count, int exact) {
    int size = s->model->head_dim, slots = q->last[count - 1] - block * BLOCK + 1;
    int blocks = (slots + BLOCK - 1) / BLOCK < SPAN ? (slots + BLOCK - 1) / BLOCK : SPAN;
    float scores[QUERIES][SPAN * BLOCK], fades[QUERIES];
    const char *values[SPAN];
    for (int b = 0; b < blocks; b++) {
        score(q, count, cached(s, row, block + b, 0, head), scores, b * BLOCK, size, exact);
        values[b] = cached(s, row, block + b, 1, head);
    }
    for (int i = 0; i < count; i++)
        fades[i] = weigh(q, i, scores[i], blocks, q->last[i] - block * BLOCK + 1, 1 / sqrtf((float)size));
    for (int d = 0; d < size; d += LANES) {
        floats sums[QUERIES];
        UNROLLED for (int i = 0; i < count; i++)
            sums[i] = load(q->out[i] + d) * fades[i];
        for (int b = 0; b < blocks; b++)
            for (int slot = 0; slot < BLOCK && b * BLOCK + slot < slots; slot++) {
                floats value = kept(values[b], (size_t)(slot * size + d), exact);
                UNROLLED for (int i = 0; i < count; i++)
                    sums[i] += value * scores[i][b * BLOCK + slot];
            }
        UNROLLED for (int i = 0; i < count; i++)
            store(q->out[i] + d, sums[i]);
    }
}

/* Attention of `count` neighbours, a constant: of the heads that share a key-value head, token after token, from the
 * `first` on. They belong to one row.
 */
INLINE void attend_some(const Step *s, int token, int head, int first, int count, int exact) {
    const Model *m = s->model;
    int size = m->head_dim, group = m->heads / m->kv_heads, row = s->batch->rows[token];
    Queries q;
    for (int i = 0; i < count; i++) {
        size_t own = (size_t)(token + (first + i) / group), of = (size_t)(head * group + (first + i) % group);
        q.query[i] = s->wide + (own * (size_t)(m->heads + 2 * m->kv_heads) + of) * (size_t)size;
        q.out[i] = s->input + (own * (size_t)m->heads + of) * (size_t)size;
        q.last[i] = s->batch->positions[own], q.most[i] = -INFINITY, q.sum[i] = 0;
        memset(q.out[i], 0, sizeof(float) * (size_t)size);
    }
    for (int block = 0; block * BLOCK <= q.last[count - 1]; block += SPAN)
        attend_span(s, &q, row, head, block, count, exact);
    for (int i = 0; i < count; i++)
        for (int d = 0; d < size; d++)
            q.out[i][d] /= q.sum[i];
}

INLINE void attend_run(const Step *s, int token, int end, int head, int exact) {
    int i = 0, count = (end - token) * (s->model->heads / s->model->kv_heads);
    for (; i + QUERIES <= count; i += QUERIES)
        attend_some(s, token, head, i, QUERIES, exact);
    for (; QUERIES > 4 && i + 4 <= count; i += 4)
        attend_some(s, token, head, i, 4, exact);
    for (; QUERIES > 2 && i + 2 <= count; i += 2)
        attend_some(s, token, head, i, 2, exact);
    for (; i < count; i++)
        attend_some(s, token, head, i, 1, exact);
}

static void attend(const void *context, int begin, int end) {
    const Step *s = context;
    int heads = s->model->kv_heads;
    for (int i = begin; i < end; i++)
        if (s->model->kind == FP32)
            attend_run(s, s->runs[i / heads], s->runs[i / heads + 1], i % heads, 1);
        else
            attend_run(s, s->runs[i / heads], s->runs[i / heads + 1], i % heads, 0);
}

/* Where each run of at most `RUN` tokens of one row begins, and where the last ends; how many there are. */
static int find_runs(const Batch *b, int32_t *runs) {
    int count = 0;
    for (int token = 0; token < b->tokens; token++)
        if (!token || b->rows[token] != b->rows[token - 1] || token - runs[count - 1] == RUN)
            runs[count++] = token;
    runs[count] = b->tokens;
    return count;
}

static void quantise(const void *context, int begin, int end) {
    const Step *s = context;
    for (int token = begin; token < end; token++)
        prepare(s, token, s->model->heads * s->model->head_dim);
}

/* silu(gate) * up */
static void activate(const void *context, int begin, int end) {
    const Step *s = context;
    int size = s->model->intermediate;
    for (int token = begin; token < end; token++) {
        const float *gate = s->wide + (size_t)token * 2 * size, *up = gate + size;
        float *to = s->input + (size_t)token * size;
        for (int i = 0; i < size; i += LANES) {
            floats x = load(gate + i), e = exponential(-magnitude(x));
            store(to + i, x * choose(x < 0, e, splat(1)) / (1 + e) * load(up + i));
        }
        prepare(s, token, size);
    }
}

/* ---- the whole ---- */

static void linear(const Step *s, const Linear *matrix, float *output, int adds) {
    const int8_t *planes = has_planes(s->tokens, matrix->columns, s->model->kind) ? s->planes : NULL;
    Product product = {matrix, s->input, s->quantised, planes, s->scale, output, s->tokens, s->model->kind, adds};
    multiply(s->model->pool, &product);
}

static void run_layer(Step *s) {
    Pool *pool = s->model->pool;
    const Layer *layer = s->layer;
    int tokens = s->batch->tokens;
    s->weight = layer->attention_norm, s->limit = layer->qkv.limit;
    parallel(pool, norm, s, tokens, 1);
    linear(s, &layer->qkv, s->wide, 0);
    parallel(pool, remember, s, tokens, 1);
    parallel(pool, attend, s, s->run_count * s->model->kv_heads, 1);
    s->limit = layer->out.limit;
    parallel(pool, quantise, s, tokens, 1);
    linear(s, &layer->out, s->hidden, 1);
    s->weight = layer->mlp_norm, s->limit = layer->gate_up.limit;
    parallel(pool, norm, s, tokens, 1);
    linear(s, &layer->gate_up, s->wide, 0);
    s->limit = layer->down.limit;
    parallel(pool, activate, s, tokens, 1);
    linear(s, &layer->down, s->hidden, 1);
}

static void *carve(char **from, size_t bytes) {
    void *start = *from;
    *from += (bytes + 63) / 64 * 64;
    return start;
}

/* Gives a step its parts of some memory to work in; where that ends. */
static char *lay_out(Step *s, const Model *m, size_t n, char *scratch) {
    size_t most = (size_t)at_most(m), qkv = (size_t)(m->heads + 2 * m->kv_heads) * m->head_dim;
    size_t wide = 2 * (size_t)m->intermediate > qkv ? 2 * (size_t)m->intermediate : qkv;
    s->hidden = carve(&scratch, 4 * n * m->hidden);
    s->wide = carve(&scratch, 4 * n * wide);
    s->input = carve(&scratch, 4 * n * most);
    s->quantised = carve(&scratch, 2 * n * most);
    s->planes = carve(&scratch, 2 * (n + SLACK) * most);
    s->scale = carve(&scratch, 4 * n);
    s->angles = carve(&scratch, 4 * n * m->head_dim);
    s->runs = carve(&scratch, 4 * (n + 1));
    return scratch;
}

/* Bytes that a batch of so many tokens needs to work in. */
size_t scratch_bytes(const Model *m, int tokens) {
    Step nowhere;
    return (size_t)(uintptr_t)lay_out(&nowhere, m, (size_t)tokens, NULL);
}

/* Runs a batch: fills its part of the cache, and `logits`. */
void forward(const Model *m, const Batch *b) {
    Step s = {.model = m, .batch = b, .tokens = b->tokens};
    lay_out(&s, m, (size_t)b->tokens, b->scratch);
    s.run_count = find_runs(b, s.runs);
    set_awake(m->pool, 1);
    parallel(m->pool, embed, &s, b->tokens, 8);
    parallel(m->pool, measure_angles, &s, b->tokens, 8);
    for (s.index = 0; s.index < m->layer_count; s.index++) {
        s.layer = m->layers + s.index;
        run_layer(&s);
    }
    s.weight = m->norm, s.limit = m->head.limit, s.chosen = 1, s.tokens = b->outputs;
    parallel(m->pool, norm, &s, b->outputs, 1);
    linear(&s, &m->head, b->logits, 0);
    set_awake(m->pool, 0);
}

/* One int8 matrix alone, for tests and measurements: output[tokens][rows] = input[tokens][columns] x weight. */
void multiply_once(Pool *pool, const Linear *matrix, const int16_t *input, const float *scale, float *output, int tokens) {
    size_t columns = (size_t)matrix->columns, size = (size_t)tokens * columns;
    int8_t *planes = has_planes(tokens, matrix->columns, INT8) ? calloc((size_t)(tokens + SLACK), 2 * columns) : NULL;
    int16_t *quantised = memcpy(malloc(size * sizeof *input + 1), input, size * sizeof *input);
    for (int token = 0; token < tokens; token++)
        arrange(quantised + token * columns, planes, token, matrix->columns);
    Product product = {matrix, NULL, quantised, planes, scale, output, tokens, INT8, 0};
    set_awake(pool, 1);
    multiply(pool, &product);
    set_awake(pool, 0);
    free(planes);
    free(quantised);
}
