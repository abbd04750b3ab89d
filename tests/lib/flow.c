#include "flow.h"

#include "check.h"
#include "clock.h"
#include "pattern.h"
#include "random.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static unsigned char buffer[FLOW_WRITE_MAX];

struct flow flow_make(const char *name, struct peer *from, struct peer *to, uint64_t size)
{
    static uint32_t streams;
    struct flow flow = {.name = name, .from = from, .to = to, .size = size};
    flow.write_max = FLOW_WRITE_MAX;
    flow.stream = streams++ % (PATTERN_STREAMS - 1) + 1;
    return flow;
}

static void check_arrived(const struct flow *flow, const unsigned char *got, size_t len)
{
    size_t right = pattern_check(flow->stream, flow->received, got, len);
    if (right == len)
        return;

    uint64_t at = flow->received + right, source;
    unsigned char want;
    uint32_t stream;
    char where[120] = "";
    pattern_fill(flow->stream, at, &want, 1);
    if (pattern_locate(got + right, len - right, &stream, &source)) {
        if (stream != flow->stream)
            snprintf(where, sizeof where,
                     "; these are bytes of another stream (its offset %" PRIu64 ")", source);
        else if (source > at)
            snprintf(where, sizeof where, "; %" PRIu64 " bytes are missing", source - at);
        else
            snprintf(where, sizeof where, "; the bytes from offset %" PRIu64 " come again", source);
    }
    fail_msg("%s: wrong byte at offset %" PRIu64 ": expected 0x%02x, got 0x%02x%s", flow->name, at,
             want, got[right], where);
}

static void finish_sending(struct flow *flow)
{
    flow->sender_done = true;
    if (flow->end == FLOW_ENDS) {
        peer_end_sending(flow->from);
    } else if (flow->end == FLOW_CLOSES) {
        peer_close(flow->from);
        flow->from = NULL;
    }
}

/* One write; returns whether it moved something. */
static bool send_some(struct flow *flow)
{
    uint64_t len = flow->write_max;
    if (flow->write_random != 0)
        len = random_next(&flow->write_random) % flow->write_max + 1;
    if (len > flow->size - flow->sent)
        len = flow->size - flow->sent;

    if (len > 0) {
        pattern_fill(flow->stream, flow->sent, buffer, (size_t)len);
        long n = flow->urgent ? peer_send_urgent(flow->from, buffer, (size_t)len)
                              : peer_send(flow->from, buffer, (size_t)len);
        if (n == PEER_RESET)
            fail_msg("%s: the sender's connection broke after %" PRIu64 " of %" PRIu64 " bytes",
                     flow->name, flow->sent, flow->size);
        if (n == PEER_LATER)
            return false;
        flow->sent += (uint64_t)n;
    }
    if (flow->sent == flow->size)
        finish_sending(flow);
    return true;
}

static void receive_end(struct flow *flow, long end)
{
    const char *how = end == PEER_EOF ? "an end of file" : "a reset";
    if (flow->received < flow->size)
        fail_msg("%s: %s after %" PRIu64 " of %" PRIu64 " bytes (%" PRIu64 " were sent)",
                 flow->name, how, flow->received, flow->size, flow->sent);
    if (end == PEER_RESET)
        fail_msg("%s: all %" PRIu64 " bytes came, then a reset instead of an end of file",
                 flow->name, flow->size);
    flow->receiver_done = true;
}

/* One read of at most `most` bytes; returns whether it moved something. */
static bool receive_some(struct flow *flow, size_t most)
{
    long n = peer_recv(flow->to, buffer, most < sizeof buffer ? most : sizeof buffer);
    if (n == PEER_LATER)
        return false;
    if (n < 0) {
        receive_end(flow, n);
        return true;
    }
    if ((uint64_t)n > flow->sent - flow->received)
        fail_msg("%s: %" PRIu64 " bytes were sent, %" PRIu64 " came", flow->name, flow->sent,
                 flow->received + (uint64_t)n);
    check_arrived(flow, buffer, (size_t)n);
    flow->received += (uint64_t)n;
    if (flow->received == flow->size && flow->end == FLOW_STAYS)
        flow->receiver_done = true;
    return true;
}

static bool wants_to_send(const struct flow *flow)
{
    return !flow->sender_done && !(flow->lockstep && flow->sent > flow->received);
}

static void fail_stalled(const struct flow *flows, size_t n)
{
    size_t stuck = 0;
    const struct flow *first = NULL;
    for (size_t i = 0; i < n; i++) {
        if (flows[i].receiver_done || flows[i].background)
            continue;
        if (stuck++ == 0)
            first = &flows[i];
    }
    if (first == NULL)
        fail_msg("nothing moved");
    else
        fail_msg("%s: nothing moved for %d s: sent %" PRIu64 ", received %" PRIu64 " of %" PRIu64
                 " bytes%s (%zu of %zu flows are stuck)",
                 first->name, PATIENCE_MS / 1000, first->sent, first->received, first->size,
                 first->received == first->size ? ", no end of file" : "", stuck, n);
}

static bool any_awaited(const struct flow *flows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!flows[i].background && !flows[i].receiver_done)
            return true;
    return false;
}

/* Waits until some flow can move. Wants 2i and 2i + 1 are the sender and the receiver of flow i. */
static void wait_for_any(const struct flow *flows, size_t n, struct peer_want *wants,
                         uint64_t deadline)
{
    for (size_t i = 0; i < n; i++) {
        const struct flow *flow = &flows[i];
        wants[2 * i] = (struct peer_want){.peer = flow->from, .write = wants_to_send(flow)};
        wants[2 * i + 1] = (struct peer_want){.peer = flow->to, .read = !flow->receiver_done};
    }
    if (peers_wait(wants, 2 * n, clock_left_ms(deadline)) == 0)
        fail_stalled(flows, n);
}

void flows_run(struct flow *flows, size_t n)
{
    static struct peer_want wants[2 * FLOWS_MAX];
    uint64_t deadline = clock_ms() + PATIENCE_MS;

    assert_in_range(n, 1, FLOWS_MAX);
    while (any_awaited(flows, n)) {
        wait_for_any(flows, n, wants, deadline);
        bool moved = false;
        for (size_t i = 0; i < n; i++) {
            if (wants[2 * i].can_write && send_some(&flows[i]))
                moved |= !flows[i].background;
            if (wants[2 * i + 1].can_read && receive_some(&flows[i], sizeof buffer))
                moved |= !flows[i].background;
        }
        if (moved)
            deadline = clock_ms() + PATIENCE_MS;
    }
}

uint64_t flow_push(struct flow *flow, uint64_t limit, uint64_t quiet_ms)
{
    struct peer_want want = {.peer = flow->from, .write = true};
    while (flow->sent < limit && !flow->sender_done && peers_wait(&want, 1, quiet_ms) > 0)
        send_some(flow);
    return flow->sent;
}

uint64_t flow_take(struct flow *flow, size_t most)
{
    if (!flow->receiver_done)
        receive_some(flow, most);
    return flow->received;
}

void flow_move(const char *name, struct peer *from, struct peer *to, uint64_t size,
               enum flow_end end)
{
    struct flow flow = flow_make(name, from, to, size);
    flow.end = end;
    flows_run(&flow, 1);
}

void flow_extend(struct flow *flow, uint64_t more)
{
    flow->size += more;
    flow->sender_done = flow->receiver_done = false;
}

long flow_drain(struct flow *flow)
{
    struct peer_want want = {.peer = flow->to, .read = true};
    for (;;) {
        if (peers_wait(&want, 1, PATIENCE_MS) == 0)
            fail_msg("%s: the connection has not ended %d s after %" PRIu64 " bytes", flow->name,
                     PATIENCE_MS / 1000, flow->received);
        long n = peer_recv(flow->to, buffer, sizeof buffer);
        if (n == PEER_EOF || n == PEER_RESET)
            return n;
        check_arrived(flow, buffer, (size_t)n);
        flow->received += (uint64_t)n;
    }
}
