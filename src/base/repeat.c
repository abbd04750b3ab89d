#include "base/repeat.h"

bool repeat_tell(struct repeat *repeat, uint64_t now)
{
    unsigned long long quiet_until = atomic_load(&repeat->quiet_until);

    if (now >= quiet_until &&
        atomic_compare_exchange_strong(&repeat->quiet_until, &quiet_until, now + REPEAT_PAUSE))
        return true;
    atomic_fetch_add(&repeat->swallowed, 1);
    return false;
}

unsigned repeat_swallowed(struct repeat *repeat)
{
    return atomic_exchange(&repeat->swallowed, 0);
}
