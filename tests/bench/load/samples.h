/* Many durations, kept as a histogram whose buckets are less than 1 % wide. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stdint.h>
#include <stdio.h>

enum { SAMPLE_BITS = 7, SAMPLE_BUCKETS = (64 - SAMPLE_BITS + 1) << SAMPLE_BITS };

struct samples {
    uint64_t count;
    uint32_t bucket[SAMPLE_BUCKETS];
};

void samples_add(struct samples *samples, uint64_t ns);

/* The duration, in ns, that `share` (0 to 1) of the samples do not exceed. 0 where there are none.
 */
uint64_t samples_at(const struct samples *samples, double share);

/* Writes members of a JSON object: count, p50, p99 and p999 in microseconds. */
void samples_print(const struct samples *samples, FILE *out);

#endif
