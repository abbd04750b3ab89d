/* The families a relay can stand between, as the tests see them. */
#ifndef TESTS_LIB_FAMILY_H
#define TESTS_LIB_FAMILY_H

#include <stdbool.h>
#include <stddef.h>

#define ENDPOINT_MAX 160

/* When peer_abort breaks a connection so that the other end learns of it without writing. */
enum family_reset {
    RESETS_NEVER,
    RESETS_UNREAD, /* when the peer has left something unread */
    RESETS_ALWAYS
};

struct family {
    const char *name;
    enum family_reset resets;

    /* The relay can break a connection of this family so that the peer sees a reset, not an end. */
    bool sees_reset;

    /* The peer sees it as well when writes of its own are stuck at that moment. */
    bool sees_reset_amid;

    /* The relay can see a reset that follows a half-close while it has nothing to write. */
    bool shows_late_reset;

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

/* Removes the folder and what is left in it. */
void scratch_remove(void);

#endif
