#include "flow_rig.h"

#include "../lib/clock.h"
#include "../lib/pattern.h"
#include "unit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STREAM = 1, PIECE = 1 << 16 };

static void open_tcp_pair(int pair[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct sockaddr *sa = (struct sockaddr *)&address;
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, sa, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, sa, &length), 0);
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(pair[0], sa, length), 0);
    pair[1] = accept(listener, NULL, NULL);
    assert_true(pair[1] >= 0);
    close(listener);
}

static void open_pair(enum rig_kind kind, int pair[2])
{
    if (kind == RIG_TCP)
        open_tcp_pair(pair);
    else
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
}

static void open_loop(struct rig *rig)
{
    struct err err;

    *rig = (struct rig){.source = -1, .sink = -1};
    assert_ok(loop_init(&rig->loop, &err));
    assert_ok(pumps_create(&rig->loop, &rig->pumps, &err));
    conn_init(&rig->from);
    conn_init(&rig->to);
}

void rig_open(struct rig *rig, enum rig_kind kind, enum pump pump)
{
    enum family family = kind == RIG_TCP ? FAMILY_TCP : FAMILY_UNIX;
    int in[2], out[2];

    open_loop(rig);
    open_pair(kind, in);
    open_pair(kind, out);
    rig->source = in[0];
    rig->sink = out[1];
    assert_int_equal(conn_open(&rig->from, &rig->loop, in[1], in[1], family), 0);
    assert_int_equal(conn_open(&rig->to, &rig->loop, out[0], out[0], family), 0);
    flow_init(&rig->flow, &rig->from, &rig->to, pump, &rig->delivered);
}

void rig_open_files(struct rig *rig, int source, int sink, enum pump pump)
{
    open_loop(rig);
    assert_int_equal(conn_open(&rig->from, &rig->loop, source, source, FAMILY_STDIO), 0);
    assert_int_equal(conn_open(&rig->to, &rig->loop, sink, sink, FAMILY_STDIO), 0);
    flow_init(&rig->flow, &rig->from, &rig->to, pump, &rig->delivered);
}

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void rig_close(struct rig *rig)
{
    close_end(&rig->source);
    close_end(&rig->sink);
    flow_close(&rig->flow, rig->pumps);
    conn_close(&rig->from, CONN_CLOSE);
    conn_close(&rig->to, CONN_CLOSE);
    pumps_destroy(rig->pumps);
    assert_int_equal(loop_destroy(&rig->loop), 0);
}

struct stop {
    struct task task;
    struct loop *loop;
};

static void on_stop(struct task *task)
{
    loop_stop(list_entry(task, struct stop, task)->loop);
}

static void turn(struct loop *loop)
{
    struct stop stop = {.loop = loop};

    task_init(&stop.task, on_stop);
    loop_defer(loop, &stop.task); /* a loop with a task does not wait for events */
    loop->stopping = false;
    loop_run(loop);
}

enum flow_state rig_run(struct rig *rig)
{
    turn(&rig->loop);
    return flow_run(&rig->flow, rig->pumps, &rig->fault);
}

void rig_run_until(struct rig *rig, enum flow_state state)
{
    uint64_t deadline = clock_ms() + PATIENCE_MS;

    for (;;) {
        enum flow_state now = rig_run(rig);

        if (now == state)
            return;
        if (now == FLOW_BROKEN)
            fail_msg("broken: error %d", rig->fault.error);
        if (clock_left_ms(deadline) == 0)
            fail_msg("the flow does not get to state %d", state);
    }
}

size_t rig_feed(struct rig *rig, size_t length)
{
    static unsigned char piece[PIECE];
    size_t fed = 0;

    while (fed < length) {
        size_t size = length - fed < PIECE ? length - fed : PIECE;
        ssize_t count;

        pattern_fill(STREAM, rig->fed, piece, size);
        count = send(rig->source, piece, size, MSG_NOSIGNAL);
        if (count < 0)
            break;
        fed += (size_t)count;
        rig->fed += (uint64_t)count;
    }
    return fed;
}

ssize_t rig_take(struct rig *rig, size_t length)
{
    static unsigned char piece[PIECE];
    size_t taken = 0;

    while (taken < length) {
        size_t size = length - taken < PIECE ? length - taken : PIECE;
        ssize_t count = recv(rig->sink, piece, size, 0);

        if (count <= 0)
            return taken > 0 ? (ssize_t)taken : count;
        assert_int_equal(pattern_check(STREAM, rig->taken, piece, (size_t)count), count);
        taken += (size_t)count;
        rig->taken += (uint64_t)count;
    }
    return (ssize_t)taken;
}

/* Loopback TCP hands over a little later: idle is what stays so for some turns. */
void rig_stuff(struct rig *rig)
{
    struct pollfd source = {.fd = rig->source, .events = POLLOUT};
    uint64_t deadline = clock_ms() + PATIENCE_MS;

    do {
        assert_true(clock_left_ms(deadline) > 0);
        rig_feed(rig, PIECE);
        assert_int_not_equal(rig_run(rig), FLOW_BROKEN);
    } while (poll(&source, 1, 50) == 1 || flow_pending(&rig->flow) == 0);
}

void rig_take_until(struct rig *rig, uint64_t total)
{
    uint64_t deadline = clock_ms() + PATIENCE_MS;

    while (rig->taken < total) {
        if (rig_run(rig) == FLOW_BROKEN)
            fail_msg("broken: error %d", rig->fault.error);
        rig_take(rig, (size_t)(total - rig->taken));
        if (clock_left_ms(deadline) == 0)
            fail_msg("only %d of %d bytes arrive", (int)rig->taken, (int)total);
    }
}

void rig_end_source(struct rig *rig)
{
    assert_int_equal(shutdown(rig->source, SHUT_WR), 0);
}

void rig_close_sink(struct rig *rig)
{
    close_end(&rig->sink);
}

void rig_reset_source(struct rig *rig)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};

    setsockopt(rig->source, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close_end(&rig->source);
}
