/* Two sessions of a forward with a rate_limit of its own that always want more than there is: what
 * they get together stays below the limit, and neither starves. */
#ifndef CHAOS_SHARERS_H
#define CHAOS_SHARERS_H

#include "../lib/peer.h"

enum { SHARERS = 2 };

struct sharers {
    unsigned rate; /* MiB a second; 0: there are none */
    const char *pump;
    struct listener *target;
    struct sharer {
        struct peer *end[2];
        uint64_t sent, received, before; /* before: received when both had begun */
    } sharer[SHARERS];
    uint64_t opened; /* ms; 0: not now */
    bool both;
};

/* Opens the target, for the configuration. */
void sharers_prepare(struct sharers *sharers);

void sharers_open(struct sharers *sharers, const char *endpoint);

/* From targets to clients, as much as goes now. */
void sharers_step(struct sharers *sharers);

/* Goes on until their shares can be judged, a second and a half in all. */
void sharers_go_on(struct sharers *sharers);

/* Judges what they have got; then they break off. The counts stay. */
void sharers_end(struct sharers *sharers);

/* Closes the target. */
void sharers_close(struct sharers *sharers);

#endif
