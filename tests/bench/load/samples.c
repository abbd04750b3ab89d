#include "samples.h"

#include <inttypes.h>

/* The highest bit chooses a row, the SAMPLE_BITS after it the bucket in the row. */
static unsigned bucket_of(uint64_t ns)
{
    unsigned shift = 0;

    while (ns >> shift >= 2u << SAMPLE_BITS)
        shift++;
    return (shift << SAMPLE_BITS) + (unsigned)(ns >> shift);
}

static uint64_t value_of(unsigned bucket)
{
    unsigned shift = 0;

    while (bucket >= 2u << SAMPLE_BITS) {
        bucket -= 1u << SAMPLE_BITS;
        shift++;
    }
    return ((uint64_t)bucket << shift) + ((1ull << shift) - 1) / 2;
}

void samples_add(struct samples *samples, uint64_t ns)
{
    samples->bucket[bucket_of(ns)]++;
    samples->count++;
}

uint64_t samples_at(const struct samples *samples, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)samples->count + 0.5), seen = 0;

    for (unsigned i = 0; i < SAMPLE_BUCKETS; i++) {
        seen += samples->bucket[i];
        if (seen >= wanted && seen > 0)
            return value_of(i);
    }
    return 0;
}

void samples_print(const struct samples *samples, FILE *out)
{
    fprintf(out, "\"count\": %" PRIu64 ", \"p50\": %.2f, \"p99\": %.2f, \"p999\": %.2f",
            samples->count, (double)samples_at(samples, 0.5) / 1000,
            (double)samples_at(samples, 0.99) / 1000, (double)samples_at(samples, 0.999) / 1000);
}
