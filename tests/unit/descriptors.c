/* The budget of descriptors, in a process that may have 64. */
#include "net/descriptors.h"

#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LIMIT = 64, THREADS = 4, ROUNDS = 20000 };

static int setup(void **state)
{
    const struct rlimit limit = {.rlim_cur = LIMIT / 2, .rlim_max = LIMIT};

    (void)state;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -1;
    descriptors_raise();
    descriptors_count();
    return 0;
}

static void the_limit_is_raised_as_far_as_it_goes(void **state)
{
    struct rlimit limit;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(limit.rlim_cur, LIMIT);
}

static int count_open(void)
{
    int count = 0;

    for (int fd = 0; fd < LIMIT; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Goal: what is open already, and a reserve for what is opened beside the sessions, is not for
 * them. */
static void the_total_leaves_a_reserve(void **state)
{
    (void)state;
    assert_true(descriptors_total() > LIMIT / 4);
    assert_true(descriptors_total() <= LIMIT - count_open() - 16);
}

/* Goal: what can't be counted is taken for more than there is, not for nothing. Here every
 * descriptor is in use, and /proc can't be looked at for want of one. */
static void what_cannot_be_counted_is_in_use(void **state)
{
    (void)state;
    while (dup(0) >= 0)
        ;
    descriptors_count();
    for (int fd = 3; fd < LIMIT; fd++)
        close(fd);
    assert_true(descriptors_total() <= 0);
}

static void all_can_be_taken_and_no_more(void **state)
{
    int total = descriptors_total();

    (void)state;
    for (int i = 0; i < total; i++)
        assert_true(descriptors_take(1, 0));
    assert_false(descriptors_take(1, 0));
    descriptors_give(2);
    assert_false(descriptors_take(3, 0));
    assert_true(descriptors_take(2, 0));
    descriptors_give(total);
    assert_true(descriptors_take(total, 0));
    descriptors_give(total);
}

static void what_is_to_be_left_is_left(void **state)
{
    int total = descriptors_total();

    (void)state;
    assert_false(descriptors_take(2, total - 1));
    assert_true(descriptors_take(2, total - 2));
    assert_false(descriptors_take(2, total - 3));
    assert_true(descriptors_take(total - 2, 0)); /* for somebody who need not leave any */
    descriptors_give(total);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int in_use, most_in_use, refused;

static void count_use(int change)
{
    pthread_mutex_lock(&lock);
    in_use += change;
    if (in_use > most_in_use)
        most_in_use = in_use;
    refused += change == 0;
    pthread_mutex_unlock(&lock);
}

/* A third of all at a time: three may have that, a fourth may not. */
static void *take_and_give(void *arg)
{
    int share = descriptors_total() / 3;

    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (!descriptors_take(share, 0)) {
            count_use(0);
            continue;
        }
        count_use(share);
        count_use(-share);
        descriptors_give(share);
    }
    return NULL;
}

/* Goal: threads never have more than there is, and nothing gets lost. */
static void threads_share_one_budget(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(in_use, 0);
    assert_in_range(most_in_use, 1, descriptors_total());
    assert_true(descriptors_take(descriptors_total(), 0));
    descriptors_give(descriptors_total());
}

/* Returns whether there was one each time. */
static void *take_one_and_give(void *arg)
{
    bool *always = arg;

    *always = true;
    for (int i = 0; i < 10 * ROUNDS; i++) {
        if (!descriptors_take(1, 0))
            *always = false;
        else
            descriptors_give(1);
    }
    return NULL;
}

/* Goal: where there is enough for all, none is refused because another was quicker. */
static void who_is_slower_has_one_as_well(void **state)
{
    pthread_t threads[THREADS];
    bool always[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_one_and_give, &always[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        assert_true(always[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_is_raised_as_far_as_it_goes),
        cmocka_unit_test(the_total_leaves_a_reserve),
        cmocka_unit_test(all_can_be_taken_and_no_more),
        cmocka_unit_test(what_is_to_be_left_is_left),
        cmocka_unit_test(threads_share_one_budget),
        cmocka_unit_test(who_is_slower_has_one_as_well),
        cmocka_unit_test(what_cannot_be_counted_is_in_use), /* the last: the budget is wrong then */
    };

    return cmocka_run_group_tests_name("descriptors", tests, setup, NULL);
}
