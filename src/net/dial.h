/* Reaching a target: look its name up, race its addresses under one deadline, and, where asked to,
 * start over for a while (a VM that boots). */
#ifndef HVRELAY_NET_DIAL_H
#define HVRELAY_NET_DIAL_H

#include "net/conn.h"
#include "net/endpoint.h"
#include "net/sock_options.h"

#include <stdatomic.h>

struct dial;

struct dial_plan {
    const struct endpoint *target; /* these three must outlive the dial */
    const struct sock_options *options;
    const struct address *ip; /* of the target, if it is one (resolve_ip); NULL: not known */
    uint64_t timeout;         /* ms for one round over all the addresses */
    uint64_t retry; /* ms during which a failed round is followed by another; 0: one round */
    /* Where dials from any thread remember which of a name's addresses served last, if it was not
     * the first; zero at first. It must outlive the dial. NULL: nothing is remembered. */
    atomic_uint_least64_t *last_good;
    /* Called when a descriptor beyond the conn's own has gone back to the budget, or NULL. */
    void (*room)(void *arg);
    void *arg; /* of `room` */
    /* Called before each further round, with the arg of `done`. False: nobody waits for the target
     * any more, and the dial was cancelled. NULL: somebody always does. */
    bool (*wanted)(void *arg);
};

/* `err` is NULL where the conn is open; else it names the target and the reason. */
typedef void dial_done(void *arg, const struct err *err);

/* Connects `conn`, an empty one of the caller's. `done` is called once, from the loop, as the
 * dial's last act. Returns NULL where memory is short. */
struct dial *dial_start(struct loop *loop, const struct dial_plan *plan, struct conn *conn,
                        dial_done *done, void *arg);

/* `done` is not called any more, and the conn is empty. */
void dial_cancel(struct dial *dial);

#endif
