#include "relay/limit.h"

#include <uv.h>

uint64_t limit_ask(const struct limit *limit, uint64_t most, uint64_t *wait)
{
    uint64_t now = uv_hrtime();
    uint64_t own_wait = 0, shared_wait = 0;

    if (limit->own_rate)
        most = throttle_ask(&limit->own, limit->own_rate, most, now, &own_wait);
    if (limit->shared_rate && most > 0)
        most = throttle_ask(limit->shared, limit->shared_rate, most, now, &shared_wait);
    *wait = (own_wait > shared_wait ? own_wait : shared_wait) / 1000000 + 1;
    return most;
}

void limit_pay(struct limit *limit, uint64_t used)
{
    uint64_t now = uv_hrtime();

    if (limit->own_rate)
        throttle_pay(&limit->own, limit->own_rate, used, now);
    if (limit->shared_rate)
        throttle_pay(limit->shared, limit->shared_rate, used, now);
}
