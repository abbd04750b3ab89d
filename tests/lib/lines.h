/* What a process writes, as whole lines. The caller locks where threads share it. */
#ifndef TESTS_LIB_LINES_H
#define TESTS_LIB_LINES_H

#include <stdbool.h>
#include <stddef.h>

/* All zero: nothing yet. */
struct lines {
    char **line; /* each stays where it is until it is forgotten or freed */
    size_t count, room;
    char *partial; /* the beginning of a line whose end has not come yet */
    size_t partial_len;
};

void lines_add(struct lines *lines, const char *text, size_t len);

/* No more will come: what was begun is a line. */
void lines_finish(struct lines *lines);

/* Is there a line, from number `from` on, with every word of the NULL-terminated list in it? */
bool lines_have(const struct lines *lines, size_t from, const char *const *words);

/* The next line is number 0 again. */
void lines_forget(struct lines *lines);

void lines_free(struct lines *lines);

#endif
