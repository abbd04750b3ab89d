#include "pattern.h"

#include <string.h>

/* Word k of a stream is (stream << INDEX_BITS | k) * FACTOR: distinct for every (stream, k), spread
 * over all eight bytes, and undone by the inverse of the odd factor modulo 2^64. */
#define FACTOR     UINT64_C(0x9E3779B97F4A7C15)
#define INDEX_BITS 40
#define WORD       sizeof(uint64_t)

static uint64_t first_word(uint32_t stream)
{
    return (uint64_t)stream << INDEX_BITS;
}

/* Copies `len` bytes from inside the word that covers `offset`; returns how many it had. */
static size_t fill_part(uint64_t base, uint64_t offset, unsigned char *to, size_t len)
{
    uint64_t word = (base + offset / WORD) * FACTOR;
    size_t skip = (size_t)(offset % WORD);
    size_t n = WORD - skip < len ? WORD - skip : len;
    memcpy(to, (unsigned char *)&word + skip, n);
    return n;
}

void pattern_fill(uint32_t stream, uint64_t offset, void *buf, size_t len)
{
    uint64_t base = first_word(stream);
    unsigned char *to = buf, *end = to + len;

    if (offset % WORD != 0 && len > 0) {
        size_t n = fill_part(base, offset, to, len);
        to += n;
        offset += n;
    }
    uint64_t word = (base + offset / WORD) * FACTOR;
    for (; (size_t)(end - to) >= WORD; to += WORD, offset += WORD, word += FACTOR)
        memcpy(to, &word, WORD);
    if (to < end)
        fill_part(base, offset, to, (size_t)(end - to));
}

size_t pattern_check(uint32_t stream, uint64_t offset, const void *buf, size_t len)
{
    const unsigned char *got = buf;
    unsigned char want[4096];

    for (size_t done = 0; done < len;) {
        size_t n = len - done < sizeof want ? len - done : sizeof want;
        pattern_fill(stream, offset + done, want, n);
        if (memcmp(got + done, want, n) != 0) {
            size_t i = 0;
            while (got[done + i] == want[i])
                i++;
            return done + i;
        }
        done += n;
    }
    return len;
}

/* Newton's iteration: every round doubles the number of right low bits (3, 6, ... 96). */
static uint64_t inverse_of_factor(void)
{
    uint64_t x = FACTOR;
    for (int round = 0; round < 5; round++)
        x *= 2 - FACTOR * x;
    return x;
}

/* Any word belongs to some stream: the seven bytes around it have the last word. */
bool pattern_locate(const void *buf, size_t len, uint32_t *stream, uint64_t *offset)
{
    const unsigned char *bytes = buf;
    uint64_t inverse = inverse_of_factor();

    for (size_t skip = 0; skip < WORD && len >= PATTERN_LOCATABLE; skip++) {
        uint64_t word;
        memcpy(&word, bytes + skip, WORD);
        word *= inverse;
        uint64_t index = word & ((UINT64_C(1) << INDEX_BITS) - 1);
        *stream = (uint32_t)(word >> INDEX_BITS);
        *offset = index * WORD - skip;
        if (index * WORD >= skip &&
            pattern_check(*stream, *offset, buf, PATTERN_LOCATABLE) == PATTERN_LOCATABLE)
            return true;
    }
    return false;
}
