#include "session/worker.h"

#include "net/descriptors.h"
#include "session/session.h"

#include <assert.h>
#include <stdlib.h>

static enum entry enter(struct gate *gate, uint64_t *wait)
{
    return forward_enter(gate->forward, gate->terms, &gate->worker->crew->totals, uv_hrtime(),
                         wait);
}

static void stop_waiting(struct gate *gate)
{
    if (gate->waiting)
        atomic_fetch_sub(&gate->worker->crew->waiting, 1);
    gate->waiting = false;
}

/* Said once: from here on the limit on descriptors is what limits the sessions. */
static void tell_if_starved(struct gate *gate)
{
    if (descriptors_total() == 0) /* not counted yet: the program is starting */
        return;
    if (descriptors_take(1, 1)) {
        descriptors_give(1);
        return;
    }
    if (!atomic_exchange(&gate->worker->crew->starved, true))
        log_warning("forward '%s': no descriptors are left, clients wait: raise the limit on open "
                    "files (ulimit -n, LimitNOFILE=)",
                    gate->forward->name);
}

/* A pause of the gate must not miss the session that ends right now: so it is announced first, and
 * then the limit is asked again. */
static bool on_admit(struct acceptor *acceptor)
{
    struct gate *gate = list_entry(acceptor, struct gate, acceptor);
    uint64_t wait;
    enum entry entry = enter(gate, &wait);

    if (entry == ENTRY_FULL && gate->terms->config.refuse_at_limit) {
        gate->turning_away = true;
        return true;
    }
    if (entry == ENTRY_FULL) {
        gate->waiting = true;
        atomic_fetch_add(&gate->worker->crew->waiting, 1);
        entry = enter(gate, &wait);
        if (entry != ENTRY_FULL)
            stop_waiting(gate);
        else
            tell_if_starved(gate);
    }
    if (entry == ENTRY_LATER)
        timer_set(&gate->worker->loop.timers, &gate->later, wait / 1000000 + 1);
    return entry == ENTRY_GRANTED;
}

static void on_later(struct timer *timer)
{
    acceptor_resume(&list_entry(timer, struct gate, later)->acceptor);
}

static void leave(struct gate *gate)
{
    if (!gate->turning_away)
        forward_leave(gate->forward, &gate->worker->crew->totals);
    gate->turning_away = false;
}

static void on_retract(struct acceptor *acceptor)
{
    leave(list_entry(acceptor, struct gate, acceptor));
}

/* A client that may not come in, or for whom there is no room. */
static void turn_away(struct gate *gate, const struct incoming *incoming, const struct peer *peer)
{
    bool limit = gate->turning_away;
    struct repeat *repeat = limit ? &gate->forward->limits : &gate->forward->denials;
    char text[ENDPOINT_TEXT];

    incoming_refuse(incoming);
    leave(gate);
    if (!worker_tells(gate->worker, repeat))
        return;
    peer_format(peer, text, sizeof text);
    log_warning("forward '%s': %s: %s", gate->forward->name, text,
                limit ? "turned away, a limit is reached (on_limit = refuse)"
                      : "denied by its access rules");
}

static void on_accepted(struct acceptor *acceptor, const struct incoming *incoming,
                        const struct peer *peer)
{
    struct gate *gate = list_entry(acceptor, struct gate, acceptor);

    if (gate->turning_away || !access_allows(&gate->terms->config.access, peer))
        turn_away(gate, incoming, peer);
    else
        session_start(gate->worker, gate->forward, gate->terms, incoming, peer);
}

static void on_trouble(struct acceptor *acceptor, int code)
{
    const char *name = list_entry(acceptor, struct gate, acceptor)->forward->name;
    char text[128];

    if (code == 0)
        log_info("forward '%s': accepting again", name);
    else
        log_warning("forward '%s': cannot accept for now: %s", name,
                    uv_strerror_r(code, text, sizeof text));
}

static const struct acceptor_owner gate_owner = {on_admit, on_retract, on_accepted, on_trouble};

static void on_open(struct worker *worker, struct message *message)
{
    struct gate *gate = list_entry(message, struct gate, open);

    list_append(&worker->gates, &gate->link);
    acceptor_start(&gate->acceptor, &worker->loop, gate->listener, &gate_owner);
}

static void close_gate(struct gate *gate)
{
    list_remove(&gate->link);
    acceptor_stop(&gate->acceptor);
    timer_clear(&gate->worker->loop.timers, &gate->later);
    stop_waiting(gate);
    gate_discard(gate);
}

static void on_close(struct worker *worker, struct message *message)
{
    (void)worker;
    close_gate(list_entry(message, struct gate, close));
}

/* New terms may mean more room. */
static void on_change(struct worker *worker, struct message *message)
{
    struct gate *gate = list_entry(message, struct gate, change);

    (void)worker;
    terms_release(gate->terms);
    gate->terms = gate->coming;
}

/* Room may have come: the gates that wait for it try again, and wait again where it has not. */
static void reopen_gates(struct worker *worker)
{
    for (struct list *node = worker->gates.next; node != &worker->gates; node = node->next) {
        struct gate *gate = list_entry(node, struct gate, link);

        if (gate->waiting) {
            stop_waiting(gate);
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
    while (!list_empty(&worker->gates))
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it loses track of circular lists */
        close_gate(list_entry(worker->gates.next, struct gate, link));
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

struct gate *gate_create(struct worker *worker, struct listener *listener, struct forward *forward,
                         struct terms *terms)
{
    struct gate *gate = calloc(1, sizeof *gate);

    if (!gate)
        return NULL;
    list_init(&gate->link);
    timer_init(&gate->later, on_later);
    gate->listener = listener_share(listener);
    gate->forward = forward_share(forward);
    gate->terms = terms_share(terms);
    gate->worker = worker;
    gate->open.handle = on_open;
    gate->change.handle = on_change;
    gate->close.handle = on_close;
    return gate;
}

void gate_discard(struct gate *gate)
{
    if (!gate)
        return;
    listener_release(gate->listener);
    forward_release(gate->forward);
    terms_release(gate->terms);
    free(gate);
}

void worker_open_gate(struct gate *gate)
{
    worker_post(gate->worker, &gate->open);
}

void worker_change_terms(struct gate *gate, struct terms *terms)
{
    gate->coming = terms_share(terms);
    worker_post(gate->worker, &gate->change);
}

void worker_close_gate(struct gate *gate)
{
    worker_post(gate->worker, &gate->close);
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

void worker_ask(struct worker *worker)
{
    atomic_store(&worker->asked, true);
    wake(worker);
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
