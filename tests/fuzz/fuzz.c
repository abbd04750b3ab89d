#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_broken(const char *file, int line, const char *rule)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, rule);
    abort();
}

char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    HOLDS(text);
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

char *fuzz_line(char **text)
{
    char *line = *text;
    char *end = line ? strchr(line, '\n') : NULL;

    if (end)
        *end = '\0';
    *text = end ? end + 1 : NULL;
    return line;
}

void fuzz_check_err(const struct err *err)
{
    size_t length = strnlen(err->msg, sizeof err->msg);

    HOLDS(length > 0 && length < sizeof err->msg);
}
