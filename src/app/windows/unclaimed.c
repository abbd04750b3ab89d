#include "app/unclaimed.h"

/* The service manager hands over no sockets. */

void unclaimed_update(uv_loop_t *loop, const struct config *config)
{
    (void)loop;
    (void)config;
}

void unclaimed_close(void)
{
}
