/* The Windows loop: libuv's completion port does all the waiting. What was started outside libuv
 * (AcceptEx, ConnectEx, ConnectNamedPipe, see op.h) ends on some thread of the system's pool, which
 * puts it on a list here and wakes the loop. */
#ifndef HVRELAY_NET_WINDOWS_LOOP_OS_H
#define HVRELAY_NET_WINDOWS_LOOP_OS_H

#include <stdbool.h>

struct loop {
    uv_loop_t uv;
    struct timers timers;
    struct list tasks;
    bool stopping;

    uv_async_t wake; /* something was appended to `ended` */
    uv_mutex_t lock; /* guards `ended` */
    struct list ended;
    int ops; /* under way or ended, not yet freed */
};

#endif
