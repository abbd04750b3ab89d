/* The pool of pipes, in a process that may have 64 descriptors. */
#include "relay/linux/pipe.h"

#include "net/descriptors.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LIMIT = 64, MOST = LIMIT / 2 };

static struct pipe_pool pool;

static int group_setup(void **state)
{
    const struct rlimit limit = {.rlim_cur = LIMIT, .rlim_max = LIMIT};

    (void)state;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -1;
    descriptors_raise();
    descriptors_count();
    return 0;
}

static int setup(void **state)
{
    (void)state;
    pipe_pool_init(&pool);
    return 0;
}

/* Goal of every test as well: once the pool is closed all descriptors are back. */
static int teardown(void **state)
{
    (void)state;
    pipe_pool_close(&pool);
    if (pool.open != 0 || !descriptors_take(descriptors_total(), 0))
        return -1;
    descriptors_give(descriptors_total());
    return 0;
}

static struct pipe *take(void)
{
    struct pipe *pipe = pipe_take(&pool);

    assert_non_null(pipe);
    assert_int_equal(pipe->length, 0);
    return pipe;
}

static void assert_private_end(int fd)
{
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void assert_closed(int fd)
{
    errno = 0;
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(errno, EBADF);
}

static void a_pipe_is_empty_and_private(void **state)
{
    struct pipe *pipe;
    char byte;

    (void)state;
    pipe = take();
    assert_private_end(pipe->read_end);
    assert_private_end(pipe->write_end);
    assert_int_equal(pipe->capacity, fcntl(pipe->write_end, F_GETPIPE_SZ));
    errno = 0;
    assert_int_equal(read(pipe->read_end, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    pipe_give(&pool, pipe);
}

static void a_pipe_is_used_again(void **state)
{
    struct pipe *first, *again;
    int fd;

    (void)state;
    first = take();
    fd = first->read_end;
    pipe_give(&pool, first);
    again = take();
    assert_ptr_equal(again, first);
    assert_int_equal(again->read_end, fd);
    assert_int_equal(pool.open, 1);
    pipe_give(&pool, again);
}

/* Goal: what one session left in a pipe no other can ever see. */
static void a_pipe_with_data_is_closed(void **state)
{
    struct pipe *pipe;
    int ends[2];

    (void)state;
    pipe = take();
    ends[0] = pipe->read_end;
    ends[1] = pipe->write_end;
    assert_int_equal(write(pipe->write_end, "secret", 6), 6);
    pipe->length = 6;
    pipe_give(&pool, pipe);
    assert_int_equal(pool.open, 0);
    assert_closed(ends[0]);
    assert_closed(ends[1]);
}

/* Takes all there are. Returns how many. */
static int take_all(struct pipe *taken[MOST])
{
    int count = 0;

    while (count < MOST && (taken[count] = pipe_take(&pool)))
        count++;
    assert_in_range(count, 2, MOST - 1);
    return count;
}

/* Goal: sessions come before pipes; where no more can be had the answer is NULL, again and again,
 * until one comes back. */
static void half_of_the_descriptors_is_left(void **state)
{
    struct pipe *taken[MOST];
    int half = descriptors_total() / 2;
    int count;

    (void)state;
    count = take_all(taken);
    assert_null(pipe_take(&pool));
    assert_int_equal(pool.open, count);
    assert_true(descriptors_take(half, 0));
    descriptors_give(half);
    pipe_give(&pool, taken[--count]);
    taken[count++] = take();
    while (count > 0)
        pipe_give(&pool, taken[--count]);
}

/* Goal: after a rush most pipes are closed. */
static void few_are_kept(void **state)
{
    struct pipe *taken[MOST];
    int count;

    (void)state;
    count = take_all(taken);
    assert_true(count > 8);
    for (int i = 0; i < count; i++)
        pipe_give(&pool, taken[i]);
    assert_in_range(pool.open, 1, count - 1);
}

/* Goal: pipes that are closed leave those that come later as large as the first. */
static void the_last_is_as_large_as_the_first(void **state)
{
    struct pipe *pipe = take();
    size_t first = pipe->capacity;

    (void)state;
    for (int i = 0; i < 200; i++) {
        pipe->length = 1; /* so it is closed */
        pipe_give(&pool, pipe);
        pipe = take();
        assert_int_equal(pipe->capacity, first);
    }
    pipe_give(&pool, pipe);
}

/* Goal: a system without descriptors gives no pipe, and nothing is counted for it. */
static void none_can_be_opened(void **state)
{
    int hogs[LIMIT];
    int count = 0;

    (void)state;
    while ((hogs[count] = dup(0)) >= 0)
        count++;
    assert_null(pipe_take(&pool));
    assert_int_equal(pool.open, 0);
    while (count > 0)
        close(hogs[--count]);
    pipe_give(&pool, take());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pipe_is_empty_and_private, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pipe_is_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pipe_with_data_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(half_of_the_descriptors_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(few_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_is_as_large_as_the_first, setup, teardown),
        cmocka_unit_test_setup_teardown(none_can_be_opened, setup, teardown),
    };

    return cmocka_run_group_tests_name("pipe", tests, group_setup, NULL);
}
