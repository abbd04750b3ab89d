/* One thread's event loop: libuv, and beside it what the fast path of a system needs.
 *
 * All of loop, conn, acceptor, dial and timer belong to one thread, the one that runs loop_run.
 * The only call allowed from elsewhere is uv_async_send on an async of `loop->uv`. */
#ifndef HVRELAY_NET_LOOP_H
#define HVRELAY_NET_LOOP_H

#include "base/err.h"
#include "base/list.h"
#include "net/timer.h"

#include <uv.h>

/* Work put off to the end of the current turn. Embedded by its owner. */
struct task {
    struct list link;
    void (*run)(struct task *task);
};

#include "loop_os.h" /* struct loop: has at least `uv_loop_t uv`, `struct timers timers` */

int loop_init(struct loop *loop, struct err *err);

/* Runs until loop_stop. At least one libuv handle must be active all the while. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Runs libuv until the last handle has closed, then frees. Returns 0, or UV_EBUSY where somebody
 * left a handle open (a bug). */
int loop_destroy(struct loop *loop);

static inline void task_init(struct task *task, void (*run)(struct task *))
{
    list_init(&task->link);
    task->run = run;
}

/* Runs the task once, after the events of this turn; tasks deferred meanwhile wait for the next
 * turn, so that none can starve the sockets. Deferring twice is the same as once. */
void loop_defer(struct loop *loop, struct task *task);

/* As loop_defer, but ahead of all tasks that wait already, in this turn if its tasks still run. For
 * what is short and happens once: it must not defer itself this way again. */
void loop_defer_ahead(struct loop *loop, struct task *task);

static inline void task_cancel(struct task *task)
{
    list_remove(&task->link);
}

#endif
