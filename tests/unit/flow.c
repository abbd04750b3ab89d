/* One direction of a relay: order, EOF, bounds and failures, by every path and pair of sockets. */
#include "flow_rig.h"

#include "../lib/clock.h"
#include "net/descriptors.h"
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* How one test runs. */
struct way {
    const char *name;
    enum rig_kind kind;
    enum pump pump;
};

static const struct way ways[] = {
    {"copy, unix", RIG_UNIX, PUMP_COPY},     {"copy, tcp", RIG_TCP, PUMP_COPY},
    {"splice, unix", RIG_UNIX, PUMP_SPLICE}, {"splice, tcp", RIG_TCP, PUMP_SPLICE},
    {"auto, unix", RIG_UNIX, PUMP_AUTO},     {"auto, tcp", RIG_TCP, PUMP_AUTO},
};

static struct rig rig;

/* The most that a direction may hold: a pipe, or a buffer. */
enum { MOST_HELD = 1 << 20 };

/* Goal: every byte in its order, then EOF, and it is counted right. */
static void all_arrives_and_then_the_end(const struct way *way)
{
    const uint64_t total = 8 << 20;
    char byte;

    (void)way;
    while (rig.fed < total) {
        rig_feed(&rig, (size_t)(total - rig.fed < 100000 ? total - rig.fed : 100000));
        assert_int_not_equal(rig_run(&rig), FLOW_BROKEN);
        rig_take(&rig, 70000);
    }
    rig_end_source(&rig);
    rig_take_until(&rig, total);
    rig_run_until(&rig, FLOW_ENDED);
    assert_int_equal(rig_run(&rig), FLOW_ENDED); /* and stays so */
    assert_int_equal(rig.delivered, total);
    assert_int_equal(flow_pending(&rig.flow), 0);
    while (rig_take(&rig, 1) == -1)
        assert_int_equal(errno, EAGAIN);
    assert_int_equal(read(rig.sink, &byte, 1), 0);
}

/* Goal: a receiver that stalls stops the sender; what is held is bounded and nothing of it lost. */
static void a_stalled_receiver_stops_the_sender(const struct way *way)
{
    (void)way;
    rig_stuff(&rig);
    assert_in_range(flow_pending(&rig.flow), 1, MOST_HELD);
    assert_int_equal(rig_run(&rig), FLOW_WAITS);
    rig_take_until(&rig, rig.fed);
    assert_int_equal(rig.delivered, rig.fed);
    assert_int_equal(flow_pending(&rig.flow), 0);
}

/* Goal: EOF overtakes nothing. */
static void the_end_waits_for_what_is_held(const struct way *way)
{
    (void)way;
    rig_stuff(&rig);
    rig_end_source(&rig);
    assert_int_equal(rig_run(&rig), FLOW_WAITS);
    rig_take_until(&rig, rig.fed);
    rig_run_until(&rig, FLOW_ENDED);
    while (rig_take(&rig, 1) == -1)
        assert_int_equal(errno, EAGAIN);
    assert_int_equal(rig.taken, rig.fed);
}

/* What the source has sent and the flow has not read. */
static uint64_t count_unread(void)
{
    static char bytes[1 << 16];
    uint64_t unread = 0;
    ssize_t count;

    while ((count = recv(rig.from.rfd, bytes, sizeof bytes, 0)) > 0)
        unread += (uint64_t)count;
    return unread;
}

/* Goal: what was read for a receiver that is gone is counted: it is lost. */
static void a_receiver_that_is_gone(const struct way *way)
{
    uint64_t lost;

    (void)way;
    rig_close_sink(&rig);
    do
        rig_feed(&rig, 5000);
    while (rig_run(&rig) != FLOW_BROKEN); /* TCP takes one write before it learns */
    assert_ptr_equal(rig.fault.side, &rig.to);
    assert_true(rig.fault.error == -EPIPE || rig.fault.error == -ECONNRESET);
    lost = rig.fed - count_unread() - rig.delivered;
    assert_true(lost > 0);
    assert_int_equal(flow_pending(&rig.flow), lost);
}

/* Goal: what came before a reset is delivered, and the reset is not taken for an end. */
static void a_source_that_is_reset(const struct way *way)
{
    if (way->kind != RIG_TCP)
        return; /* unix sockets have no reset */
    rig_feed(&rig, 5000);
    rig_take_until(&rig, 5000);
    rig_reset_source(&rig);
    rig_run_until(&rig, FLOW_BROKEN);
    assert_ptr_equal(rig.fault.side, &rig.from);
    assert_int_equal(rig.fault.error, -ECONNRESET);
    assert_int_equal(rig_take(&rig, 1), -1);
    assert_int_equal(errno, EAGAIN);
}

/* Loopback TCP hands over a little later, and a busy machine later still. */
static void take_until_there_is_room(void)
{
    struct pollfd to = {.fd = rig.to.wfd, .events = POLLOUT};
    uint64_t deadline = clock_ms() + PATIENCE_MS;

    do {
        rig_take(&rig, SIZE_MAX);
        assert_true(clock_left_ms(deadline) > 0);
    } while (poll(&to, 1, 1) == 0);
}

static void take_what_was_delivered(void)
{
    uint64_t deadline = clock_ms() + PATIENCE_MS;

    while (rig.taken < rig.delivered) {
        rig_take(&rig, SIZE_MAX);
        assert_true(clock_left_ms(deadline) > 0);
    }
}

/* Goal: the last effort delivers what fits, and passes on no end, for there was none. */
static void draining(const struct way *way)
{
    uint64_t delivered;

    (void)way;
    rig_stuff(&rig);
    delivered = rig.delivered;
    rig_end_source(&rig);
    take_until_there_is_room();
    assert_true(rig.taken > 0);
    flow_drain(&rig.flow, rig.pumps);
    assert_true(rig.delivered > delivered); /* and more may be held then than before */
    take_what_was_delivered();
    assert_int_equal(rig_take(&rig, 1), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(rig.taken, rig.delivered);
    assert_false(rig.flow.ended);
}

/* Goal: with no pipe to be had, splice copies. */
static void without_a_pipe(const struct way *way)
{
    int all = descriptors_total();

    if (way->pump == PUMP_COPY)
        return;
    assert_true(descriptors_take(all, 0));
    all_arrives_and_then_the_end(way);
    assert_int_equal(rig.pumps->pool.open, 0);
    descriptors_give(all);
}

struct test {
    void (*run)(const struct way *way);
};

static void every_way(void **state)
{
    const struct test *test = *state;

    for (size_t i = 0; i < LENGTH(ways); i++) {
        print_message("    %s\n", ways[i].name);
        rig_open(&rig, ways[i].kind, ways[i].pump);
        test->run(&ways[i]);
        rig_close(&rig);
    }
}

#define EVERY_WAY(function)                                                                        \
    {                                                                                              \
        .name = #function, .test_func = every_way, .initial_state = &(struct test)                 \
        {                                                                                          \
            function                                                                               \
        }                                                                                          \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        EVERY_WAY(all_arrives_and_then_the_end),
        EVERY_WAY(a_stalled_receiver_stops_the_sender),
        EVERY_WAY(the_end_waits_for_what_is_held),
        EVERY_WAY(a_receiver_that_is_gone),
        EVERY_WAY(a_source_that_is_reset),
        EVERY_WAY(draining),
        EVERY_WAY(without_a_pipe),
    };

    descriptors_raise();
    descriptors_count();
    signal(SIGPIPE, SIG_IGN); /* as the program does: splice raises it */
    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
