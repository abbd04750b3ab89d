/* One pump on Windows: libuv's streams, which is overlapped I/O on the loop's completion port. */
#include "relay/stream.h"

#include <stdlib.h>

struct pumps {
    struct loop *loop;
};

int pumps_create(struct loop *loop, struct pumps **out, struct err *err)
{
    struct pumps *pumps = malloc(sizeof *pumps);

    if (!pumps)
        return err_system(err, UV_ENOMEM, "cannot make the relay");
    pumps->loop = loop;
    *out = pumps;
    return 0;
}

void pumps_destroy(struct pumps *pumps)
{
    free(pumps);
}

int pump_check(enum pump pump, struct err *err)
{
    if (pump == PUMP_AUTO || pump == PUMP_STREAM)
        return 0;
    return err_set(err, UV_ENOTSUP, "'%s' is a pump of Linux: use 'auto' or 'stream'",
                   pump == PUMP_SPLICE ? "splice" : "copy");
}

struct relay *relay_start(struct pumps *pumps, const struct relay_plan *plan, struct err *err)
{
    return stream_start(pumps->loop, plan, err);
}
