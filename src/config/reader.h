/* A configuration while it is read: what the reader, the checks and config.c share. */
#ifndef HVRELAY_CONFIG_READER_H
#define HVRELAY_CONFIG_READER_H

#include "config/keys.h"

enum {
    MOST_KEYS = 32,
};

/* The keys that one section has given, to find those given twice and those missing. */
struct seen {
    const struct key *keys[MOST_KEYS];
    int lines[MOST_KEYS];
    int count;
};

struct section {
    const struct key *keys; /* what may stand in it; NULL: unknown, its keys are passed over */
    void *structure;        /* what they set */
    struct seen seen;
    int line;
};

/* What is known of a forward while the text is read. */
struct note {
    int line;                     /* of its section */
    bool can_listen, can_connect; /* the endpoint was given, and makes sense */
    uint32_t hash;                /* of what it listens on */
    int rules[ACCESS_RULES];      /* the lines of its access rules, but for those of [defaults] */
    const char *file_key;         /* a key of its own that only a socket's file can have, or NULL */
    int file_line;                /* and its line */
};

struct reader {
    FILE *file;
    const char *name; /* of the text, in messages */
    int line;
    struct config *config;
    struct forward_config defaults;
    struct section section; /* the one being read */
    int program_line, defaults_line;
    int default_rules[ACCESS_RULES]; /* the lines of the access rules in [defaults] */
    struct note *notes;              /* as many as config->count */
    int complaints;
    config_complain *complain;
    void *arg;
};

/* Reports a mistake on that line of the text; 0: of no line. */
void reader_complain(struct reader *reader, int line, const char *format, ...) PRINTF_LIKE(3, 4);

/* Reads the file, and reports what is wrong with single lines and sections. */
void reader_run(struct reader *reader);

/* Adds a forward, a copy of the defaults. Returns NULL where memory is short. */
struct forward_config *reader_add_forward(struct reader *reader, const char *name);

/* Remembers for the checks that the key was set in this forward, or in the defaults. */
void reader_note_key(struct reader *reader, const struct forward_config *forward,
                     const struct key *key);

/* Reports what is wrong between forwards, and what this system can't do. */
void reader_check(struct reader *reader);

#endif
