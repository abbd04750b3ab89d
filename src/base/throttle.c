#include "base/throttle.h"

static const uint64_t second = 1000000000;
static const uint64_t slice = 10000000; /* ns: what may be used ahead */
static const uint64_t late = 20000000;  /* ns: who asks no later than this did not rest */

uint64_t throttle_ask(const struct throttle *throttle, uint64_t rate, uint64_t most, uint64_t now,
                      uint64_t *wait)
{
    uint64_t paid_until = atomic_load(&throttle->paid_until);
    uint64_t portion = rate / (second / slice);

    if (paid_until > now) {
        *wait = paid_until - now;
        return 0;
    }
    if (portion == 0)
        portion = 1;
    return portion < most ? portion : most;
}

/* used * second / rate, without overflow for any use below 2^34 units. */
static uint64_t cost(uint64_t used, uint64_t rate)
{
    return used / rate * second + used % rate * second / rate;
}

void throttle_pay(struct throttle *throttle, uint64_t rate, uint64_t used, uint64_t now)
{
    unsigned long long old = atomic_load(&throttle->paid_until), paid;

    do
        paid = (old + late > now ? old : now) + cost(used, rate);
    while (!atomic_compare_exchange_weak(&throttle->paid_until, &old, paid));
}

void throttle_reset(struct throttle *throttle)
{
    atomic_store(&throttle->paid_until, 0);
}
