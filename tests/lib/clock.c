#include "clock.h"

#include <uv.h>

uint64_t clock_ms(void)
{
    return uv_hrtime() / 1000000;
}

uint64_t clock_left_ms(uint64_t deadline)
{
    uint64_t now = clock_ms();
    return deadline > now ? deadline - now : 0;
}

void clock_pause(uint64_t ms)
{
    uv_sleep((unsigned)ms);
}
