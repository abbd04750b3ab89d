/* The race of a target's addresses: what starts when, what becomes of those that lose, and whose
 * descriptors they use. The attempts are the test's own; time is real, and only its order counts.
 */
#include "net/race.h"

#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

/* The linker puts these in the place of the real ones. */
void __wrap_connector_start(struct connector *connector, struct loop *loop,
                            const struct address *address, const struct sock_options *options,
                            uint64_t timeout, struct conn *conn, connector_done *done);
int __wrap_connector_cancel(struct connector *connector);
int __wrap_conn_move(struct conn *to, struct conn *from);
bool __wrap_descriptors_take(int count, int leave);
void __wrap_descriptors_give(int count);

static struct attempt {
    struct connector *connector;
    struct conn *conn;
    uint64_t started;
    int number; /* the last byte of its address */
    bool cancelled;
} attempts[16];
static int started, spare, taken, rooms;
static struct conn *moved;

struct rig {
    struct loop loop;
    struct race race;
    struct dial_plan plan;
    struct conn conn;
    atomic_uint_least64_t last_good;
    struct timer end; /* runs the loop for a while */
    int done, status;
};

void __wrap_connector_start(struct connector *connector, struct loop *loop,
                            const struct address *address, const struct sock_options *options,
                            uint64_t timeout, struct conn *conn, connector_done *done)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&address->sa;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&address->sa;

    (void)options;
    (void)timeout;
    connector->done = done;
    attempts[started++] = (struct attempt){
        .connector = connector,
        .conn = conn,
        .started = uv_now(&loop->uv),
        .number = address->sa.ss_family == AF_INET ? (int)(ntohl(v4->sin_addr.s_addr) & 0xff)
                                                   : v6->sin6_addr.s6_addr[15],
    };
}

static struct attempt *attempt_of(const struct connector *connector)
{
    for (int i = started; i-- > 0;) {
        if (attempts[i].connector == connector)
            return &attempts[i];
    }
    return NULL;
}

int __wrap_connector_cancel(struct connector *connector)
{
    attempt_of(connector)->cancelled = true;
    return 0;
}

int __wrap_conn_move(struct conn *to, struct conn *from)
{
    (void)to;
    moved = from;
    return 0;
}

bool __wrap_descriptors_take(int count, int leave)
{
    (void)leave;
    if (taken + count > spare)
        return false;
    taken += count;
    return true;
}

void __wrap_descriptors_give(int count)
{
    taken -= count;
}

static void on_room(void *arg)
{
    assert_ptr_equal(arg, &rooms);
    rooms++;
}

static void on_done(struct race *race, int status)
{
    struct rig *rig = list_entry(race, struct rig, race);

    rig->done++;
    rig->status = status;
    loop_stop(&rig->loop);
}

static void on_end(struct timer *timer)
{
    loop_stop(&list_entry(timer, struct rig, end)->loop);
}

/* Lets the loop run for so many ms, or until the race is over. */
static void run(struct rig *rig, uint64_t length)
{
    timer_set(&rig->loop.timers, &rig->end, length);
    rig->loop.stopping = false;
    loop_run(&rig->loop);
    timer_clear(&rig->loop.timers, &rig->end);
}

static void answer(int index, int status)
{
    attempts[index].connector->done(attempts[index].connector, status);
}

static void add(struct rig *rig, const char *text)
{
    struct address *address = &rig->race.addresses[rig->race.count++];

    *address = (struct address){.family = FAMILY_TCP, .length = sizeof(struct sockaddr_in)};
    if (uv_ip4_addr(text, 80, (struct sockaddr_in *)(void *)&address->sa) == 0)
        return;
    address->length = sizeof(struct sockaddr_in6);
    assert_int_equal(uv_ip6_addr(text, 80, (struct sockaddr_in6 *)(void *)&address->sa), 0);
}

static void start(struct rig *rig, uint64_t timeout)
{
    started = 0;
    rig->done = 0;
    uv_update_time(&rig->loop.uv);
    rig->plan.timeout = timeout;
    rig->race.deadline = uv_now(&rig->loop.uv) + timeout;
    race_start(&rig->race, &rig->loop, &rig->plan, &rig->conn, on_done);
}

static void expect_order(const char *numbers)
{
    char text[64] = "";
    size_t length = 0;

    for (int i = 0; i < started; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%d ", attempts[i].number);
    assert_string_equal(text, numbers);
}

static int begin(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct err err;

    assert_ok(loop_init(&rig->loop, &err));
    rig->plan = (struct dial_plan){.last_good = &rig->last_good, .room = on_room, .arg = &rooms};
    timer_init(&rig->end, on_end);
    conn_init(&rig->conn);
    spare = 16;
    taken = rooms = 0;
    moved = NULL;
    *state = rig;
    return 0;
}

static int finish(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(taken, 0);
    assert_int_equal(rig->loop.timers.count, 0);
    assert_int_equal(loop_destroy(&rig->loop), 0);
    free(rig);
    return 0;
}

static void families_take_turns(void **state)
{
    struct rig *rig = *state;

    add(rig, "::1");
    add(rig, "::2");
    add(rig, "::3");
    add(rig, "10.0.0.4");
    add(rig, "10.0.0.5");
    start(rig, 10000);
    for (int i = 0; i < 4; i++)
        answer(i, UV_ECONNREFUSED); /* each starts the next at once */
    expect_order("1 4 2 5 3 ");
    assert_int_equal(rig->done, 0);
    answer(4, UV_EHOSTUNREACH);
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->status, UV_EHOSTUNREACH);
    assert_int_equal(rig->race.failed, 4);
}

static void the_next_starts_after_a_delay(void **state)
{
    struct rig *rig = *state;

    add(rig, "10.0.0.1");
    add(rig, "10.0.0.2");
    start(rig, 10000);
    run(rig, RACE_DELAY + 100);
    expect_order("1 2 ");
    assert_true(attempts[1].started - attempts[0].started >= RACE_DELAY);
    assert_int_equal(taken, 1);
    race_stop(&rig->race);
    assert_true(attempts[0].cancelled && attempts[1].cancelled);
    assert_int_equal(rig->race.status, UV_ETIMEDOUT);
    run(rig, RACE_DELAY + 100);
    assert_int_equal(rig->done, 0);
    assert_int_equal(rooms, 1);
}

static void the_losers_are_reset(void **state)
{
    struct rig *rig = *state;

    for (int i = 0; i < 3; i++)
        add(rig, (const char *[]){"10.0.0.1", "10.0.0.2", "10.0.0.3"}[i]);
    start(rig, 10000);
    run(rig, 600);
    expect_order("1 2 3 ");
    assert_ptr_equal(attempts[0].conn, &rig->conn);
    answer(1, 0);
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->status, 0);
    assert_true(attempts[0].cancelled && attempts[2].cancelled);
    assert_false(attempts[1].cancelled);
    assert_ptr_equal(moved, attempts[1].conn); /* to the conn that was asked for */
}

static void the_first_needs_no_move(void **state)
{
    struct rig *rig = *state;

    add(rig, "10.0.0.1");
    add(rig, "10.0.0.2");
    start(rig, 10000);
    run(rig, RACE_DELAY + 100);
    answer(0, 0);
    assert_null(moved);
    assert_true(attempts[1].cancelled);
    assert_int_equal(atomic_load(&rig->last_good), 0); /* the resolver's first is as good as ever */
}

static void what_served_last_is_first(void **state)
{
    struct rig *rig = *state;
    uint64_t good;

    for (int round = 0; round < 2; round++) {
        rig->race.count = 0;
        add(rig, "::1");
        add(rig, "::2");
        add(rig, "10.0.0.3");
        add(rig, "::4");
        start(rig, 10000);
        for (int i = 0; i < 3 - 3 * round; i++)
            answer(i, UV_ECONNREFUSED);
        if (round == 0)
            expect_order("1 3 2 4 ");
        answer(started - 1, 0);
        good = atomic_load(&rig->last_good);
        assert_true(good != 0);
    }
    expect_order("4 ");
    start(rig, 10000); /* whose addresses stand in their new order */
    for (int i = 0; i < 3; i++)
        answer(i, UV_ECONNREFUSED);
    expect_order("4 3 1 2 ");
    answer(3, UV_ECONNREFUSED);
    assert_int_equal(atomic_load(&rig->last_good), good);
}

static void without_descriptors_it_is_one_after_another(void **state)
{
    struct rig *rig = *state;

    spare = 0;
    add(rig, "10.0.0.1");
    add(rig, "10.0.0.2");
    start(rig, 1200);
    run(rig, 450);
    expect_order("1 ");
    run(rig, 500);
    expect_order("1 2 ");
    assert_true(attempts[0].cancelled);
    assert_true(attempts[1].started - attempts[0].started >= 600); /* half of the time each */
    answer(1, 0);
    assert_int_equal(rig->status, 0);
    assert_null(moved);
}

static void more_than_lanes(void **state)
{
    struct rig *rig = *state;
    char text[32];

    for (int i = 1; i <= 8; i++) {
        snprintf(text, sizeof text, "10.0.0.%d", i);
        add(rig, text);
    }
    start(rig, 3000);
    run(rig, 2900);
    expect_order("1 2 3 4 5 6 7 8 ");
    assert_int_equal(taken, RACE_LANES - 1);
    for (int i = 0; i < 8 - RACE_LANES; i++)
        assert_true(attempts[i].cancelled);
    answer(7, 0);
    assert_int_equal(rig->status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(families_take_turns, begin, finish),
        cmocka_unit_test_setup_teardown(the_next_starts_after_a_delay, begin, finish),
        cmocka_unit_test_setup_teardown(the_losers_are_reset, begin, finish),
        cmocka_unit_test_setup_teardown(the_first_needs_no_move, begin, finish),
        cmocka_unit_test_setup_teardown(what_served_last_is_first, begin, finish),
        cmocka_unit_test_setup_teardown(without_descriptors_it_is_one_after_another, begin, finish),
        cmocka_unit_test_setup_teardown(more_than_lanes, begin, finish),
    };

    return cmocka_run_group_tests_name("race", tests, NULL, NULL);
}
