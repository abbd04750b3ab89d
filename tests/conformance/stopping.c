/* The end of the relay itself. */
#include "cases.h"

#include <string.h>

#define BUSY_MS 300

/* Waits until a client is refused: one that is let in, or kept waiting, would never be served. The
 * name of a pipe stays as long as a session on it does: there every instance is taken. */
static void expect_closed_door(const char *endpoint)
{
    uint64_t deadline = clock_ms() + PATIENCE_MS;
    bool pipe = strncmp(endpoint, "npipe:", 6) == 0;
    for (;;) {
        struct peer *client = peer_connect(endpoint, pipe ? BUSY_MS : clock_left_ms(deadline));
        if (client == NULL && (pipe || !peer_timed_out()))
            return;
        peer_close(client);
        if (clock_left_ms(deadline) == 0)
            fail_msg("'%s' still lets clients in after the relay was asked to stop", endpoint);
        clock_pause(1);
    }
}

/* A client that slipped in has a target, which has to go too before the relay is done. */
static void expect_exit(const struct suite *suite, struct relay *relay, int wanted)
{
    uint64_t deadline = clock_ms() + PATIENCE_MS;
    int code;
    while ((code = relay_wait(relay, 10)) < 0 && clock_left_ms(deadline) > 0)
        suite_clear_targets(suite);
    if (code < 0)
        fail_msg("the relay still runs");
    assert_int_equal(code, wanted);
}

/* A session through a relay of its own. */
static struct session open_extra(struct suite *suite, const char *globals)
{
    const char *endpoint = relay_endpoint(suite_extra_relay(suite, globals), "plain");
    struct peer *client = peer_connect(endpoint, PATIENCE_MS);
    assert_non_null(client);
    return (struct session){client, target_accept(suite)};
}

/* Goal: a relay that is asked to stop takes nobody new, lets the session come to its end, exits 0.
 */
void case_drain(struct suite *suite)
{
    struct session session = open_extra(suite, "");
    struct flow flows[2] = {
        flow_make("client -> target", session.client, session.target, MIB),
        flow_make("target -> client", session.target, session.client, MIB),
    };
    flows_run(flows, 2);
    relay_ask_to_stop(suite->extra);
    expect_closed_door(relay_endpoint(suite->extra, "plain"));
    assert_true(relay_running(suite->extra));

    for (int i = 0; i < 2; i++) {
        flow_extend(&flows[i], 4 * MIB);
        flows[i].end = FLOW_ENDS;
    }
    flows_run(flows, 2);
    expect_exit(suite, suite->extra, 0);
    session_close(&session);
}

/* Goal: a client that vanishes while the relay drains does not keep it, nor end the session beside
 * it.
 */
void case_vanish_draining(struct suite *suite)
{
    struct session leaving[2] = {open_extra(suite, "drain_timeout = 1h\n")}, staying;
    const char *endpoint = relay_endpoint(suite->extra, "plain");

    leaving[1] = (struct session){peer_connect(endpoint, PATIENCE_MS), target_accept(suite)};
    staying = (struct session){peer_connect(endpoint, PATIENCE_MS), target_accept(suite)};
    relay_ask_to_stop(suite->extra);
    expect_closed_door(endpoint);
    peer_close(leaving[0].client);
    peer_abort(leaving[1].client);
    for (int i = 0; i < 2; i++) {
        struct flow nothing = flow_make("client -> target", NULL, leaving[i].target, 0);
        flow_drain(&nothing);
        peer_close(leaving[i].target);
    }
    session_echo(&staying, 100 * KIB);
    assert_true(relay_running(suite->extra));
    session_close(&staying);
    expect_exit(suite, suite->extra, 0);
}

/* Goal: a session that does not end by itself is broken off after drain_timeout. */
void case_drain_timeout(struct suite *suite)
{
    struct session session = open_extra(suite, "drain_timeout = 200ms\n");
    struct flow nothing = flow_make("target -> client", NULL, session.client, 0);

    session_echo(&session, 1000);
    relay_ask_to_stop(suite->extra);
    if (flow_drain(&nothing) == PEER_EOF && suite->front->sees_reset)
        fail_msg("a session that was cut off ended cleanly for the client");
    expect_exit(suite, suite->extra, 0);
    session_close(&session);
}

/* Goal: a second request to stop does not wait for sessions. */
void case_second_signal(struct suite *suite)
{
    struct session session = open_extra(suite, "drain_timeout = 1h\n");
    uint64_t deadline = clock_ms() + PATIENCE_MS;

    session_echo(&session, 1000);
    do /* two requests may arrive as one */
        relay_ask_to_stop(suite->extra);
    while (relay_wait(suite->extra, 20) < 0 && clock_left_ms(deadline) > 0);
    expect_exit(suite, suite->extra, 0);
    session_close(&session);
}

/* An allocator keeps some of what many sessions once needed. */
#define RESIDENT_MAX (32 * RESIDENT_FACTOR * MIB)

/* Goal: after all the cases the relay holds what it held before, has all its places, and stops with
 * exit code 0. */
void case_nothing_left(struct suite *suite)
{
    expect_quiet(suite);
    expect_places(suite);
    expect_quiet(suite);

    size_t resident = resident_now(suite);
    if (resident > suite->resident_at_start + RESIDENT_MAX)
        fail_msg("the relay grew from %zu to %zu KiB", suite->resident_at_start / 1024,
                 resident / 1024);

    relay_ask_to_stop(suite->relay);
    expect_exit(suite, suite->relay, 0);
    relay_free(suite->relay);
    suite->relay = NULL;
}
