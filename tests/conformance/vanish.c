/* Clients that are suddenly gone, at each stage of a session. What they held comes back: sockets,
 * and places of max_sessions. (One that vanishes amid the dial is in dial.c, amid a stop in
 * stopping.c.) */
#include "cases.h"

/* In order, as a program that exits, or broken off. */
static void vanish(struct peer *client, bool abort)
{
    if (abort)
        peer_abort(client);
    else
        peer_close(client);
}

/* Goal: clients that vanish while they wait for a place take none. */
void case_vanish_in_line(struct suite *suite)
{
    enum { WAITING = 6 };
    struct session held[LIMIT];
    struct peer *waiting[WAITING];

    for (size_t i = 0; i < LIMIT; i++)
        held[i] = session_open(suite, LIMITED);
    for (size_t i = 0; i < WAITING; i++)
        waiting[i] = client_open(suite, LIMITED);
    for (size_t i = 0; i < WAITING; i++)
        vanish(waiting[i], i % 2 == 0);
    for (size_t i = 0; i < LIMIT; i++) {
        session_echo(&held[i], 100);
        session_close(&held[i]);
    }
    expect_places(suite);
}

static void do_nothing(struct session *session)
{
    (void)session;
}

static void talk(struct session *session)
{
    session_echo(session, MIB);
}

static void push_all(struct peer *from, struct peer *to)
{
    struct flow flow = flow_make("stuck", from, to, 64 * MIB);
    flow_push(&flow, flow.size, 20);
    assert_true(flow.sent < flow.size);
}

static void stick_up(struct session *session)
{
    push_all(session->client, session->target);
}

static void stick_down(struct session *session)
{
    push_all(session->target, session->client);
}

static void end_client(struct session *session)
{
    flow_move("client -> target", session->client, session->target, 1000, FLOW_ENDS);
}

static void end_target(struct session *session)
{
    flow_move("target -> client", session->target, session->client, 1000, FLOW_ENDS);
}

/* Goal: a client that vanishes while it is relayed, stuck, or half-closed gives its place and its
 * sockets back, as soon as its target has ended too. */
void case_vanish_at_work(struct suite *suite)
{
    static void (*const stages[])(struct session *) = {do_nothing, talk,       stick_up,
                                                       stick_down, end_client, end_target};
    const int sockets = descriptors_now(suite).sockets;

    for (size_t i = 0; i < 2 * sizeof stages / sizeof stages[0]; i++) {
        struct session session = session_open(suite, LIMITED);
        stages[i / 2](&session);
        vanish(session.client, i % 2 == 0);
        bystander_works(suite);
        peer_close(session.target);
    }
    expect_settled(suite, sockets);
    expect_places(suite);
}
