/* A lane: one forward of the relay and the target behind it.
 *
 * At most one session at a time is opening on a lane, so the next connection at the target is its
 * own. Only a client that has left before its target came makes this uncertain: it is a ghost,
 * whose connection may come at any time or never. From then on a connection at this target is a
 * stranger until its first bytes tell whose it is; or it ends before that, and then some ghost must
 * be able to explain its end. */
#ifndef CHAOS_LANE_H
#define CHAOS_LANE_H

#include "names.h"
#include "session.h"

enum { GHOSTS_MAX = 65, STRANGERS_MAX = 64 };

struct lane {
    char name[16];
    const struct family *front, *back;
    const char *pump;
    const char *limits; /* lines of its configuration that a reload does not change */
    const char *breaks; /* not NULL: `limits` may break sessions, and this is why */
    uint64_t size_max;  /* of what a session moves each way */
    char listen[ENDPOINT_MAX];
    char connect[ENDPOINT_MAX];
    enum naming naming; /* of its target */
    struct swallower swallower;
    const char *endpoint; /* for clients */
    struct listener *target;
    bool present; /* in the configuration, as the relay has it */
    bool served;  /* the target listens */

    struct session *opening;
    struct session *ghosts[GHOSTS_MAX];
    unsigned ghost_count;
    struct stranger {
        struct peer *peer;
        unsigned char bytes[HELLO];
        unsigned have;
    } strangers[STRANGERS_MAX];
    unsigned stranger_count;
};

/* Is there room for a session that begins? */
bool lane_is_free(const struct lane *lane);

/* A session that begins here must tell by its first bytes who it is. */
bool lane_needs_hello(const struct lane *lane);

/* Takes who has come to the target. Returns whether anything has happened. */
bool lane_accept(struct lane *lane, uint64_t step);

/* The client of the session that was opening has left. */
void lane_give_up(struct lane *lane);

/* What is to be read from stranger `index`, once it can be. It may be gone after that. */
void lane_hear(struct lane *lane, unsigned index, uint64_t step);

/* Closes the target and whoever is unknown there. */
void lane_close(struct lane *lane);

#endif
