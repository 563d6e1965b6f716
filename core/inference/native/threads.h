/* Thread pool: runs one job at a time over a range of items, which the threads claim in chunks. */
#pragma once
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include "types.h"

/* Processes items begin to end - 1. `context` holds the job's arguments. */
typedef void Job(const void *context, int begin, int end);

struct Pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t *threads;
    int workers; /* threads besides the caller */
    Job *job;
    const void *context;
    int items;
    atomic_int grain, spinning, closed;
    _Alignas(64) atomic_ullong unclaimed; /* generation of the job << 32 | items that no thread has claimed */
    _Alignas(64) atomic_int done;         /* items that are finished */
};

static inline void spin_pause(int spins) {
    if (spins % 64 == 63)
        sched_yield(); /* with more threads than cores, the thread that we wait for may need this core */
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Claims and runs chunks of the current job until none is left. The job's fields cannot change while a chunk runs,
 * since `parallel_for` waits for all items; the generation makes a claim fail if the job has changed since it was read.
 */
static void run_chunks(Pool *pool) {
    unsigned long long unclaimed = atomic_load(&pool->unclaimed);
    while ((uint32_t)unclaimed) {
        int left = (int)(uint32_t)unclaimed, grain = atomic_load(&pool->grain), count = left < grain ? left : grain;
        if (!atomic_compare_exchange_weak(&pool->unclaimed, &unclaimed, unclaimed - (unsigned)count))
            continue;
        int begin = pool->items - left;
        pool->job(pool->context, begin, begin + count);
        atomic_fetch_add(&pool->done, count);
        unclaimed = atomic_load(&pool->unclaimed);
    }
}

static void *worker_main(void *argument) {
    Pool *pool = argument;
    while (!atomic_load(&pool->closed)) {
        for (int spins = 0; atomic_load(&pool->spinning); spins++) {
            run_chunks(pool);
            spin_pause(spins);
        }
        pthread_mutex_lock(&pool->lock);
        while (!atomic_load(&pool->spinning) && !atomic_load(&pool->closed))
            pthread_cond_wait(&pool->wake, &pool->lock);
        pthread_mutex_unlock(&pool->lock);
    }
    return NULL;
}

/* Workers spin between jobs if `spinning` is set, so that a job starts at once; otherwise they sleep. */
static void set_spinning(Pool *pool, int spinning) {
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->spinning, spinning);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

/* Runs a job on all threads, the caller's included, in chunks of at most `grain` items; returns when it is finished. */
static void parallel_for(Pool *pool, Job *job, const void *context, int items, int grain) {
    if (!pool->workers || items <= grain) {
        job(context, 0, items);
        return;
    }
    unsigned long long generation = (atomic_load(&pool->unclaimed) >> 32) + 1;
    pool->job = job, pool->context = context, pool->items = items;
    atomic_store(&pool->grain, grain);
    atomic_store(&pool->done, 0);
    atomic_store(&pool->unclaimed, generation << 32 | (unsigned)items);
    run_chunks(pool);
    for (int spins = 0; atomic_load(&pool->done) != items; spins++)
        spin_pause(spins);
}

void close_pool(Pool *pool) {
    atomic_store(&pool->closed, 1);
    set_spinning(pool, 0);
    for (int i = 0; i < pool->workers; i++)
        pthread_join(pool->threads[i], NULL);
    free(pool->threads);
    free(pool);
}

/* A pool of `threads`, of which the caller is one; NULL if memory or threads run out. */
Pool *open_pool(int threads) {
    Pool *pool = aligned_alloc(64, (sizeof(Pool) + 63) / 64 * 64);
    if (!pool)
        return NULL;
    memset(pool, 0, sizeof *pool);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->threads = calloc((size_t)threads, sizeof(pthread_t));
    for (int i = 1; pool->threads && i < threads; i++) {
        if (pthread_create(&pool->threads[i - 1], NULL, worker_main, pool))
            break;
        pool->workers = i;
    }
    if (!pool->threads || pool->workers + 1 != threads) {
        close_pool(pool);
        return NULL;
    }
    return pool;
}
