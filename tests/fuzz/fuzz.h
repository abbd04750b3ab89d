/* What every fuzz target starts with. A target is one file: LLVMFuzzerTestOneInput gets any bytes,
 * and ends the process where a rule does not hold. libFuzzer and AFL++ both drive it. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A rule that no input may break. */
#define HOLDS(rule)                                                                                \
    do {                                                                                           \
        if (!(rule))                                                                               \
            fuzz_broken(__FILE__, __LINE__, #rule);                                                \
    } while (0)

void fuzz_broken(const char *file, int line, const char *rule);

/* The input as a text that ends at the first NUL, at the latest behind its last byte; exactly as
 * large as it has to be, so that the sanitizer sees a read beyond it. The caller frees it. */
char *fuzz_text(const uint8_t *data, size_t size);

/* Cuts the text at its next line feed: returns the line, and moves *text behind it; NULL: no more.
 */
char *fuzz_line(char **text);

/* A message is there, and ends within its structure. */
void fuzz_check_err(const struct err *err);

#endif
