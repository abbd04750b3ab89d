/* UTF-8, which the program speaks, and UTF-16, which Windows does. */
#ifndef HVRELAY_BASE_WINDOWS_WIDE_H
#define HVRELAY_BASE_WINDOWS_WIDE_H

#include <stddef.h>
#include <wchar.h>

/* Both convert a whole string with its NUL. Sizes count elements of `out`. Return 0, or -1 where
 * the text is not valid or does not fit (out is then an empty string). */
int wide_from_utf8(const char *text, wchar_t *out, size_t size);
int utf8_from_wide(const wchar_t *text, char *out, size_t size);

#endif
