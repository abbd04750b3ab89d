/* One direction ends: what was sent before arrives, and the other direction goes on. */
#include "cases.h"

/* The client asks and ends; only then does the target reply. */
static void reply_late(struct suite *suite, uint64_t size)
{
    struct session session = session_open(suite, PLAIN);
    flow_move("client -> target", session.client, session.target, 1000, FLOW_ENDS);
    flow_move("target -> client", session.target, session.client, size, FLOW_ENDS);
    session_close(&session);
}

/* Goal: the client's half-close reaches the target, whose reply still reaches the client. */
void case_late_reply(struct suite *suite)
{
    reply_late(suite, 1);
}

/* Goal: the same when the reply is larger than all buffers. */
void case_late_large_reply(struct suite *suite)
{
    reply_late(suite, suite_scaled(suite, 8 * MIB, MIB));
}

/* Goal: a client that has ended still gets the reply of a target that was not told, however late:
 * not only what comes at once. */
void case_late_reply_untold(struct suite *suite)
{
    struct session session = session_open(suite, PLAIN);
    struct peer_want end = {.peer = session.target, .read = true};

    flow_move("client -> target", session.client, session.target, 1000, FLOW_STAYS);
    peer_end_sending(session.client);
    assert_int_equal(peers_wait(&end, 1, 1000), 0);
    flow_move("target -> client", session.target, session.client, suite_scaled(suite, 8 * MIB, MIB),
              FLOW_CLOSES);
    peer_close(session.client);
    expect_log_done(suite, 1000, suite_scaled(suite, 8 * MIB, MIB));
}

/* Goal: a target that was not told and stays quiet is given up after 30 s, not before. */
void case_quiet_untold(struct suite *suite)
{
    static const char *const words[] = {"forward 'plain'", "is quiet", NULL};
    struct session session = session_open(suite, PLAIN);
    struct peer_want end = {.peer = session.client, .read = true};

    session_echo(&session, 1000);
    peer_end_sending(session.client);
    assert_int_equal(peers_wait(&end, 1, 29000), 0);
    assert_int_equal(peers_wait(&end, 1, PATIENCE_MS), 1);
    expect_gone("target", session.target);
    expect_log(suite, words);
    session_close(&session);
}

/* Goal: the target's half-close reaches the client, and the client can go on sending. */
void case_target_ends_first(struct suite *suite)
{
    struct session session = session_open(suite, PLAIN);
    flow_move("target -> client", session.target, session.client, 1000, FLOW_ENDS);
    flow_move("client -> target", session.client, session.target, suite_scaled(suite, 8 * MIB, MIB),
              FLOW_ENDS);
    session_close(&session);
}

/* Goal: a client that is gone before its target even exists has still delivered everything. */
void case_client_closes_at_once(struct suite *suite)
{
    struct flow flow = flow_make("client -> target", client_open(suite, PLAIN), NULL, 16 * KIB);
    flow.end = FLOW_CLOSES;
    assert_int_equal(flow_push(&flow, flow.size, PATIENCE_MS), flow.size);
    flow.to = target_accept(suite);
    flows_run(&flow, 1);
    peer_close(flow.to);

    struct session session = session_open(suite, PLAIN);
    flow_move("client -> target", session.client, session.target, suite_scaled(suite, 8 * MIB, MIB),
              FLOW_CLOSES);
    peer_close(session.target);
}

/* Goal: a target that is gone has still delivered everything. */
void case_target_closes_at_once(struct suite *suite)
{
    struct session session = session_open(suite, PLAIN);
    flow_move("target -> client", session.target, session.client, suite_scaled(suite, 8 * MIB, MIB),
              FLOW_CLOSES);
    peer_close(session.client);
}
