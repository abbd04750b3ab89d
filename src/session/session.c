#include "session/session.h"

#include "base/text.h"
#include "net/dial.h"

#include <inttypes.h>
#include <stdlib.h>

static atomic_ullong last_id;

static uint64_t now(const struct session *session)
{
    return uv_now(&session->worker->loop.uv);
}

static void describe(const struct session *session, char *out, size_t size)
{
    char client[ENDPOINT_TEXT], target[ENDPOINT_TEXT];

    peer_format(&session->peer, client, sizeof client);
    endpoint_format(&session->forward->config.connect, target, sizeof target);
    snprintf(out, size, "forward '%s' session %" PRIu64 ": %s -> %s", session->forward->config.name,
             session->id, client, target);
}

/* The last act: the worker may stop its loop in it. */
static void end(struct session *session, bool broken)
{
    struct worker *worker = session->worker;
    struct forward *forward = session->forward;

    timer_clear(&worker->loop.timers, &session->timer);
    list_remove(&session->link);
    free(session);
    if (broken)
        atomic_fetch_add(&forward->broken, 1);
    worker_session_ended(worker, forward);
}

/* The session never got as far as a relay. */
static void refuse(struct session *session, const char *reason)
{
    char text[768];

    describe(session, text, sizeof text);
    log_warning("%s: refused after %.3f s: %s", text,
                (double)(now(session) - session->started) / 1000, reason);
    conn_close(&session->client, CONN_RESET);
    end(session, true);
}

static void log_end(const struct session *session, const struct relay_end *report)
{
    char text[768], lost[96] = "";

    describe(session, text, sizeof text);
    if (report->lost[CLIENT] + report->lost[TARGET] > 0)
        snprintf(lost, sizeof lost, ", lost %" PRIu64 " B up and %" PRIu64 " B down",
                 report->lost[CLIENT], report->lost[TARGET]);
    log_info("%s: %s after %.3f s, %" PRIu64 " B up, %" PRIu64 " B down%s%s%s", text,
             report->broken ? "broken" : "done", (double)(now(session) - session->started) / 1000,
             report->delivered[CLIENT], report->delivered[TARGET], lost, report->broken ? ": " : "",
             report->broken ? report->reason.msg : "");
}

static void on_relay_done(void *arg, const struct relay_end *report)
{
    struct session *session = arg;

    log_end(session, report);
    end(session, report->broken);
}

/* When the time-out that is set in the configuration will have passed, or UINT64_MAX. */
static uint64_t idle_due(const struct session *session)
{
    uint64_t timeout = session->forward->config.idle_timeout;

    return timeout ? session->relay->active + timeout : UINT64_MAX;
}

static uint64_t half_close_due(const struct session *session)
{
    uint64_t timeout = session->forward->config.half_close_timeout;

    return timeout && session->half_ended ? session->half_ended + timeout : UINT64_MAX;
}

/* Time-outs are looked at when they may be due, not moved at every byte. */
static void set_timer(struct session *session)
{
    uint64_t idle = idle_due(session), half_close = half_close_due(session);
    uint64_t due = idle < half_close ? idle : half_close;

    if (due != UINT64_MAX)
        timer_set(&session->worker->loop.timers, &session->timer,
                  due > now(session) ? due - now(session) : 0);
}

static void on_timer(struct timer *timer)
{
    struct session *session = list_entry(timer, struct session, timer);

    if (now(session) >= half_close_due(session))
        session_abort(session, "half_close_timeout: one side has ended, the other does not");
    else if (now(session) >= idle_due(session))
        session_abort(session, "idle_timeout: no byte in either direction");
    else
        set_timer(session);
}

static void on_half_closed(void *arg)
{
    struct session *session = arg;

    session->half_ended = now(session);
    set_timer(session);
}

static const struct relay_owner relay_owner = {on_half_closed, on_relay_done};

static void on_dialled(void *arg, const struct err *dial_err)
{
    struct session *session = arg;
    struct err err;

    session->dial = NULL;
    if (dial_err) {
        refuse(session, dial_err->msg);
        return;
    }
    session->relay = relay_start(session->worker->pumps, session->forward->config.pump,
                                 &session->client, &session->target, &relay_owner, session, &err);
    if (!session->relay) {
        conn_close(&session->target, CONN_RESET);
        refuse(session, err.msg);
        return;
    }
    set_timer(session);
}

/* While the target has not answered: a client that is gone for good takes the dial with it. One
 * that has only ended its write half waits for the answer. */
static void on_client_event(struct conn *client)
{
    struct session *session = list_entry(client, struct session, client);

    if (conn_lost(client))
        session_abort(session, "the client left before the target answered");
}

static void dial_target(struct session *session)
{
    const struct forward_config *config = &session->forward->config;
    struct dial_plan plan = {
        .target = &config->connect,
        .options = &config->options,
        .timeout = config->connect_timeout,
        .retry = config->connect_retry,
    };

    session->dial =
        dial_start(&session->worker->loop, &plan, &session->target, on_dialled, session);
    if (!session->dial)
        refuse(session, "not enough memory");
}

void session_start(struct worker *worker, struct forward *forward, const struct incoming *incoming,
                   const struct peer *peer)
{
    struct session *session = calloc(1, sizeof *session);

    if (!session || conn_adopt(&session->client, &worker->loop, incoming) != 0) {
        log_warning("forward '%s': a client was refused: not enough memory", forward->config.name);
        if (!session)
            incoming_refuse(incoming);
        free(session);
        worker_session_ended(worker, forward);
        return;
    }
    session->worker = worker;
    session->forward = forward;
    session->id = atomic_fetch_add(&last_id, 1) + 1;
    session->peer = *peer;
    session->started = now(session);
    timer_init(&session->timer, on_timer);
    conn_init(&session->target);
    conn_watch_loss(&session->client, on_client_event);
    list_append(&worker->sessions, &session->link);
    dial_target(session);
}

void session_abort(struct session *session, const char *reason)
{
    struct err err;

    if (session->relay) {
        err_set(&err, 0, "%s", reason);
        relay_abort(session->relay, &err);
        return;
    }
    dial_cancel(session->dial);
    refuse(session, reason);
}
