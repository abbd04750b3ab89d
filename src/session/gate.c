#include "session/gate.h"

#include "net/descriptors.h"
#include "session/session.h"

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

/* Another gate may have found no room because of this place. */
static void leave(struct gate *gate)
{
    if (!gate->turning_away) {
        forward_answered(gate->forward);
        forward_leave(gate->forward, &gate->worker->crew->totals);
        crew_tell_room(gate->worker->crew);
    }
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
    if (gate->forward->single)
        worker_single_failed(gate->worker, gate->forward);
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

void gate_shut(struct gate *gate)
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
    gate_shut(list_entry(message, struct gate, close));
}

/* New terms may mean more room. */
static void on_change(struct worker *worker, struct message *message)
{
    struct gate *gate = list_entry(message, struct gate, change);
    bool other_rate = gate->terms->config.accept_rate != gate->coming->config.accept_rate;

    terms_release(gate->terms);
    gate->terms = gate->coming;
    if (other_rate) { /* what was paid for at the old one counts no more */
        throttle_reset(&gate->forward->accepts);
        timer_clear(&worker->loop.timers, &gate->later);
        acceptor_resume(&gate->acceptor);
    }
}

void gate_retry(struct gate *gate)
{
    if (!gate->waiting)
        return;
    stop_waiting(gate);
    acceptor_resume(&gate->acceptor);
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

void gate_open(struct gate *gate)
{
    worker_post(gate->worker, &gate->open);
}

void gate_change_terms(struct gate *gate, struct terms *terms)
{
    gate->coming = terms_share(terms);
    worker_post(gate->worker, &gate->change);
}

void gate_close(struct gate *gate)
{
    worker_post(gate->worker, &gate->close);
}
