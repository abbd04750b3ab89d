/* A connection that breaks is never passed on as one that ended well. */
#include "cases.h"

#include "../lib/random.h"

/* The two ends of a session in the roles of these cases. */
struct roles {
    struct peer *breaker, *other;
    const struct family *breaker_family, *other_family;
    const char *to_breaker, *to_other; /* names of the flows */
};

static struct roles roles_of(const struct suite *suite, const struct session *session, bool client)
{
    if (client)
        return (struct roles){session->client, session->target,    suite->front,
                              suite->back,     "target -> client", "client -> target"};
    return (struct roles){session->target, session->client,    suite->back,
                          suite->front,    "client -> target", "target -> client"};
}

/* The other end learns of the break as well as the two families can; the log tells in any case. A
 * family without resets shows an end of file, and the relay may pass that on before a write fails.
 */
static void expect_broken(struct suite *suite, const struct roles *roles, long end)
{
    static const char *const words[] = {"forward 'plain'", "broken", NULL};
    if (roles->breaker_family->resets != RESETS_NEVER && roles->other_family->sees_reset &&
        end == PEER_EOF)
        fail_msg("%s: the reset arrived as a clean end of file", roles->to_other);
    expect_log(suite, words);
    bystander_works(suite);
}

/* Lets bytes arrive at the breaker that it will not read: else a unix socket tells of no reset. */
static void leave_unread(const struct roles *roles)
{
    struct flow unread = flow_make(roles->to_breaker, roles->other, roles->breaker, 100);
    struct peer_want arrival = {.peer = roles->breaker, .read = true};
    flow_push(&unread, unread.size, PATIENCE_MS);
    assert_int_equal(peers_wait(&arrival, 1, PATIENCE_MS), 1);
}

static void reset_when_quiet(struct suite *suite, bool by_client)
{
    struct session session = session_open(suite, PLAIN);
    struct roles roles = roles_of(suite, &session, by_client);
    if (roles.breaker_family->resets == RESETS_NEVER)
        skip_because(suite, "a peer of this family cannot reset a quiet connection");
    session_echo(&session, 1000);
    leave_unread(&roles);
    peer_abort(roles.breaker);

    struct flow nothing = flow_make(roles.to_other, NULL, roles.other, 0);
    long end = flow_drain(&nothing);
    assert_int_equal(nothing.received, 0);
    expect_broken(suite, &roles, end);
    peer_close(roles.other);
}

/* Goal: a client's reset of a quiet session is a reset at the target. */
void case_client_resets(struct suite *suite)
{
    reset_when_quiet(suite, true);
}

/* Goal: a target's reset of a quiet session is a reset at the client. */
void case_target_resets(struct suite *suite)
{
    reset_when_quiet(suite, false);
}

/* Nobody reads from the breaker any more when it breaks off: its end of file has come before. */
static void reset_after_half_close(struct suite *suite, bool by_client)
{
    struct session session = session_open(suite, PLAIN);
    struct roles roles = roles_of(suite, &session, by_client);
    if (roles.breaker_family->resets == RESETS_NEVER)
        skip_because(suite, "a peer of this family cannot reset a quiet connection");
    if (!roles.breaker_family->shows_late_reset)
        skip_because(suite, "the relay does not see it on this system before it writes");
    flow_move(roles.to_other, roles.breaker, roles.other, 1000, FLOW_ENDS);
    leave_unread(&roles);
    peer_abort(roles.breaker);
    expect_broken(suite, &roles,
                  PEER_RESET); /* first: to look whether the other is gone, we write */
    expect_gone(by_client ? "target" : "client", roles.other);
    peer_close(roles.other);
}

/* Goal: a client's reset after its half-close ends the session. */
void case_client_resets_half_closed(struct suite *suite)
{
    reset_after_half_close(suite, true);
}

/* Goal: a target's reset after its half-close ends the session. */
void case_target_resets_half_closed(struct suite *suite)
{
    reset_after_half_close(suite, false);
}

/* Both directions have moved and are full of bytes that nobody reads when one end breaks. */
static void reset_amid_traffic(struct suite *suite, bool by_client)
{
    struct session session = session_open(suite, PLAIN);
    struct roles roles = roles_of(suite, &session, by_client);
    struct flow flows[2] = {
        flow_make(roles.to_other, roles.breaker, roles.other, 4 * MIB),
        flow_make(roles.to_breaker, roles.other, roles.breaker, 4 * MIB),
    };
    flows_run(flows, 2);
    for (int i = 0; i < 2; i++) {
        flow_extend(&flows[i], 64 * MIB);
        flow_push(&flows[i], flows[i].size, 20);
        assert_true(flows[i].sent < flows[i].size);
    }
    peer_abort(roles.breaker);

    long end = flow_drain(&flows[0]);
    if (!roles.other_family->sees_reset_amid)
        end = PEER_RESET; /* it cannot tell: only the log is asked */
    expect_broken(suite, &roles, end);
    peer_close(roles.other);
}

/* Goal: a client that breaks off under load leaves a target that knows it, and no wrong byte. */
void case_client_resets_amid(struct suite *suite)
{
    reset_amid_traffic(suite, true);
}

/* Goal: a target that breaks off under load leaves a client that knows it, and no wrong byte. */
void case_target_resets_amid(struct suite *suite)
{
    reset_amid_traffic(suite, false);
}

/* A break at any moment: bytes are on their way in each direction, or none, read or not. */
static void reset_at_random(struct suite *suite, bool by_client, uint64_t *random)
{
    struct session session = session_open(suite, PLAIN);
    struct roles roles = roles_of(suite, &session, by_client);
    struct flow flows[2] = {
        flow_make(roles.to_other, roles.breaker, roles.other, FLOW_WRITE_MAX),
        flow_make(roles.to_breaker, roles.other, roles.breaker, FLOW_WRITE_MAX),
    };
    for (int i = 0; i < 2; i++) {
        flows[i].write_max = (size_t)(random_next(random) % FLOW_WRITE_MAX + 1);
        if (random_next(random) % 4 != 0)
            flow_push(&flows[i], flows[i].write_max, 0);
    }
    peer_abort(roles.breaker);
    if (flow_drain(&flows[0]) != PEER_RESET)
        fail_msg("%s: the reset arrived as a clean end of file", roles.to_other);
    peer_close(roles.other);
}

/* Goal: hundreds of sessions that break at odd moments; not one of them looks complete. The kernel
 * tells of a reset only once, to whichever call comes first. */
void case_random_resets(struct suite *suite)
{
    const uint64_t n = suite_scaled(suite, 400, 100);
    uint64_t random = suite->seed;
    if (suite->front->resets != RESETS_ALWAYS || !suite->back->sees_reset_amid ||
        suite->back->resets != RESETS_ALWAYS || !suite->front->sees_reset_amid)
        skip_because(suite, "only where both ends can send and see a reset at any time");
    for (uint64_t i = 0; i < n; i++)
        reset_at_random(suite, i % 2 == 0, &random);
}
