#include "session/session.h"

#include "base/text.h"
#include "net/dial.h"

#include <inttypes.h>
#include <stdlib.h>

/* Where half_close_timeout is not set, ms. A peer that need not know that the other one has ended
 * may wait for more for ever, and its pipe would be held as long: it is given up soon. */
enum { HALF_CLOSE_DEFAULT = 86400000, QUIET_END = 30000 };

static atomic_ullong last_id;

static uint64_t now(const struct session *session)
{
    return uv_now(&session->worker->loop.uv);
}

/* The last act: the worker may stop its loop in it. */
static void end(struct session *session, bool broken)
{
    struct worker *worker = session->worker;
    struct forward *forward = session->forward;

    timer_clear(&worker->loop.timers, &session->timer);
    list_remove(&session->link);
    terms_release(session->terms);
    free(session);
    if (broken)
        atomic_fetch_add(&forward->broken, 1);
    worker_session_ended(worker, forward);
    forward_release(forward);
}

/* The one line of a session. */
static void log_end(const struct session *session, enum log_level level, const char *outcome,
                    const struct relay_end *report)
{
    char client[ENDPOINT_TEXT], target[ENDPOINT_TEXT], lost[96] = "";
    uint64_t duration = now(session) - session->started;
    const char *reason = report->broken ? report->reason.msg : "";
    const struct log_field fields[] = {
        {"forward", session->forward->name, 0},
        {"session", NULL, session->id},
        {"client", client, 0},
        {"target", target, 0},
        {"outcome", outcome, 0},
        {"reason", reason, 0},
        {"duration_ms", NULL, duration},
        {"bytes_up", NULL, report->delivered[CLIENT]},
        {"bytes_down", NULL, report->delivered[TARGET]},
    };

    if (!log_wants(level))
        return;
    peer_format(&session->peer, client, sizeof client);
    endpoint_format(&session->terms->config.connect, target, sizeof target);
    if (report->lost[CLIENT] + report->lost[TARGET] > 0)
        snprintf(lost, sizeof lost, ", lost %" PRIu64 " B up and %" PRIu64 " B down",
                 report->lost[CLIENT], report->lost[TARGET]);
    log_event(level, fields, sizeof fields / sizeof *fields,
              "forward '%s' session %" PRIu64 ": %s -> %s: %s after %.3f s, %" PRIu64
              " B up, %" PRIu64 " B down%s%s%s",
              session->forward->name, session->id, client, target, outcome, (double)duration / 1000,
              report->delivered[CLIENT], report->delivered[TARGET], lost,
              report->broken ? ": " : "", reason);
}

/* The target has answered, or never will. */
static void end_dial(struct session *session)
{
    session->dial = NULL;
    forward_answered(session->forward);
    crew_tell_room(session->worker->crew); /* terms that are newer may have a max_pending */
}

/* The session never got as far as a relay. */
static void refuse(struct session *session, const char *reason)
{
    struct relay_end report = {.broken = true};

    err_set(&report.reason, 0, "%s", reason);
    if (worker_tells(session->worker, &session->forward->refusals))
        log_end(session, LOG_LEVEL_WARNING, "refused", &report);
    conn_close(&session->client, CONN_RESET);
    end(session, true);
}

static void on_relay_done(void *arg, const struct relay_end *report)
{
    struct session *session = arg;

    enum log_level level = LOG_LEVEL_INFO;

    if (report->broken && session->forward->single && !report->client_left)
        level = LOG_LEVEL_WARNING; /* the program's own failure; a client that leaves knows it */
    log_end(session, level, report->broken ? "broken" : "done", report);
    end(session, report->broken);
}

static uint64_t first(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t last(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* When the last byte passed. One that waits for bandwidth is not idle. */
static uint64_t last_active(const struct session *session)
{
    uint64_t active = session->relay->active;

    return active == RELAY_HELD_BACK ? now(session) : active;
}

/* When each time-out that is configured will have passed, or UINT64_MAX. */
static uint64_t idle_due(const struct session *session)
{
    uint64_t timeout = session->terms->config.idle_timeout;

    return timeout ? last_active(session) + timeout : UINT64_MAX;
}

/* From the last byte on: a session that is half closed and moves is as good as any. */
static uint64_t half_close_due(const struct session *session)
{
    uint64_t timeout = session->terms->config.half_close_timeout;

    if (timeout == HALF_CLOSE_UNSET)
        timeout = session->end_known ? HALF_CLOSE_DEFAULT : QUIET_END;
    if (timeout == 0 || !session->half_ended)
        return UINT64_MAX;
    return last(session->half_ended, last_active(session)) + timeout;
}

static uint64_t session_due(const struct session *session)
{
    uint64_t timeout = session->terms->config.session_timeout;

    return timeout ? session->started + timeout : UINT64_MAX;
}

/* Time-outs are looked at when they may be due, not moved at every byte. */
static void set_timer(struct session *session)
{
    uint64_t due = first(session_due(session), first(idle_due(session), half_close_due(session)));

    if (due != UINT64_MAX)
        timer_set(&session->worker->loop.timers, &session->timer,
                  due > now(session) ? due - now(session) : 0);
}

static void on_timer(struct timer *timer)
{
    struct session *session = list_entry(timer, struct session, timer);
    bool is_set = session->terms->config.half_close_timeout != HALF_CLOSE_UNSET;

    if (now(session) >= session_due(session))
        session_abort(session, "session_timeout");
    else if (now(session) >= half_close_due(session))
        session_abort(session, session->end_known || is_set
                                   ? "half_close_timeout: one side has ended, the other does not"
                                   : "one side has ended, the pipe of the other is quiet");
    else if (now(session) >= idle_due(session))
        session_abort(session, "idle_timeout: no byte in either direction");
    else
        set_timer(session);
}

static void on_half_closed(void *arg, bool known)
{
    struct session *session = arg;

    session->end_known = known;
    session->half_ended = now(session);
    set_timer(session);
}

static const struct relay_owner relay_owner = {on_half_closed, on_relay_done};

static void on_dialled(void *arg, const struct err *dial_err)
{
    struct session *session = arg;
    const struct forward_config *config = &session->terms->config;
    struct relay_plan plan = {
        .pump = config->pump,
        .client = &session->client,
        .target = &session->target,
        .session_rate = config->session_rate_limit,
        .shares = config->rate_limit > 0 ? session->forward->bandwidth : NULL,
        .owner = &relay_owner,
        .arg = session,
    };
    struct err err;

    end_dial(session);
    if (dial_err) {
        refuse(session, dial_err->msg);
        return;
    }
    session->relay = relay_start(session->worker->pumps, &plan, &err);
    if (!session->relay) {
        conn_close(&session->target, CONN_RESET);
        refuse(session, err.msg);
        return;
    }
    set_timer(session);
}

static const char left[] = "the client left before the target answered";

/* While the target has not answered: a client that is gone for good takes the dial with it. One
 * that has only ended its write half waits for the answer. */
static void on_client_event(struct conn *client)
{
    struct session *session = list_entry(client, struct session, client);

    if (conn_lost(client))
        session_abort(session, left);
}

/* The target has not answered in a first round: who has sent nothing and ended is taken for gone
 * from here on, unless the family can tell. (Who has sent something waits for the answer.) */
static bool on_another_round(void *arg)
{
    struct session *session = arg;

    if (!conn_may_have_left(&session->client))
        return true;
    session_abort(session, left);
    return false;
}

static void on_room(void *crew)
{
    crew_tell_room(crew);
}

static void dial_target(struct session *session)
{
    const struct forward_config *config = &session->terms->config;
    struct dial_plan plan = {
        .target = &config->connect,
        .options = &config->options,
        .ip = session->terms->has_ip ? &session->terms->ip : NULL,
        .timeout = config->connect_timeout,
        .retry = config->connect_retry,
        .last_good = &session->forward->last_good,
        .room = on_room,
        .arg = session->worker->crew,
        .wanted = on_another_round,
    };

    session->dial =
        dial_start(&session->worker->loop, &plan, &session->target, on_dialled, session);
    if (!session->dial) {
        end_dial(session);
        refuse(session, "not enough memory");
    }
}

void session_start(struct worker *worker, struct forward *forward, struct terms *terms,
                   const struct incoming *incoming, const struct peer *peer)
{
    struct session *session = calloc(1, sizeof *session);
    int status = session ? conn_adopt(&session->client, &worker->loop, incoming) : UV_ENOMEM;
    char text[128];

    if (status != 0) {
        if (worker_tells(worker, &forward->refusals))
            log_warning("forward '%s': a client was refused: %s", forward->name,
                        uv_strerror_r(status, text, sizeof text));
        if (!session)
            incoming_refuse(incoming);
        free(session);
        forward_answered(forward);
        if (forward->single) /* it was the only one */
            atomic_fetch_add(&forward->broken, 1);
        worker_session_ended(worker, forward);
        return;
    }
    session->worker = worker;
    session->forward = forward_share(forward);
    session->terms = terms_share(terms);
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
    end_dial(session);
    refuse(session, reason);
}
