/* Many sessions. */
#include "cases.h"

#define MANY 500

static void open_clients(struct suite *suite, enum forward forward, struct session *sessions,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sessions[i] = (struct session){client_open(suite, forward), NULL};
        client_introduce(sessions[i].client, (unsigned)i);
    }
}

/* Takes the next target and gives it to the client that it belongs to; the relay may serve them in
 * any order. */
static struct session *take_target(struct suite *suite, struct session *sessions, size_t n)
{
    struct peer *target = target_accept(suite);
    unsigned number = target_introduced(target);
    assert_in_range(number, 0, n - 1);
    if (sessions[number].target != NULL)
        fail_msg("client %u reached the target twice", number);
    sessions[number].target = target;
    return &sessions[number];
}

/* Opens `n` sessions, all clients first. */
static void open_many(struct suite *suite, struct session *sessions, size_t n)
{
    open_clients(suite, PLAIN, sessions, n);
    for (size_t i = 0; i < n; i++)
        take_target(suite, sessions, n);
}

/* Moves `size` bytes both ways in all sessions at the same time. */
static void exchange_many(struct session *sessions, size_t n, uint64_t size)
{
    static struct flow flows[2 * MANY];
    for (size_t i = 0; i < n; i++) {
        struct session *s = &sessions[i];
        flows[2 * i] = flow_make("client -> target", s->client, s->target, size);
        flows[2 * i + 1] = flow_make("target -> client", s->target, s->client, size);
    }
    flows_run(flows, 2 * n);
}

static void close_many(struct session *sessions, size_t n)
{
    for (size_t i = 0; i < n; i++)
        session_close(&sessions[i]);
}

/* Goal: hundreds of sessions are open together, each with its own bytes. */
void case_many_at_once(struct suite *suite)
{
    static struct session sessions[MANY];
    const size_t n = (size_t)suite_scaled(suite, MANY, 50);
    const int sockets = descriptors_now(suite).sockets;

    if (os_descriptor_limit() < 2 * n + 50)
        fail_msg("%zu sessions need %zu descriptors, the limit is %zu", n, 2 * n + 50,
                 os_descriptor_limit());
    open_many(suite, sessions, n);
    exchange_many(sessions, n, 64 * KIB);
    expect_sockets(suite, sockets + 2 * (int)n);
    close_many(sessions, n);
}

/* Goal: max_sessions clients are served, not one more or less; the others wait and get their turn.
 */
void case_limit(struct suite *suite)
{
    enum { CLIENTS = LIMIT + 3 };
    struct session sessions[CLIENTS], *served[CLIENTS];

    open_clients(suite, LIMITED, sessions, CLIENTS);
    for (size_t turn = 0; turn < CLIENTS; turn++) {
        if (turn >= LIMIT) {
            expect_no_target(suite);
            session_close(served[turn - LIMIT]);
        }
        served[turn] = take_target(suite, sessions, CLIENTS);
        session_echo(served[turn], 100);
    }
    for (size_t turn = CLIENTS - LIMIT; turn < CLIENTS; turn++)
        session_close(served[turn]);
}

/* Goal: thousands of short sessions, some of them broken off, leave no descriptor behind. */
void case_many_in_turn(struct suite *suite)
{
    const uint64_t n = suite_scaled(suite, 2000, 200);
    for (uint64_t i = 0; i < n; i++) {
        struct session session = session_open(suite, PLAIN);
        flow_move("client -> target", session.client, session.target, 100, FLOW_ENDS);
        if (i % 10 == 0) {
            peer_abort(session.client);
            session.client = NULL;
        } else {
            flow_move("target -> client", session.target, session.client, 100, FLOW_ENDS);
        }
        session_close(&session);
        if (i % 100 == 0)
            bystander_works(suite);
    }
}

/* The relay keeps far fewer pipes ready than the idle sessions here have directions. The last ones
 * go back a moment after the last byte has arrived. */
static void expect_pooled_pipes_only(struct suite *suite)
{
    const int most = pipes_at_rest(suite);
    uint64_t deadline = clock_ms() + PATIENCE_MS;
    int pipes = descriptors_now(suite).pipes;
    for (; pipes > most && clock_left_ms(deadline) > 0; pipes = descriptors_now(suite).pipes)
        clock_pause(1);
    if (pipes > most)
        fail_msg("the relay keeps %d pipe descriptors while all its sessions are idle", pipes);
}

/* Goal: a session that moved much and then fell idle holds its two sockets and nothing else. */
void case_cost_of_idle(struct suite *suite)
{
    enum { N = 100 };
    static struct session sessions[N];
    const int sockets = descriptors_now(suite).sockets;

    open_many(suite, sessions, N);
    exchange_many(sessions, N, 512 * KIB);
    expect_pooled_pipes_only(suite);
    struct os_descriptors idle = descriptors_now(suite);
    close_many(sessions, N);
    expect_sockets(suite, sockets);
    struct os_descriptors none = descriptors_now(suite);

    assert_int_equal(idle.sockets - none.sockets, 2 * N);
    assert_int_equal(idle.others, none.others);
}
