#include "engine.h"
#include "flow.h"
#include "relay/stream.h"

#include <stdlib.h>

int pumps_create(struct loop *loop, struct pumps **out, struct err *err)
{
    struct pumps *pumps = calloc(1, sizeof *pumps);

    if (pumps)
        pumps->buffer = malloc(BUFFER_SIZE);
    if (!pumps || !pumps->buffer) {
        free(pumps);
        return err_system(err, UV_ENOMEM, "cannot make the relay's buffers");
    }
    pumps->loop = loop;
    pipe_pool_init(&pumps->pool);
    *out = pumps;
    return 0;
}

void pumps_destroy(struct pumps *pumps)
{
    pipe_pool_close(&pumps->pool);
    free(pumps->buffer);
    free(pumps);
}

int pump_check(enum pump pump, struct err *err)
{
    (void)pump;
    (void)err;
    return 0;
}

/* libuv can't wait for a regular file (standard input from a file): the engine needs not wait. */
static bool is_for_libuv(const struct relay_plan *plan)
{
    return plan->pump == PUMP_STREAM && plan->client->pollable && plan->target->pollable;
}

struct relay *relay_start(struct pumps *pumps, const struct relay_plan *plan, struct err *err)
{
    if (is_for_libuv(plan))
        return stream_start(pumps->loop, plan, err);
    return engine_start(pumps, plan, err);
}
