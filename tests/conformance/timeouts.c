/* Sessions that the relay ends because of time. */
#include "cases.h"

/* A timer may be a tick early against another clock. */
#define NOT_BEFORE(ms) ((ms)-20)

/* Goal: a half-open session is ended after half_close_timeout, not before, and the log says why. */
void case_half_close_timeout(struct suite *suite)
{
    const char *const words[] = {"forward 'half'", "half_close_timeout", NULL};
    struct session session = session_open(suite, HALF_TIME);
    struct session whole = session_open(suite, HALF_TIME); /* has no half that is closed */
    struct flow nothing = flow_make("target -> client", NULL, session.client, 0);

    session_echo(&session, 1000);
    session_echo(&whole, 1000);
    uint64_t begin = clock_ms();
    flow_move("client -> target", session.client, session.target, 1000, FLOW_ENDS);
    long end = flow_drain(&nothing);
    uint64_t lasted = clock_ms() - begin;

    if (lasted < NOT_BEFORE(HALF_TIME_MS))
        fail_msg("ended after %d ms, half_close_timeout is %d ms", (int)lasted, HALF_TIME_MS);
    if (suite->front->sees_reset && end == PEER_EOF)
        fail_msg("a session that was cut off ended cleanly for the client");
    expect_log(suite, words);
    expect_gone("target", session.target);
    session_close(&session);
    session_echo(&whole, 1000);
    session_close(&whole);
}

/* False: the connection has ended. */
static bool pass_byte(struct peer *from, struct peer *to)
{
    struct peer_want want = {.peer = to, .read = true};
    char byte = 'x';
    return peer_send(from, &byte, 1) == 1 && peers_wait(&want, 1, PATIENCE_MS) > 0 &&
           peer_recv(to, &byte, 1) == 1;
}

/* Exchanges bytes for longer than idle_timeout, beside a session that does not: *ended is when that
 * one was seen to have ended, 0 if not. False: the machine did not let this run often enough to
 * tell what the relay should do. */
static bool keep_busy(struct session *session, uint64_t duration_ms, const struct session *idle,
                      uint64_t *ended)
{
    struct peer_want end = {.peer = idle->client, .read = true};
    uint64_t begin = clock_ms(), last = begin;
    for (*ended = 0; last - begin < duration_ms;) {
        clock_pause(IDLE_TIME_MS / 20);
        bool stands = pass_byte(session->client, session->target) &&
                      pass_byte(session->target, session->client);
        uint64_t now = clock_ms();
        if (now - last > IDLE_TIME_MS / 2)
            return false;
        if (!stands)
            fail_msg("a busy session was ended");
        last = now;
        if (*ended == 0 && peers_wait(&end, 1, 0) > 0)
            *ended = now;
    }
    return true;
}

/* Goal: an idle session is ended after idle_timeout, a busy one beside it is not, and the log says
 * why. */
void case_idle_timeout(struct suite *suite)
{
    const char *const words[] = {"forward 'idle'", "idle_timeout", NULL};
    struct session busy, idle;
    uint64_t begin, ended;
    for (int tries = 0;; tries++) {
        busy = session_open(suite, IDLE_TIME);
        idle = session_open(suite, IDLE_TIME);
        begin = clock_ms();
        session_echo(&idle, 1);
        if (keep_busy(&busy, IDLE_TIME_MS * 3 / 2, &idle, &ended) || tries == 5)
            break;
        session_close(&busy);
        session_close(&idle);
    }

    struct flow nothing = flow_make("target -> client", NULL, idle.client, 0);
    long end = flow_drain(&nothing);
    uint64_t lasted = (ended != 0 ? ended : clock_ms()) - begin;

    if (lasted < NOT_BEFORE(IDLE_TIME_MS))
        fail_msg("ended after %d ms, idle_timeout is %d ms", (int)lasted, IDLE_TIME_MS);
    if (suite->front->sees_reset && end == PEER_EOF)
        fail_msg("a session that was cut off ended cleanly for the client");
    expect_log(suite, words);
    expect_gone("target", idle.target);
    session_close(&idle);
    session_close(&busy);
}
