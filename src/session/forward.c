#include "session/forward.h"

#include "net/descriptors.h"

enum { DESCRIPTORS = 2 }; /* of one session: its client and its target */

int forward_open(struct forward *forward, const struct forward_config *config, struct err *err)
{
    forward->config = *config;
    atomic_init(&forward->sessions, 0);
    atomic_init(&forward->ended, 0);
    atomic_init(&forward->broken, 0);
    if (listener_open(&config->listen, &config->options, &forward->listener, err) == 0)
        return 0;
    return err_prefix(err, "forward '%s'", config->name);
}

void forward_close(struct forward *forward)
{
    listener_close(forward->listener);
    forward->listener = NULL;
}

bool forward_enter(struct forward *forward)
{
    unsigned most = forward->config.max_sessions;

    if (atomic_fetch_add(&forward->sessions, 1) >= most && most > 0) {
        atomic_fetch_sub(&forward->sessions, 1);
        return false;
    }
    if (descriptors_take(DESCRIPTORS, 0))
        return true;
    atomic_fetch_sub(&forward->sessions, 1);
    return false;
}

void forward_leave(struct forward *forward)
{
    atomic_fetch_sub(&forward->sessions, 1);
    descriptors_give(DESCRIPTORS);
}
