/* A new relay beside bulk ones: fake bulk turns stand in line, each of which yields to the sockets.
 */
#include "relay/linux/engine.h"

#include "net/conn.h"
#include "unit.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BULK = 64 };

static struct loop loop;
static struct pumps *pumps;
static struct task bulk[BULK];
static struct conn conns[2];
static int peers[2]; /* the far ends of the two conns */
static int turns;    /* of all bulk tasks */
static int arrived;  /* turns before the byte was there, or -1 */
static bool done;

/* One turn of bulk traffic; it looks whether the new session has had its first run. */
static void on_bulk(struct task *task)
{
    char byte;

    if (arrived < 0 && read(peers[TARGET], &byte, 1) == 1)
        arrived = turns;
    if (++turns > 3 * BULK) {
        loop_stop(&loop);
        return;
    }
    loop_defer(&loop, task);
    loop_yield(&loop);
}

static void on_stop(struct task *task)
{
    (void)task;
    loop_stop(&loop);
}

static void on_early_event(struct conn *conn)
{
    (void)conn;
}

/* One turn of the loop: the sockets' events come while the target is still dialled, and not again.
 */
static void learn(void)
{
    struct task stop;

    conns[CLIENT].ready = conns[TARGET].ready = on_early_event;
    task_init(&stop, on_stop);
    loop_defer(&loop, &stop);
    loop_run(&loop);
    loop.stopping = false;
    assert_true(conns[CLIENT].readable);
}

static void half_closed(void *arg, bool known)
{
    (void)arg;
    (void)known;
}

static void on_done(void *arg, const struct relay_end *end)
{
    (void)arg;
    (void)end;
    done = true;
}

static void open_side(int side)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    conn_init(&conns[side]);
    assert_int_equal(conn_open(&conns[side], &loop, pair[0], pair[0], FAMILY_UNIX), 0);
    peers[side] = pair[1];
}

/* Goal: a new session whose client has sent already need not wait for the turns of those that carry
 * bulk. */
static void a_new_relay_goes_ahead_of_bulk(void **state)
{
    static const struct relay_owner owner = {half_closed, on_done};
    struct relay_plan plan = {.client = &conns[CLIENT], .target = &conns[TARGET], .owner = &owner};
    struct relay *relay;
    struct err err;

    (void)state;
    assert_ok(loop_init(&loop, &err));
    assert_ok(pumps_create(&loop, &pumps, &err));
    open_side(CLIENT);
    open_side(TARGET);
    assert_int_equal(write(peers[CLIENT], "x", 1), 1);
    learn();
    arrived = -1;
    for (int i = 0; i < BULK; i++) {
        task_init(&bulk[i], on_bulk);
        loop_defer(&loop, &bulk[i]);
    }
    relay = relay_start(pumps, &plan, &err);
    assert_non_null(relay);
    loop_run(&loop);
    assert_in_range(arrived, 0, 1);
    err_set(&err, 0, "the test is over");
    relay_abort(relay, &err);
    assert_true(done);
    close(peers[CLIENT]);
    close(peers[TARGET]);
    pumps_destroy(pumps);
    assert_int_equal(loop_destroy(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_new_relay_goes_ahead_of_bulk)};

    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
