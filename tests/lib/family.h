/* The families a relay can stand between, as the tests see them. */
#ifndef TESTS_LIB_FAMILY_H
#define TESTS_LIB_FAMILY_H

#include <stdbool.h>
#include <stddef.h>

#define ENDPOINT_MAX 160

struct family {
    const char *name;

    /* A peer of this family can break a connection so that the other end learns of it without
     * writing (peer_abort). */
    bool can_reset;

    /* The relay can break a connection of this family so that the peer sees a reset, not an end. */
    bool sees_reset;

    /* One direction can end while the other goes on. */
    bool half_closes;

    /* NULL: this machine can open it; else the reason why not. */
    const char *(*missing)(void);

    /* Writes an endpoint that nobody uses yet, for the relay to listen on. */
    void (*fresh)(char endpoint[ENDPOINT_MAX]);
};

/* The families of this system; the list ends with a NULL name. */
extern const struct family families[];

/* NULL: no family has this name. */
const struct family *family_named(const char *name);

/* A private folder for socket files, made on first use, without trailing slash. The longest name
 * that fits a socket address beside it is 20 bytes. */
const char *scratch_folder(void);

/* Removes the folder, which must be empty by now. */
void scratch_remove(void);

#endif
