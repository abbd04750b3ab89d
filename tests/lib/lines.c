#include "lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "out of memory\n");
        abort();
    }
    return memory;
}

static void end_line(struct lines *lines)
{
    if (lines->count == lines->room) {
        lines->room = lines->room == 0 ? 64 : lines->room * 2;
        lines->line = need(realloc(lines->line, lines->room * sizeof *lines->line));
    }
    char *line = need(realloc(lines->partial, lines->partial_len + 1));
    line[lines->partial_len] = '\0';
    lines->line[lines->count++] = line;
    lines->partial = NULL;
    lines->partial_len = 0;
}

void lines_add(struct lines *lines, const char *text, size_t len)
{
    while (len > 0) {
        const char *newline = memchr(text, '\n', len);
        size_t n = newline != NULL ? (size_t)(newline - text) : len;
        size_t step = newline != NULL ? n + 1 : n;
        lines->partial = need(realloc(lines->partial, lines->partial_len + n + 1));
        memcpy(lines->partial + lines->partial_len, text, n);
        lines->partial_len += n;
        if (newline != NULL)
            end_line(lines);
        text += step;
        len -= step;
    }
}

void lines_finish(struct lines *lines)
{
    if (lines->partial_len > 0)
        end_line(lines);
}

bool lines_have(const struct lines *lines, size_t from, const char *const *words)
{
    for (size_t i = from; i < lines->count; i++) {
        const char *const *word = words;
        while (*word != NULL && strstr(lines->line[i], *word) != NULL)
            word++;
        if (*word == NULL)
            return true;
    }
    return false;
}

void lines_forget(struct lines *lines)
{
    while (lines->count > 0)
        free(lines->line[--lines->count]);
}

void lines_free(struct lines *lines)
{
    lines_forget(lines);
    free(lines->line);
    free(lines->partial);
}
