/* Sums `count` words with `threads` threads to measure the read bandwidth; the sum keeps the compiler from dropping the
   reads. Each thread reads four streams in lockstep, which the prefetchers of a core serve faster than one. */
#include <stddef.h>
#include <stdint.h>

#define STREAMS 4

uint64_t sum_words(const uint64_t *words, size_t count, int threads)
{
    uint64_t sum = 0;
#pragma omp parallel for reduction(+ : sum) num_threads(threads) schedule(static)
    for (int thread = 0; thread < threads; thread++) {
        const size_t length = count / threads / STREAMS;
        const uint64_t *start = words + thread * length * STREAMS;
        for (size_t i = 0; i < length; i += 8)
            for (int stream = 0; stream < STREAMS; stream++)
                for (int word = 0; word < 8; word++)
                    sum += start[stream * length + i + word];
    }
    return sum;
}
