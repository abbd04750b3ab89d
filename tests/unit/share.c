/* A shared rate, by a clock of the test's own: flows that always want more, on loops whose timers
 * have a grain and are late, and flows with a small message now and then. */
#include "relay/share.h"

#include "unit.h"

enum { MOST = 1000, QUANTUM = 4096 };

static const uint64_t second = 1000000000;
static const uint64_t ms = 1000000;

struct flow {
    struct place place;
    uint64_t at;      /* when it asks next */
    uint64_t used;    /* bytes */
    uint64_t wanted;  /* of a message that waits, bytes; greedy ones always want more */
    uint64_t since;   /* when the message came */
    uint64_t longest; /* wait of a message */
    bool greedy;
};

static struct share share;
static struct flow flows[MOST];
static size_t count;
static uint64_t now;
static uint32_t seed;

/* For limits below 2^32. */
static uint64_t random_below(uint64_t limit)
{
    seed = seed * 1664525 + 1013904223;
    return (uint64_t)seed * limit >> 32;
}

static void begin(uint64_t rate, size_t greedy, size_t small)
{
    assert_int_equal(share_init(&share), 0);
    share_set_rate(&share, rate);
    seed = 1;
    now = 1000 * second;
    count = greedy + small;
    for (size_t i = 0; i < count; i++) {
        flows[i] = (struct flow){.at = now + random_below(8 * ms), .greedy = i < greedy};
        place_init(&flows[i].place);
    }
}

/* It asks, uses, and asks again, until it must wait: as a pump does. */
static void run(struct flow *flow, uint64_t late)
{
    uint64_t wait = 0;

    if (!flow->greedy && flow->wanted == 0) { /* a message has come */
        flow->wanted = 1 + random_below(QUANTUM);
        flow->since = now;
    }
    while (flow->greedy || flow->wanted > 0) {
        uint64_t used;

        if (flow->place.hand == 0 && !share_ask(&share, &flow->place, now, &wait)) {
            /* the wheel's next tick, and the loop may have other things to do */
            flow->at = (now + wait + ms) / (8 * ms) * (8 * ms) + 8 * ms + random_below(1 + late);
            return;
        }
        used = flow->place.hand;
        if (!flow->greedy && flow->wanted < used)
            used = flow->wanted;
        flow->place.hand -= used;
        flow->used += used;
        flow->wanted -= flow->greedy ? 0 : used;
    }
    if (now - flow->since > flow->longest)
        flow->longest = now - flow->since;
    share_leave(&share, &flow->place, false);
    flow->at = now + random_below(200 * ms);
}

/* Until `end`, each flow at its time; loops are late by up to `late`, each to its own degree. */
static void run_until(uint64_t end, uint64_t late)
{
    for (;;) {
        size_t next = 0;

        for (size_t i = 1; i < count; i++) {
            if (flows[i].at < flows[next].at)
                next = i;
        }
        if (flows[next].at >= end)
            break;
        if (flows[next].at > now)
            now = flows[next].at;
        run(&flows[next], late * (next % 8) / 8);
    }
    now = end;
}

static uint64_t total(void)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += flows[i].used;
    return sum;
}

static void end(void)
{
    for (size_t i = 0; i < count; i++)
        share_leave(&share, &flows[i].place, false);
    assert_true(list_empty(&share.ring));
    assert_int_equal(share.count, 0);
    share_destroy(&share);
}

/* Over 5 s the greedy ones have equal shares, all together have the rate, and a message of no more
 * than a quantum waits for one round and 20 ms. */
static void keep_promises(uint64_t rate, size_t greedy, size_t small, uint64_t late)
{
    uint64_t window = 5 * second, before, least = UINT64_MAX, most = 0;
    uint64_t begun[MOST] = {0};

    begin(rate, greedy, small);
    run_until(now + 2 * second, late);
    before = total();
    for (size_t i = 0; i < count; i++)
        begun[i] = flows[i].used;
    run_until(now + window, late);
    for (size_t i = 0; i < greedy; i++) {
        uint64_t used = flows[i].used - begun[i];

        least = used < least ? used : least;
        most = used > most ? used : most;
    }
    assert_in_range(most, 1, least * 110 / 100);
    assert_in_range(total() - before, rate * 5 * 97 / 100,
                    rate * 5 + rate * 30 / 1000 + rate / 100);
    for (size_t i = greedy; i < count; i++)
        assert_in_range(flows[i].longest, 0, count * QUANTUM * second / rate + 20 * ms + late);
    end();
}

static void shares_are_equal_and_waits_short(void **state)
{
    (void)state;
    keep_promises(64 << 10, 8, 0, 0);
    keep_promises(64 << 10, 6, 2, 0);
    keep_promises(1 << 20, 100, 0, 0);
    keep_promises(1 << 20, 90, 10, 0);
    keep_promises(100 << 20, 1000, 0, 0);
    keep_promises(100 << 20, 900, 100, 0);
    keep_promises(100 << 20, 2, 1, 0);
    keep_promises(UINT64_C(10) << 30, 10, 3, 0);
    keep_promises(4000, 3, 1, 0);
}

/* Goal: a flow on a thread that is busy has no smaller share than others. */
static void late_threads_lose_nothing(void **state)
{
    (void)state;
    keep_promises(64 << 10, 8, 2, 10 * ms);
    keep_promises(1 << 20, 90, 10, 10 * ms);
    keep_promises(100 << 20, 900, 100, 10 * ms);
    keep_promises(100 << 20, 16, 0, 10 * ms);
}

/* Goal: any rate is kept, from a byte a second on, and by one flow alone. */
static void the_rate_is_kept(void **state)
{
    static const uint64_t rates[] = {1, 7, 1000, 65536, 10485760, UINT64_C(10) << 30};

    (void)state;
    for (size_t i = 0; i < LENGTH(rates); i++) {
        uint64_t due = rates[i] * 100, before;

        begin(rates[i], 1, 0);
        run_until(now + second, 0);
        before = total();
        run_until(now + 100 * second, 0);
        assert_in_range(total() - before, due - due / 20 - 1, due + rates[i] * 3 / 100 + 1);
        end();
    }
}

/* Goal: what a forward did not use is not saved up, neither by it nor by those that were idle. */
static void rest_is_not_saved_up(void **state)
{
    uint64_t rate = 1 << 20, before;

    (void)state;
    begin(rate, 3, 0);
    flows[0].at = now + 60 * second;
    run_until(now + 50 * second, 0);
    flows[1].at = flows[2].at = now + 10 * second;
    run_until(now + 10 * second, 0);
    before = total();
    run_until(now + second, 0);
    assert_in_range(total() - before, rate * 95 / 100, rate + rate * 30 / 1000);
    assert_in_range(flows[0].used, 1, rate / 3 + rate * 30 / 1000);
    end();
}

/* Goal: what one that leaves had been given others get. */
static void what_is_left_is_given_back(void **state)
{
    struct place first, second_one;
    uint64_t wait;

    (void)state;
    begin(1000000, 0, 0);
    place_init(&first);
    place_init(&second_one);
    assert_true(share_ask(&share, &first, now, &wait));
    assert_int_equal(first.hand, 20000); /* of the 30 ms, 10 are left for others */
    assert_true(share_ask(&share, &second_one, now, &wait));
    assert_int_equal(second_one.hand, 976);
    share_leave(&share, &second_one, true);
    assert_int_equal(second_one.hand, 976);
    share_leave(&share, &first, true);
    assert_int_equal(first.hand, 976);
    share_leave(&share, &first, false);
    share_leave(&share, &second_one, false);
    assert_true(share_ask(&share, &first, now, &wait));
    assert_int_equal(first.hand, 20000);
    share_leave(&share, &first, false);
    end();
}

/* Goal: a new rate holds for those that wait. */
static void a_new_rate_holds_at_once(void **state)
{
    uint64_t before;

    (void)state;
    begin(1000, 50, 0);
    run_until(now + 5 * second, 0);
    share_set_rate(&share, 1000000);
    run_until(now + 2 * second, 0);
    before = total();
    run_until(now + second, 0);
    assert_in_range(total() - before, 950000, 1030000);
    end();
}

/* Goal: the most that can be configured does not overflow. */
static void a_rate_beyond_every_machine(void **state)
{
    (void)state;
    begin(UINT64_C(1) << 40, 2, 0);
    run_until(now + second / 10, 0);
    assert_in_range(total(), UINT64_C(1) << 33, UINT64_C(1) << 36);
    end();
}

enum { THREADS = 4, ROUNDS = 20000 };

static uint64_t used_by[THREADS];

static void use(void *arg)
{
    uint64_t *used = arg, wait;
    struct place places[8];

    for (size_t i = 0; i < LENGTH(places); i++)
        place_init(&places[i]);
    for (size_t i = 0; i < ROUNDS; i++) {
        struct place *place = &places[i % LENGTH(places)];

        if (share_ask(&share, place, uv_hrtime(), &wait)) {
            *used += place->hand;
            place->hand = 0;
        }
        if (i % 13 == 0)
            share_leave(&share, place, false);
    }
    for (size_t i = 0; i < LENGTH(places); i++)
        share_leave(&share, &places[i], false);
}

/* Goal: many threads at once break nothing and get no more than the rate. */
static void any_number_of_threads(void **state)
{
    uint64_t rate = 100 << 20, start, sum = 0;
    uv_thread_t threads[THREADS];

    (void)state;
    begin(rate, 0, 0);
    start = uv_hrtime();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(uv_thread_create(&threads[i], use, &used_by[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        uv_thread_join(&threads[i]);
        sum += used_by[i];
    }
    assert_in_range(sum, 1, rate * ((uv_hrtime() - start) / ms + 31) / 1000);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_equal_and_waits_short),
        cmocka_unit_test(late_threads_lose_nothing),
        cmocka_unit_test(the_rate_is_kept),
        cmocka_unit_test(rest_is_not_saved_up),
        cmocka_unit_test(what_is_left_is_given_back),
        cmocka_unit_test(a_new_rate_holds_at_once),
        cmocka_unit_test(a_rate_beyond_every_machine),
        cmocka_unit_test(any_number_of_threads),
    };

    return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
