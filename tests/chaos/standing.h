/* Sessions that stand while others come and go, through every reload: half of them idle all the
 * time, half exchange messages, there and back. */
#ifndef CHAOS_STANDING_H
#define CHAOS_STANDING_H

#include "../lib/peer.h"

enum { STANDING_SESSIONS = 32 };

struct standing {
    struct peer *end[STANDING_SESSIONS][2];
    unsigned count;
    unsigned turn; /* whose exchange is the next */
};

/* Nobody else may come to the target meanwhile. */
void standing_open(struct standing *standing, unsigned count, const char *endpoint,
                   struct listener *target);

/* One exchange on the next session that is not idle; none where there is no session. */
void standing_exchange(struct standing *standing);

/* One last exchange on each; then they end. */
void standing_close(struct standing *standing);

/* Something breaks them all: nothing is expected of them any more. */
void standing_forget(struct standing *standing);

/* What has passed each way in a run. */
uint64_t standing_bytes(void);

/* Of all exchanges of a run. */
extern unsigned long long standing_exchanges;

#endif
