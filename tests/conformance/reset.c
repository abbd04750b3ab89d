/* A connection that breaks is never passed on as one that ended well. */
#include "cases.h"

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
static void expect_broken(const struct suite *suite, const struct roles *roles, long end)
{
    static const char *const words[] = {"forward 'plain'", "broken", NULL};
    if (roles->breaker_family->can_reset && roles->other_family->sees_reset && end == PEER_EOF)
        fail_msg("%s: the reset arrived as a clean end of file", roles->to_other);
    expect_log(suite, words);
}

static void reset_when_quiet(struct suite *suite, bool by_client)
{
    struct session session = session_open(suite, PLAIN);
    struct roles roles = roles_of(suite, &session, by_client);
    if (!roles.breaker_family->can_reset)
        skip_because(suite, "a peer of this family cannot reset a quiet connection");
    session_echo(&session, 1000);

    /* A unix socket tells of a reset only when it is closed with something left to read. */
    struct flow unread = flow_make(roles.to_breaker, roles.other, roles.breaker, 100);
    struct peer_want arrival = {.peer = roles.breaker, .read = true};
    flow_push(&unread, unread.size, PATIENCE_MS);
    assert_int_equal(peers_wait(&arrival, 1, PATIENCE_MS), 1);
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
