/* The bandwidth that one direction may use: its own share and the one it has in common with the
 * other sessions of its forward. */
#ifndef HVRELAY_RELAY_LIMIT_H
#define HVRELAY_RELAY_LIMIT_H

#include "base/throttle.h"

#include <stdbool.h>

struct limit {
    struct throttle own, *shared;
    uint64_t own_rate, shared_rate; /* bytes a second; 0: no limit */
};

/* How many bytes may be read now, at most `most`; 0: none before *wait ms have passed. */
uint64_t limit_ask(const struct limit *limit, uint64_t most, uint64_t *wait);
void limit_pay(struct limit *limit, uint64_t used);

#endif
