#include "session/worker.h"

#include "session/session.h"

#include <assert.h>

/* A pause of the gate must not miss the session that ends right now: so it is announced first, and
 * then the limit is asked again. */
static bool on_admit(struct acceptor *acceptor)
{
    struct gate *gate = list_entry(acceptor, struct gate, acceptor);

    if (forward_enter(gate->forward))
        return true;
    gate->waiting = true;
    atomic_fetch_add(&gate->worker->crew->waiting, 1);
    if (!forward_enter(gate->forward))
        return false;
    gate->waiting = false;
    atomic_fetch_sub(&gate->worker->crew->waiting, 1);
    return true;
}

static void on_retract(struct acceptor *acceptor)
{
    forward_leave(list_entry(acceptor, struct gate, acceptor)->forward);
}

static void on_accepted(struct acceptor *acceptor, const struct incoming *incoming,
                        const struct peer *peer)
{
    struct gate *gate = list_entry(acceptor, struct gate, acceptor);

    session_start(gate->worker, gate->forward, incoming, peer);
}

static void on_trouble(struct acceptor *acceptor, int code)
{
    const char *name = list_entry(acceptor, struct gate, acceptor)->forward->config.name;
    char text[128];

    if (code == 0)
        log_info("forward '%s': accepting again", name);
    else
        log_warning("forward '%s': cannot accept for now: %s", name,
                    uv_strerror_r(code, text, sizeof text));
}

static const struct acceptor_owner gate_owner = {on_admit, on_retract, on_accepted, on_trouble};

static void open_gate(struct worker *worker, struct message *message)
{
    struct gate *gate = list_entry(message, struct gate, open);
    int status;

    list_append(&worker->gates, &gate->link);
    status = acceptor_start(&gate->acceptor, &worker->loop, gate->forward->listener, &gate_owner);
    if (status != 0)
        on_trouble(&gate->acceptor, status);
}

/* Room may have come: the gates that wait for it try again, and wait again where it has not. */
static void reopen_gates(struct worker *worker)
{
    for (struct list *node = worker->gates.next; node != &worker->gates; node = node->next) {
        struct gate *gate = list_entry(node, struct gate, link);

        if (gate->waiting) {
            gate->waiting = false;
            atomic_fetch_sub(&worker->crew->waiting, 1);
            acceptor_resume(&gate->acceptor);
        }
    }
}

static void end_if_drained(struct worker *worker)
{
    if (worker->draining && list_empty(&worker->sessions))
        loop_stop(&worker->loop);
}

static void on_drain(struct worker *worker, struct message *message)
{
    (void)message;
    worker->draining = true;
    while (!list_empty(&worker->gates)) {
        struct gate *gate = list_entry(worker->gates.next, struct gate, link);

        list_remove(&gate->link);
        acceptor_stop(&gate->acceptor);
        if (gate->waiting)
            atomic_fetch_sub(&worker->crew->waiting, 1);
    }
    end_if_drained(worker);
}

static void on_abort(struct worker *worker, struct message *message)
{
    (void)message;
    while (!list_empty(&worker->sessions))
        session_abort(list_entry(worker->sessions.next, struct session, link), "hvrelay stops");
}

/* A worker that has ended needs no waking. */
static void wake(struct worker *worker)
{
    uv_mutex_lock(&worker->lock);
    if (!worker->ended)
        uv_async_send(&worker->wake);
    uv_mutex_unlock(&worker->lock);
}

void worker_session_ended(struct worker *worker, struct forward *forward)
{
    struct crew *crew = worker->crew;

    forward_leave(forward);
    atomic_fetch_add(&forward->ended, 1);
    if (atomic_load(&crew->waiting) > 0) {
        for (unsigned i = 0; i < crew->count; i++)
            wake(&crew->workers[i]);
    }
    if (family_is_single(forward->config.listen.family))
        uv_async_send(crew->notice);
    end_if_drained(worker);
}

static void on_wake(uv_async_t *async)
{
    struct worker *worker = async->data;
    struct list mail;

    uv_mutex_lock(&worker->lock);
    list_take(&mail, &worker->mailbox);
    uv_mutex_unlock(&worker->lock);
    while (!list_empty(&mail)) {
        struct message *message = list_entry(mail.next, struct message, link);

        list_remove(&message->link);
        message->handle(worker, message);
    }
    reopen_gates(worker);
}

static void run_worker(void *arg)
{
    struct worker *worker = arg;
    struct crew *crew = worker->crew;
    int status;

    loop_run(&worker->loop);
    uv_mutex_lock(&worker->lock);
    worker->ended = true;
    uv_mutex_unlock(&worker->lock);
    uv_close((uv_handle_t *)&worker->wake, NULL);
    pumps_destroy(worker->pumps);
    status = loop_destroy(&worker->loop);
    assert(status == 0);
    (void)status;
    atomic_fetch_sub(&crew->at_work, 1);
    uv_async_send(crew->notice);
}

/* Undoes what came before the step that failed. */
static int give_up(struct worker *worker, struct err *err)
{
    loop_destroy(&worker->loop);
    return err_prefix(err, "cannot start a worker");
}

int worker_start(struct worker *worker, struct crew *crew, struct err *err)
{
    int status;

    *worker = (struct worker){.crew = crew};
    list_init(&worker->gates);
    list_init(&worker->sessions);
    list_init(&worker->mailbox);
    worker->drain.handle = on_drain;
    worker->abort.handle = on_abort;
    if (loop_init(&worker->loop, err) != 0)
        return -1;
    if (pumps_create(&worker->loop, &worker->pumps, err) != 0)
        return give_up(worker, err);
    status = uv_mutex_init(&worker->lock);
    if (status == 0)
        status = uv_async_init(&worker->loop.uv, &worker->wake, on_wake);
    worker->wake.data = worker;
    if (status == 0) {
        atomic_fetch_add(&crew->at_work, 1);
        status = uv_thread_create(&worker->thread, run_worker, worker);
        if (status == 0)
            return 0;
        atomic_fetch_sub(&crew->at_work, 1);
        uv_close((uv_handle_t *)&worker->wake, NULL);
    }
    pumps_destroy(worker->pumps);
    err_system(err, status, "cannot create a thread");
    return give_up(worker, err);
}

void worker_post(struct worker *worker, struct message *message)
{
    uv_mutex_lock(&worker->lock);
    list_append(&worker->mailbox, &message->link);
    uv_mutex_unlock(&worker->lock);
    wake(worker);
}

void worker_add(struct worker *worker, struct gate *gate, struct forward *forward)
{
    *gate = (struct gate){.forward = forward, .worker = worker, .open = {.handle = open_gate}};
    worker_post(worker, &gate->open);
}

void worker_drain(struct worker *worker)
{
    worker_post(worker, &worker->drain);
}

void worker_abort(struct worker *worker)
{
    worker_post(worker, &worker->abort);
}

void worker_join(struct worker *worker)
{
    uv_thread_join(&worker->thread);
    uv_mutex_destroy(&worker->lock);
}
