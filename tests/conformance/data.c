/* Bytes arrive: all of them, once, in order. */
#include "cases.h"

#define BULK (64 * MIB)

/* Goal: a conversation in turns, with messages from one byte to more than any buffer, works. */
void case_echo(struct suite *suite)
{
    static const uint64_t sizes[] = {1, 2, 100, 1, 4096, 65536, 1, 3 * MIB, 1};
    struct session session = session_open(suite, PLAIN);

    uint64_t total = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        session_echo(&session, sizes[i]);
        total += sizes[i];
    }
    session_close(&session);
    expect_log_done(suite, total, total);
}

/* Goal: a large transfer to the target is complete and right, and the log tells its size. */
void case_bulk_up(struct suite *suite)
{
    const uint64_t size = suite_scaled(suite, BULK, MIB);
    struct session session = session_open(suite, PLAIN);
    flow_move("client -> target", session.client, session.target, size, FLOW_ENDS);
    session_close(&session);
    expect_log_done(suite, size, 0);
}

/* Goal: a large transfer from the target is complete and right, and the log tells its size. */
void case_bulk_down(struct suite *suite)
{
    const uint64_t size = suite_scaled(suite, BULK, MIB);
    struct session session = session_open(suite, PLAIN);
    flow_move("target -> client", session.target, session.client, size, FLOW_ENDS);
    session_close(&session);
    expect_log_done(suite, 0, size);
}

/* Two flows of a session, ended by half-closes. */
static void make_both(struct session *session, uint64_t size, struct flow flows[2])
{
    flows[0] = flow_make("client -> target", session->client, session->target, size);
    flows[1] = flow_make("target -> client", session->target, session->client, size);
    flows[0].end = flows[1].end = FLOW_ENDS;
}

/* Both directions, each write once the one before has arrived. The session goes on. */
static void move_in_step(struct session *session, uint64_t size, size_t write_max, bool urgent)
{
    struct flow flows[2];
    make_both(session, size, flows);
    for (int i = 0; i < 2; i++) {
        flows[i].write_max = write_max;
        flows[i].lockstep = true;
        flows[i].urgent = urgent;
        flows[i].end = FLOW_STAYS;
    }
    flows_run(flows, 2);
}

/* Goal: the two directions do not disturb each other. */
void case_bulk_both(struct suite *suite)
{
    struct session session = session_open(suite, PLAIN);
    struct flow flows[2];
    make_both(&session, suite_scaled(suite, BULK, MIB), flows);
    flows_run(flows, 2);
    session_close(&session);
}

/* Goal: no boundary between writes matters, wherever it falls. */
void case_random_sizes(struct suite *suite)
{
    struct session session = session_open(suite, PLAIN);
    struct flow flows[2];
    make_both(&session, suite_scaled(suite, 16 * MIB, MIB), flows);
    flows[0].write_random = suite->seed;
    flows[1].write_random = suite->seed ^ 0x5DEECE66D;
    flows_run(flows, 2);
    session_close(&session);
}

/* Goal: single bytes pass, each on its own and as many small writes in a row. */
void case_byte_by_byte(struct suite *suite)
{
    struct session session = session_open(suite, PLAIN);
    struct flow flows[2];
    move_in_step(&session, 500, 1, false);
    make_both(&session, 20000, flows);
    flows[0].write_max = flows[1].write_max = 1;
    flows_run(flows, 2);
    session_close(&session);
}

/* Goal: urgent bytes arrive in their places, and nothing stalls behind them. (A read stops at such
 * a byte, and a splice does not even get over it.) */
void case_urgent(struct suite *suite)
{
    struct session session = session_open(suite, PLAIN);
    struct flow flows[2];
    move_in_step(&session, 20000, 1000, true);
    make_both(&session, suite_scaled(suite, 16 * MIB, MIB), flows);
    for (int i = 0; i < 2; i++) {
        flows[i].write_random = suite->seed + (uint64_t)i;
        flows[i].urgent = true;
    }
    flows_run(flows, 2);
    session_close(&session);
}
