/* The relay's log, wherever it goes: standard error, or a file that is moved away now and then. */
#ifndef CHAOS_JOURNAL_H
#define CHAOS_JOURNAL_H

#include "../lib/lines.h"
#include "../lib/relay.h"

enum { JOURNAL_FILES = 8 };

/* All zero: standard error. */
struct journal {
    struct relay *relay;
    char path[200]; /* empty: standard error */
    int files[JOURNAL_FILES];
    unsigned count;
    struct lines lines[JOURNAL_FILES];
    bool moved; /* the last file has another name, and the new one is still to come */
};

/* To a file with that path, which is there when the relay is ready. */
void journal_to_file(struct journal *journal, const char *path);
void journal_open(struct journal *journal, struct relay *relay);

/* Makes the way to standard error as narrow as the system allows, a few lines: a reader that stops
 * is felt at once. Without effect where a process may not have another's descriptor. */
void journal_narrow(const struct journal *journal);

/* As relay_log_mark and relay_log_has, without waiting. */
size_t journal_mark(struct journal *journal);
bool journal_has(struct journal *journal, size_t mark, const char *const *words);

/* Moves the file away and asks the relay for a new one, if it goes to a file, and has not been
 * moved too often, or just now. */
void journal_rotate(struct journal *journal);

/* Every line, once the relay has exited. */
void journal_each(struct journal *journal, void (*take)(void *arg, const char *line), void *arg);

void journal_print(struct journal *journal, size_t most);
void journal_close(struct journal *journal);

#endif
