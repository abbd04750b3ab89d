/* Text to numbers and back, and the small string work that everybody needs. All pure. */
#ifndef HVRELAY_BASE_TEXT_H
#define HVRELAY_BASE_TEXT_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole decimal (or, with 0x, hexadecimal) number and nothing else, 0..max.
 * Returns 0, or -1 where it is not a number or above max. */
int text_number(const char *text, uint64_t max, uint64_t *out);

/* "250ms", "30s", "5m", "1h", "2d" or "off" (0) -> milliseconds, at most 365 days. A number other
 * than 0 without a unit is refused: nobody should have to guess. Returns 0 or -1. */
int text_duration(const char *text, uint64_t *milliseconds);

/* "512B", "64KiB", "1MiB", "1GiB" or "off" (0) -> bytes, at most 1 TiB. Returns 0 or -1. */
int text_size(const char *text, uint64_t *bytes);

/* Shortest exact spelling, as text_duration reads it ("90s", "off"). */
void text_format_duration(uint64_t milliseconds, char *out, size_t size);

/* Shortest exact spelling, as text_size reads it ("64KiB", "off"). */
void text_format_size(uint64_t bytes, char *out, size_t size);

/* The name among `names` (count of them) that is most like `text`, or NULL where none is close. */
const char *text_nearest(const char *text, const char *const *names, size_t count);

/* Copies `length` bytes and a NUL. Returns 0, or -1 (nothing copied) where it does not fit. */
int text_copy(char *out, size_t size, const char *text, size_t length);

/* Replaces control characters (C0, DEL, and C1 in UTF-8) by '?', so that a text of somebody else
 * can neither begin a line nor command a terminal. */
void text_make_printable(char *text);

/* ASCII comparison without regard to case. */
bool text_equal_nocase(const char *a, const char *b);

#endif
