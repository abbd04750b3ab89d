#include "connect.h"

#include <stdlib.h>

enum { UP = 300 * 1024, DOWN = 700 * 1024 };

static struct listener *target;

void connect_init(void)
{
    target = listener_open(family_named("tcp"), LISTENER_ACCEPTING);
}

void connect_remove(void)
{
    listener_close(target);
}

/* May make standard input or output fail. */
static bool touches_stdio(int call)
{
    return call == INJECT_read || call == INJECT_write || call == INJECT_splice ||
           call == INJECT_malloc;
}

void connect_work(struct rig *rig, const char *pump, const char *breakable)
{
    const struct pipeline_plan plan = {
        .program = rig->program,
        .pump = pump,
        .up = UP,
        .down = DOWN,
        .output_goes = NEVER,
        .target_goes = NEVER,
        .may_be_silent = touches_stdio(rig->inject->call),
        .breakable = breakable,
    };
    struct peer *peer;

    setenv("LD_PRELOAD", rig->library, 1);
    setenv(INJECT_FILE, rig->shared, 1);
    (void)pipeline_run(&plan, target);
    unsetenv("LD_PRELOAD");
    while ((peer = listener_accept(target, 0)) != NULL) /* of a dial that was tried again */
        peer_close(peer);
}
