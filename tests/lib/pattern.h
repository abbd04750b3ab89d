/* Test data whose every byte is determined by a stream number and an offset.
 *
 * A receiver can verify any piece without having seen the rest, and since the making of a word can
 * be undone, wrong bytes tell where they belong: how much is missing, repeated, or which other
 * stream they strayed from. */
#ifndef TESTS_LIB_PATTERN_H
#define TESTS_LIB_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Streams are numbered below PATTERN_STREAMS, offsets stay below 8 TiB. */
#define PATTERN_STREAMS (1u << 24)

/* This many bytes of a stream are enough for pattern_locate, whatever their alignment. */
#define PATTERN_LOCATABLE 15

/* Writes the `len` bytes that stand at `offset` of `stream`. */
void pattern_fill(uint32_t stream, uint64_t offset, void *buf, size_t len);

/* Returns how many of the `len` bytes at `buf` are right before the first wrong one. */
size_t pattern_check(uint32_t stream, uint64_t offset, const void *buf, size_t len);

/* Finds the stream and offset that `buf` was taken from. False: it is no piece of any stream, or
 * shorter than PATTERN_LOCATABLE. */
bool pattern_locate(const void *buf, size_t len, uint32_t *stream, uint64_t *offset);

#endif
