/* Which path a flow takes, what it holds on to, and when it lets others have their turn. */
#include "flow_rig.h"

#include "net/descriptors.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rig rig;

static int teardown(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

static int open_pipes(void)
{
    return rig.pumps->pool.open;
}

static void feed_and_take(size_t bytes)
{
    uint64_t total = rig.fed + bytes;

    while (rig.fed < total) {
        rig_feed(&rig, (size_t)(total - rig.fed));
        rig_take_until(&rig, rig.fed);
    }
}

static void copy_never_has_a_pipe(void **state)
{
    (void)state;
    rig_open(&rig, RIG_UNIX, PUMP_COPY);
    feed_and_take(4 << 20);
    rig_stuff(&rig);
    assert_int_equal(open_pipes(), 0);
}

/* Goal: only bulk is worth a pipe. */
static void auto_copies_what_is_small(void **state)
{
    (void)state;
    rig_open(&rig, RIG_UNIX, PUMP_AUTO);
    for (int i = 0; i < 1000; i++)
        feed_and_take(1000);
    assert_int_equal(open_pipes(), 0);
}

/* Goal: a session has to wait behind others only as long as it is bulk. */
static void what_was_bulk_gets_small_again(void **state)
{
    (void)state;
    rig_open(&rig, RIG_UNIX, PUMP_COPY);
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < 3; i++)
            feed_and_take(64 * 1024);
        assert_true(rig.flow.bulk);
        for (int i = 0; i < 3; i++)
            feed_and_take(1000);
        assert_false(rig.flow.bulk);
    }
}

static void auto_splices_what_is_bulk(void **state)
{
    (void)state;
    rig_open(&rig, RIG_UNIX, PUMP_AUTO);
    for (int i = 0; i < 10; i++) {
        rig_stuff(&rig);
        rig_take_until(&rig, rig.fed);
    }
    assert_int_equal(open_pipes(), 1);
}

/* Goal: a flow that waits holds no pipe; there are not enough for idle sessions. */
static void an_idle_flow_gives_its_pipe_back(void **state)
{
    (void)state;
    rig_open(&rig, RIG_UNIX, PUMP_SPLICE);
    feed_and_take(100000);
    assert_int_equal(rig_run(&rig), FLOW_WAITS);
    assert_null(rig.flow.pipe);
    assert_int_equal(open_pipes(), 1);
    assert_false(list_empty(&rig.pumps->pool.idle));
}

/* Goal: what a broken flow left in its pipe goes with the pipe. */
static void a_pipe_with_data_is_not_given_back(void **state)
{
    (void)state;
    rig_open(&rig, RIG_UNIX, PUMP_SPLICE);
    rig_stuff(&rig);
    assert_non_null(rig.flow.pipe);
    assert_true(rig.flow.pipe->length > 0);
    flow_close(&rig.flow, rig.pumps);
    assert_int_equal(open_pipes(), 0);
}

/* Goal: a flow that has used its bandwidth says how long it has to wait, and goes on then. */
static void a_limit_is_kept(void **state)
{
    static const enum pump pumps[] = {PUMP_COPY, PUMP_SPLICE};
    const uint64_t rate = 100000, total = 10000;

    (void)state;
    for (size_t i = 0; i < LENGTH(pumps); i++) {
        struct limit limit = {.own_rate = rate};
        enum flow_state flow_state;

        if (i > 0)
            rig_close(&rig);
        rig_open(&rig, RIG_UNIX, pumps[i]);
        rig.flow.limit = &limit;
        rig_feed(&rig, total);
        while ((flow_state = rig_run(&rig)) == FLOW_LATER) {
            assert_in_range(rig.flow.wait, 1, 1000);
            assert_null(rig.flow.pipe);
            rig_take(&rig, total);
        }
        assert_int_equal(flow_state, FLOW_WAITS);
        assert_int_equal(rig.delivered, total);
        rig_take_until(&rig, total);
    }
}

/* A file of that many bytes, gone from its folder already. */
static int open_file(off_t size, int flags)
{
    char path[] = "/tmp/hvrelay-flow-XXXXXX";
    int fd = mkstemp(path);
    int again = open(path, O_RDWR | flags);

    assert_true(fd >= 0 && again >= 0);
    unlink(path);
    close(fd);
    assert_int_equal(ftruncate(again, size), 0);
    return again;
}

/* Goal: files are always ready; still the other sessions get their turn. */
static void a_turn_has_an_end(void **state)
{
    static const enum pump pumps[] = {PUMP_COPY, PUMP_SPLICE, PUMP_AUTO};
    const off_t size = 10 << 20;
    const uint64_t most = 3 << 20; /* of one turn, generously */

    (void)state;
    for (size_t i = 0; i < LENGTH(pumps); i++) {
        uint64_t before;
        enum flow_state flow_state;
        struct stat info;

        if (i > 0)
            rig_close(&rig);
        rig_open_files(&rig, open_file(size, 0), open_file(0, 0), pumps[i]);
        do {
            before = rig.delivered;
            flow_state = rig_run(&rig);
            assert_in_range(rig.delivered - before, 0, most);
        } while (flow_state == FLOW_MORE && rig.delivered > before);
        assert_int_equal(flow_state, FLOW_ENDED);
        assert_int_equal(rig.delivered, size);
        assert_int_equal(fstat(rig.to.wfd, &info), 0);
        assert_int_equal(info.st_size, size);
    }
}

/* Goal: what a source has left is not cut off at the end of a turn, when there is no next one. */
static void the_last_turn_takes_all(void **state)
{
    static const enum pump pumps[] = {PUMP_COPY, PUMP_SPLICE, PUMP_AUTO};
    const off_t size = 10 << 20;

    (void)state;
    for (size_t i = 0; i < LENGTH(pumps); i++) {
        if (i > 0)
            rig_close(&rig);
        rig_open_files(&rig, open_file(size, 0), open_file(0, 0), pumps[i]);
        flow_drain(&rig.flow, rig.pumps);
        assert_int_equal(rig.delivered, size);
        assert_int_equal(lseek(rig.to.wfd, 0, SEEK_END), size);
        assert_false(rig.flow.ended);
    }
}

/* Goal: a file opened for appending can't be spliced to (splice(2): EINVAL); it is written to. */
static void a_file_to_append_to(void **state)
{
    static const enum pump pumps[] = {PUMP_AUTO, PUMP_SPLICE};
    const off_t size = 2 << 20;

    (void)state;
    for (size_t i = 0; i < LENGTH(pumps); i++) {
        if (i > 0)
            rig_close(&rig);
        rig_open_files(&rig, open_file(size, 0), open_file(0, O_APPEND), pumps[i]);
        rig_run_until(&rig, FLOW_ENDED);
        assert_int_equal(rig.delivered, size);
        assert_int_equal(lseek(rig.to.wfd, 0, SEEK_END), size);
    }
}

/* Goal: a source that can't be spliced from, as most files of /proc, is read. */
static void a_source_without_splice(void **state)
{
    int source = open("/proc/self/status", O_RDONLY);

    (void)state;
    assert_true(source >= 0);
    rig_open_files(&rig, source, open_file(0, 0), PUMP_SPLICE);
    rig_run_until(&rig, FLOW_ENDED);
    assert_true(rig.delivered > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(copy_never_has_a_pipe, teardown),
        cmocka_unit_test_teardown(auto_copies_what_is_small, teardown),
        cmocka_unit_test_teardown(what_was_bulk_gets_small_again, teardown),
        cmocka_unit_test_teardown(auto_splices_what_is_bulk, teardown),
        cmocka_unit_test_teardown(an_idle_flow_gives_its_pipe_back, teardown),
        cmocka_unit_test_teardown(a_pipe_with_data_is_not_given_back, teardown),
        cmocka_unit_test_teardown(a_limit_is_kept, teardown),
        cmocka_unit_test_teardown(a_turn_has_an_end, teardown),
        cmocka_unit_test_teardown(the_last_turn_takes_all, teardown),
        cmocka_unit_test_teardown(a_file_to_append_to, teardown),
        cmocka_unit_test_teardown(a_source_without_splice, teardown),
    };

    descriptors_raise();
    descriptors_count();
    signal(SIGPIPE, SIG_IGN); /* as the program does: splice raises it */
    return cmocka_run_group_tests_name("flow_paths", tests, NULL, NULL);
}
