/* One side is slower than the other. */
#include "cases.h"

#include <inttypes.h>

/* What may be under way when the receiver does not read: the buffers of four sockets and of the
 * relay. A relay that goes on reading takes all of TOO_MUCH. */
#define TOO_MUCH     (256 * MIB)
#define ACCEPT_MAX   (16 * MIB)
#define RESIDENT_MAX (16 * RESIDENT_FACTOR * MIB)

static void push_against_rest(struct suite *suite, const char *name, struct peer *from,
                              struct peer *to)
{
    struct flow flow = flow_make(name, from, to, TOO_MUCH);
    size_t before = resident_now(suite);
    uint64_t accepted = flow_push(&flow, ACCEPT_MAX, 200);
    size_t after = resident_now(suite);
    bystander_works(suite);

    if (accepted >= ACCEPT_MAX)
        fail_msg("%s: %" PRIu64 " bytes were taken from the sender while nobody read", name,
                 accepted);
    if (after > before + RESIDENT_MAX)
        fail_msg("%s: the relay grew by %zu KiB for one slow receiver", name,
                 (after - before) / 1024);
    flow.size = flow.sent + 8 * MIB;
    flow.end = FLOW_ENDS;
    flows_run(&flow, 1);
}

/* Goal: a target that does not read holds the client back, and gets all once it reads. */
void case_slow_target(struct suite *suite)
{
    struct session session = session_open(suite, BUFFERED);
    push_against_rest(suite, "client -> target", session.client, session.target);
    session_close(&session);
}

/* Goal: a client that does not read holds the target back, and gets all once it reads. */
void case_slow_client(struct suite *suite)
{
    struct session session = session_open(suite, BUFFERED);
    push_against_rest(suite, "target -> client", session.target, session.client);
    session_close(&session);
}

/* Goal: both ends send all they can and read little, and seldom: each is held back by the other's
 * slowness, neither direction waits for the other, memory stays bounded, and all arrives. */
void case_slow_both(struct suite *suite)
{
    struct session session = session_open(suite, BUFFERED);
    struct flow flows[2] = {
        flow_make("client -> target", session.client, session.target, TOO_MUCH),
        flow_make("target -> client", session.target, session.client, TOO_MUCH),
    };
    size_t before = resident_now(suite);

    for (int turn = 0; turn < 50; turn++) {
        for (int i = 0; i < 2; i++) {
            flow_push(&flows[i], ACCEPT_MAX, 2);
            flow_take(&flows[i], turn % 2 == i ? 100 : 64 * KIB);
        }
    }
    for (int i = 0; i < 2; i++) {
        if (flows[i].sent >= ACCEPT_MAX)
            fail_msg("%s: all was taken from a sender whose peer hardly reads", flows[i].name);
        flows[i].size = flows[i].sent + MIB;
        flows[i].end = FLOW_ENDS;
    }
    if (resident_now(suite) > before + 2 * RESIDENT_MAX)
        fail_msg("the relay grew by %zu KiB for two slow receivers",
                 (resident_now(suite) - before) / 1024);
    bystander_works(suite);
    flows_run(flows, 2);
    session_close(&session);
}

/* Goal: a peer that writes byte by byte, thousands of them, while the other sleeps: not one is lost
 * or turned around, asleep for longer or shorter, in both directions. */
void case_bytes_while_asleep(struct suite *suite)
{
    struct session session = session_open(suite, BUFFERED);
    struct flow flows[2] = {
        flow_make("client -> target", session.client, session.target, 0),
        flow_make("target -> client", session.target, session.client, 0),
    };
    flows[0].write_max = flows[1].write_max = 1;
    for (uint64_t turn = 1; turn <= 8; turn++) {
        for (int i = 0; i < 2; i++) {
            flow_extend(&flows[i], suite_scaled(suite, 1000, 100) * turn);
            flow_push(&flows[i], flows[i].size, 5 * turn);
        }
        for (int i = 0; i < 2; i++)
            flow_take(&flows[i], (size_t)(300 * turn));
    }
    flows_run(flows, 2);
    session_close(&session);
}

/* Goal: while one session moves all it can, another still gets its answers. */
void case_idle_beside_bulk(struct suite *suite)
{
    struct session bulk = session_open(suite, PLAIN), idle = session_open(suite, PLAIN);
    struct flow flows[3] = {
        flow_make("client -> target (bulk)", bulk.client, bulk.target, UINT64_C(1) << 40),
        flow_make("target -> client (bulk)", bulk.target, bulk.client, UINT64_C(1) << 40),
    };
    flows[0].background = flows[1].background = true;

    for (int i = 0; i < 20 || flows[0].received < 4 * MIB || flows[1].received < 4 * MIB; i++) {
        flows[2] = flow_make("client -> target (idle)", idle.client, idle.target, 100);
        flows_run(flows, 3);
        flows[2] = flow_make("target -> client (idle)", idle.target, idle.client, 100);
        flows_run(flows, 3);
    }
    session_close(&bulk);
    session_close(&idle);
}
