#include "relay/limit.h"

#include <uv.h>

/* Returns what may be read, or 0 and *wait, ns. */
static uint64_t ask_both(struct limit *limit, uint64_t most, uint64_t *wait)
{
    uint64_t now = uv_hrtime();
    struct place *place = &limit->place;

    if (limit->own_rate) {
        most = throttle_ask(&limit->own, limit->own_rate, most, now, wait);
        if (most == 0) {
            limit_leave(limit,
                        LIMIT_NOTHING); /* it is not what is shared that this one waits for */
            return 0;
        }
    }
    if (!limit->shared)
        return most;
    if (place->hand == 0 && !share_ask(limit->shared, place, now, wait))
        return 0;
    return place->hand < most ? place->hand : most;
}

uint64_t limit_ask(struct limit *limit, uint64_t most, uint64_t *wait)
{
    uint64_t granted = ask_both(limit, most, wait);

    if (granted == 0)
        *wait = *wait / 1000000 + 1;
    return granted;
}

void limit_pay(struct limit *limit, uint64_t used)
{
    if (limit->own_rate)
        throttle_pay(&limit->own, limit->own_rate, used, uv_hrtime());
    if (limit->shared)
        limit->place.hand -= used;
}

void limit_leave(struct limit *limit, enum limit_rest kept)
{
    if (limit->shared)
        share_leave(limit->shared, &limit->place, kept == LIMIT_QUANTUM);
}
