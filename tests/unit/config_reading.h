/* A configuration from a text in memory, with all that was complained of. */
#ifndef TESTS_UNIT_CONFIG_READING_H
#define TESTS_UNIT_CONFIG_READING_H

#include "config/config.h"

enum { COMPLAINTS = 32 };

struct reading {
    int status; /* of config_read */
    struct config config;
    char complaints[COMPLAINTS][800];
    int count; /* of complaints, kept or not */
};

/* A config_complain whose `arg` is a reading. */
void reading_complain(void *arg, const char *line);

/* Reads `length` bytes, called "T" in complaints. */
void read_bytes(struct reading *reading, const char *text, size_t length);
void read_text(struct reading *reading, const char *text);

void reading_free(struct reading *reading);

/* Fails the test, with what was complained of, unless there were no complaints. */
void assert_read(const struct reading *reading);

/* The same unless each of `complaints` (up to a NULL) is contained in the one at its place, and
 * there are no others. */
void assert_complaints(const struct reading *reading, const char *const *complaints);

#endif
