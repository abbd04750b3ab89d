#include "connect.h"

#include <errno.h>
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

/* As if whoever has standard input or output had gone. */
static bool tells_who_has_left(const struct inject *inject)
{
    return (inject->call == INJECT_read || inject->call == INJECT_write ||
            inject->call == INJECT_splice) &&
           (inject->error == EPIPE || inject->error == ECONNRESET);
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
        .may_be_silent = tells_who_has_left(rig->inject),
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
