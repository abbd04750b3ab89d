/* A session that ends before it has begun. */
#include "session/session.h"

#include "net/descriptors.h"

#include "unit.h"

#include <stdlib.h>

/* The linker puts this in its place. */
int __wrap_conn_adopt(struct conn *conn, struct loop *loop, const struct incoming *incoming);

int __wrap_conn_adopt(struct conn *conn, struct loop *loop, const struct incoming *incoming)
{
    (void)loop;
    incoming_refuse(incoming);
    conn_init(conn);
    return UV_ENOSPC;
}

static void on_notice(uv_async_t *async)
{
    (void)async;
}

/* Goal: a client that can't be waited for gives back all that was taken for it; where it is the
 * only one there will be, the program has failed. */
static void a_client_that_cannot_be_adopted(void **state)
{
    const bool *single = *state;
    const struct incoming incoming = {.rfd = -1, .wfd = -1, .family = FAMILY_FD};
    const struct peer peer = {.family = FAMILY_FD};
    struct forward_config config = {.name = "a", .max_sessions = 1, .max_pending = 1};
    struct crew crew = {0};
    struct worker *worker = calloc(1, sizeof *worker);
    struct forward *forward = forward_create(&config);
    struct terms *terms = terms_create(&config);
    uv_async_t notice;
    uint64_t wait;
    struct err err;

    descriptors_give(2);
    forward->single = *single;
    worker->crew = &crew;
    crew.notice = &notice;
    list_init(&worker->sessions);
    assert_ok(loop_init(&worker->loop, &err));
    assert_ok(uv_async_init(&worker->loop.uv, &notice, on_notice));

    assert_int_equal(forward_enter(forward, terms, &crew.totals, 0, &wait), ENTRY_GRANTED);
    session_start(worker, forward, terms, &incoming, &peer);
    assert_int_equal(atomic_load(&forward->broken), *single ? 1 : 0);
    assert_int_equal(atomic_load(&forward->ended), 1);
    assert_int_equal(atomic_load(&crew.totals.sessions), 0);
    assert_true(descriptors_take(2, 0));

    uv_close((uv_handle_t *)&notice, NULL);
    assert_int_equal(loop_destroy(&worker->loop), 0);
    forward_release(forward); /* asserts that no place is taken */
    terms_release(terms);
    free(worker);
}

int main(void)
{
    static bool single[] = {false, true};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(a_client_that_cannot_be_adopted, &single[0]),
        cmocka_unit_test_prestate(a_client_that_cannot_be_adopted, &single[1]),
    };

    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
