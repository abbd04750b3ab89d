/* The log while its own thread writes: to a FIFO whose reader, here, reads or does not. */
#include "base/log_queue.h"

#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SEEN = 8 << 20, PIPE = 4096, TOO_MANY = 20000, TWICE = 2 * TOO_MANY };
enum { THREADS = 4, EACH = 6000, ALL = THREADS * EACH };

static char folder[64], path[96], seen[SEEN + 1];
static _Atomic size_t seen_size;
static int reader = -1;
static pthread_t reading;

static void open_fifo(void)
{
    assert_int_equal(mkfifo(path, 0600), 0);
    reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_int_equal(fcntl(reader, F_SETPIPE_SZ, PIPE), PIPE);
    assert_int_equal(fcntl(reader, F_SETFL, 0), 0);
}

static int setup(void **state)
{
    struct err err;

    (void)state;
    snprintf(folder, sizeof folder, "/tmp/hvrelay-queue-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/log", folder);
    log_set_level(LOG_LEVEL_INFO);
    log_set_format(LOG_FORMAT_TEXT);
    seen_size = 0;
    open_fifo();
    return log_open(path, &err) == 0 && log_start(&err) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    struct err err;

    (void)state;
    close(reader);
    unlink(path);
    return log_open("", &err) == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static void *read_all(void *arg)
{
    ssize_t count;

    while ((count = read(reader, seen + seen_size, SEEN - seen_size)) > 0)
        atomic_fetch_add(&seen_size, (size_t)count);
    return arg;
}

static void begin_reading(void)
{
    assert_int_equal(pthread_create(&reading, NULL, read_all, NULL), 0);
}

/* What is in `seen`, which are lines "THREAD of NUMBER", each thread's in order. */
struct sum {
    unsigned long lines, lost;
    unsigned gaps; /* how often it is said that lines are lost */
};

static void add_line(struct sum *sum, const char *line, long next[THREADS])
{
    const char *info = strstr(line, "Z info: "), *warning = strstr(line, "Z warning: ");
    char *end;
    long thread, number;

    if (warning) {
        sum->lost += strtoul(warning + strlen("Z warning: "), &end, 10);
        sum->gaps++;
        assert_int_equal(strncmp(end, " lines lost", strlen(" lines lost")), 0);
        return;
    }
    assert_non_null(info);
    thread = strtol(info + strlen("Z info: "), &end, 10);
    assert_in_range(thread, 0, THREADS - 1);
    assert_int_equal(strncmp(end, " of ", strlen(" of ")), 0);
    number = strtol(end + strlen(" of "), &end, 10);
    assert_true(number >= next[thread]);
    next[thread] = number + 1;
    sum->lines++;
}

static struct sum sum_up(void)
{
    struct sum sum = {0};
    long next[THREADS] = {0};
    const char *at = seen, *last = seen + seen_size, *end;
    char line[LOG_LINE];

    for (; (end = memchr(at, '\n', (size_t)(last - at))); at = end + 1) {
        snprintf(line, sizeof line, "%.*s", (int)(end - at), at);
        add_line(&sum, line, next);
    }
    return sum;
}

/* Until so many lines have come or are known to be lost. */
static struct sum await(unsigned long count)
{
    struct sum sum = sum_up();

    for (int tries = 0; tries < 3000 && sum.lines + sum.lost < count; tries++) {
        nanosleep(&(struct timespec){0, 10000000}, NULL);
        sum = sum_up();
    }
    assert_int_equal(sum.lines + sum.lost, count);
    return sum;
}

/* The log turns elsewhere, which is the end of this FIFO. */
static void end_reading(void)
{
    struct err err;

    log_stop();
    assert_ok(log_open("", &err));
    pthread_join(reading, NULL);
}

static void log_many(int thread, int count)
{
    for (int i = 0; i < count; i++)
        log_info("%d of %d, and what else a line of the usual length has to say about it", thread,
                 i);
}

static void *log_as_thread(void *arg)
{
    log_many(*(int *)arg, EACH);
    return NULL;
}

/* Goal: what is read is all there, in order, up to the last line before the end. */
static void lines_come_in_order(void **state)
{
    (void)state;
    begin_reading();
    log_many(0, 1000);
    end_reading();
    assert_int_equal(await(1000).lost, 0);
}

/* Goal: several threads at once, beyond what the queue holds: each line is read or counted. */
static void threads_do_not_mix(void **state)
{
    static int numbers[THREADS];
    pthread_t threads[THREADS];

    (void)state;
    begin_reading();
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, log_as_thread, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    await(ALL);
    end_reading();
}

/* Goal: nobody reads: who logs does not wait, the queue holds what it may and no more, the rest is
 * counted to the line, in its place. */
static void a_reader_that_stalls(void **state)
{
    struct sum sum;

    (void)state;
    log_many(0, TOO_MANY);
    begin_reading();
    sum = await(TOO_MANY);
    assert_true(sum.lost > 0);
    assert_in_range(sum.gaps, 1, 2); /* two: the writer's thread came late */
    assert_in_range(seen_size, LOG_QUEUE / 4, LOG_QUEUE + 3 * LOG_LINE);
    end_reading();
}

/* Goal: it stalls, flows, and stalls again: the second count is one of its own. */
static void it_stalls_again(void **state)
{
    (void)state;
    log_many(0, TOO_MANY);
    begin_reading();
    await(TOO_MANY);
    log_many(1, TOO_MANY);
    await(TWICE);
    end_reading();
}

/* Goal: a reader that has gone takes nothing; one that comes learns how many lines it has missed.
 */
static void a_reader_that_goes_and_comes(void **state)
{
    struct sum sum;

    (void)state;
    close(reader);
    log_many(0, 5);
    log_stop();
    reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_int_equal(fcntl(reader, F_SETFL, 0), 0);
    begin_reading();
    log_many(1, 1);
    sum = await(6);
    assert_int_equal(sum.lost, 5);
    end_reading();
}

/* Reads a file to `seen`. */
static void read_file(const char *name)
{
    int file = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t count = read(file, seen, SEEN);

    assert_true(count >= 0);
    seen_size = (size_t)count;
    close(file);
    unlink(name);
}

/* Goal: each line is where lines went when it was logged. */
static void a_switch_has_its_place(void **state)
{
    char other[112];
    struct err err;

    (void)state;
    snprintf(other, sizeof other, "%s.other", path);
    begin_reading();
    log_many(0, 100);
    assert_ok(log_open(other, &err));
    log_many(1, 50);
    end_reading();
    await(100);
    read_file(other);
    await(50);
}

/* Goal: that holds for many switches in a row, which come faster than the writer does. */
static void many_switches_have_their_places(void **state)
{
    enum { FILES = 200 };
    char name[FILES][112];
    struct err err;

    (void)state;
    for (int i = 0; i < FILES; i++) {
        snprintf(name[i], sizeof name[i], "%s.%d", path, i);
        assert_ok(log_open(name[i], &err));
        log_many(0, 2);
        if (i % 5 == 0) /* never more than a half has places for */
            nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    log_stop();
    for (int i = 0; i < FILES; i++) {
        read_file(name[i]);
        assert_int_equal(sum_up().lines, 2);
    }
}

/* Goal: where nobody reads, another target is the way out, and takes what waits. */
static void a_switch_ends_a_stall(void **state)
{
    char other[112];
    struct sum sum;
    struct err err;

    (void)state;
    snprintf(other, sizeof other, "%s.other", path);
    log_many(0, 1000);
    assert_ok(log_open(other, &err));
    log_many(1, 10);
    log_stop();
    read_file(other);
    sum = sum_up();
    assert_in_range(sum.lines, 1000 + 10 - PIPE / 64, 1000 + 10);
    assert_int_equal(sum.lost, 0);
}

/* Goal: log_stop comes back although nobody reads, and who logs after it does not wait either. */
static void the_end_does_not_wait_for_ever(void **state)
{
    struct timespec begin, end;
    long waited;

    (void)state;
    log_many(0, 1000);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    log_stop();
    log_many(0, 1000);
    clock_gettime(CLOCK_MONOTONIC, &end);
    waited = (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
    assert_in_range(waited, LOG_FLUSH_TIME, 20 * LOG_FLUSH_TIME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_come_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_do_not_mix, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_that_stalls, setup, teardown),
        cmocka_unit_test_setup_teardown(it_stalls_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_that_goes_and_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_switch_has_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(many_switches_have_their_places, setup, teardown),
        cmocka_unit_test_setup_teardown(a_switch_ends_a_stall, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_does_not_wait_for_ever, setup, teardown),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("log_queue", tests, NULL, NULL);
}
