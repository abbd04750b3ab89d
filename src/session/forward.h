/* A forward in service: its configuration, its listener and its counters, shared by all workers. */
#ifndef HVRELAY_SESSION_FORWARD_H
#define HVRELAY_SESSION_FORWARD_H

#include "config/config.h"
#include "net/listener.h"

#include <stdatomic.h>

struct forward {
    struct forward_config config;
    struct listener *listener;
    atomic_uint sessions; /* begun and not ended */
    atomic_uint ended;
    atomic_uint broken; /* of the ended ones */
};

/* Starts listening. Returns 0, or -1 with the forward's name in the message. */
int forward_open(struct forward *forward, const struct forward_config *config, struct err *err);

/* Stops listening; once no worker uses it any more. */
void forward_close(struct forward *forward);

/* Takes a place for one more session, and the descriptors it will need. False at a limit. */
bool forward_enter(struct forward *forward);

/* Gives back what forward_enter took. */
void forward_leave(struct forward *forward);

#endif
