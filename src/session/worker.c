#include "session/worker.h"

#include "net/descriptors.h"
#include "session/gate.h"
#include "session/session.h"

#include <assert.h>
#include <stdlib.h>

/* Room may have come. */
static void retry_gates(struct worker *worker)
{
    for (struct list *node = worker->gates.next; node != &worker->gates; node = node->next)
        gate_retry(list_entry(node, struct gate, link));
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
    while (!list_empty(&worker->gates))
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it loses track of circular lists */
        gate_shut(list_entry(worker->gates.next, struct gate, link));
    end_if_drained(worker);
}

static void on_abort(struct worker *worker, struct message *message)
{
    (void)message;
    while (!list_empty(&worker->sessions))
        session_abort(list_entry(worker->sessions.next, struct session, link), "hvrelay stops");
}

struct forward_abort {
    struct message message;
    struct forward *forward;
    const char *reason;
};

static void on_abort_forward(struct worker *worker, struct message *message)
{
    struct forward_abort *order = list_entry(message, struct forward_abort, message);
    struct list *node = worker->sessions.next;

    while (node != &worker->sessions) {
        struct session *session = list_entry(node, struct session, link);

        node = node->next;
        if (session->forward == order->forward)
            session_abort(session, order->reason);
    }
    forward_release(order->forward);
    free(order);
}

static void on_settle(struct worker *worker, struct message *message)
{
    (void)message;
    uv_sem_post(worker->settled);
}

/* A worker that has ended needs no waking. */
static void wake(struct worker *worker)
{
    uv_mutex_lock(&worker->lock);
    if (!worker->ended)
        uv_async_send(&worker->wake);
    uv_mutex_unlock(&worker->lock);
}

void crew_tell_room(struct crew *crew)
{
    unsigned first;

    if (atomic_load(&crew->waiting) == 0)
        return;
    first = atomic_fetch_add(&crew->turn, 1);
    for (unsigned i = 0; i < crew->count; i++)
        wake(&crew->workers[(first + i) % crew->count]);
}

void crew_assert_empty(const struct crew *crew)
{
    assert(atomic_load(&crew->totals.sessions) == 0);
    assert(atomic_load(&crew->waiting) == 0);
    assert(descriptors_left() == descriptors_total());
    (void)crew;
}

bool worker_tells(struct worker *worker, struct repeat *repeat)
{
    if (repeat_tell(repeat, uv_now(&worker->loop.uv)))
        return true;
    if (!atomic_exchange(&worker->crew->repeats, true))
        uv_async_send(worker->crew->notice);
    return false;
}

void worker_session_ended(struct worker *worker, struct forward *forward)
{
    struct crew *crew = worker->crew;

    forward_leave(forward, &crew->totals);
    atomic_fetch_add(&forward->ended, 1);
    crew_tell_room(crew);
    if (forward->single)
        uv_async_send(crew->notice);
    end_if_drained(worker);
}

void worker_single_failed(struct worker *worker, struct forward *forward)
{
    atomic_fetch_add(&forward->broken, 1);
    atomic_fetch_add(&forward->ended, 1);
    uv_async_send(worker->crew->notice);
}

static void on_wake(uv_async_t *async)
{
    struct worker *worker = async->data;
    struct list mail;

    atomic_store(&worker->asked, false);
    uv_mutex_lock(&worker->lock);
    list_take(&mail, &worker->mailbox);
    uv_mutex_unlock(&worker->lock);
    while (!list_empty(&mail)) {
        struct message *message = list_entry(mail.next, struct message, link);

        list_remove(&message->link);
        message->handle(worker, message);
    }
    retry_gates(worker);
}

static void run_worker(void *arg)
{
    struct worker *worker = arg;
    struct crew *crew = worker->crew;
    int status;

    loop_run(&worker->loop);
    uv_mutex_lock(&worker->lock);
    worker->ended = true;
    atomic_store(&worker->asked, false);
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
    worker->settle.handle = on_settle;
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

int worker_abort_forward(struct worker *worker, struct forward *forward, const char *reason)
{
    struct forward_abort *order = malloc(sizeof *order);

    if (!order)
        return -1;
    *order = (struct forward_abort){{.handle = on_abort_forward}, forward_share(forward), reason};
    worker_post(worker, &order->message);
    return 0;
}

void crew_settle(struct crew *crew)
{
    uv_sem_t settled;

    if (uv_sem_init(&settled, 0) != 0)
        return;
    for (unsigned i = 0; i < crew->count; i++) {
        crew->workers[i].settled = &settled;
        worker_post(&crew->workers[i], &crew->workers[i].settle);
    }
    for (unsigned i = 0; i < crew->count; i++)
        uv_sem_wait(&settled);
    uv_sem_destroy(&settled);
}

void worker_drain(struct worker *worker)
{
    worker_post(worker, &worker->drain);
}

void worker_abort(struct worker *worker)
{
    worker_post(worker, &worker->abort);
}

/* One that has ended, while others drain, is not asked. */
void worker_ask(struct worker *worker)
{
    uv_mutex_lock(&worker->lock);
    if (!worker->ended) {
        atomic_store(&worker->asked, true);
        uv_async_send(&worker->wake);
    }
    uv_mutex_unlock(&worker->lock);
}

bool worker_answered(struct worker *worker)
{
    return !atomic_load(&worker->asked);
}

void worker_join(struct worker *worker)
{
    uv_thread_join(&worker->thread);
    uv_mutex_destroy(&worker->lock);
}
