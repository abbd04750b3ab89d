/* The bandwidth that one direction may use: its own rate, and its share of the rate that it has in
 * common with the other sessions of its forward. Each binds for itself. */
#ifndef HVRELAY_RELAY_LIMIT_H
#define HVRELAY_RELAY_LIMIT_H

#include "base/throttle.h"
#include "relay/share.h"

struct limit {
    struct throttle own;
    uint64_t own_rate;    /* bytes a second; 0: no limit */
    struct share *shared; /* NULL: no limit */
    struct place place;   /* in it */
};

/* How many bytes may be read now, at most `most`; 0: none before *wait ms have passed. Whoever got
 * 0 waits for bandwidth, and keeps its turn until it asks again or calls limit_leave. */
uint64_t limit_ask(struct limit *limit, uint64_t most, uint64_t *wait);

/* So many of the bytes that were granted have been read. */
void limit_pay(struct limit *limit, uint64_t used);

enum limit_rest {
    LIMIT_NOTHING,
    LIMIT_QUANTUM, /* no more than one turn's bytes */
};

/* Nothing more is read for now: others may have what was granted, but for what is kept. */
void limit_leave(struct limit *limit, enum limit_rest kept);

#endif
