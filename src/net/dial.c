#include "net/dial.h"

#include "net/race.h"
#include "net/resolve.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_PAUSE = 100, LONGEST_PAUSE = 2000 }; /* ms between rounds */

struct dial {
    struct loop *loop;
    struct dial_plan plan;
    struct conn *conn;
    dial_done *done;
    void *arg;

    struct resolve *resolve; /* while a name is looked up */

    struct task at_once;   /* tells from the loop how a round ended that needed no waiting */
    struct timer deadline; /* of the round */
    struct timer pause;    /* until the next one */
    uint64_t pause_length;
    uint64_t give_up; /* loop time after which no round starts */
    bool asked_anew;  /* for the address, in this round */

    /* Large, and set up when they are used. */
    struct race race;
    struct err err; /* why the latest address failed */
};

static void start_round(struct dial *dial);

static void finish(struct dial *dial, bool connected)
{
    dial_done *done = dial->done;
    void *arg = dial->arg;
    char target[ENDPOINT_TEXT];
    struct err err;

    timer_clear(&dial->loop->timers, &dial->deadline);
    if (!connected) {
        err = dial->err;
        endpoint_format(dial->plan.target, target, sizeof target);
        err_prefix(&err, "cannot connect to '%s'", target);
    }
    free(dial);
    done(arg, connected ? NULL : &err);
}

/* Random in [length/2, length]: many sessions that wait for one VM do not all come at once. */
static uint64_t with_jitter(uint64_t length)
{
    uint32_t random = 0;

    uv_random(NULL, NULL, &random, sizeof random, 0, NULL);
    return length / 2 + random % (length / 2 + 1);
}

static void look_up(struct dial *dial);

/* A VM that has started again has another id than the one that is remembered: once a round it is
 * asked for anew, under the same deadline. */
static bool ask_anew(struct dial *dial, int status)
{
    if ((status != UV_EADDRNOTAVAIL && status != UV_ENETUNREACH) || dial->asked_anew ||
        !address_forget(dial->plan.target))
        return false;
    dial->asked_anew = true;
    look_up(dial);
    return true;
}

/* The round has failed: another one after a pause, or the end. */
static void end_round(struct dial *dial)
{
    timer_clear(&dial->loop->timers, &dial->deadline);
    if (uv_now(&dial->loop->uv) >= dial->give_up) {
        finish(dial, false);
        return;
    }
    timer_set(&dial->loop->timers, &dial->pause, with_jitter(dial->pause_length));
    if (dial->pause_length < LONGEST_PAUSE)
        dial->pause_length *= 2;
}

static void on_pause_over(struct timer *timer)
{
    struct dial *dial = list_entry(timer, struct dial, pause);

    if (!dial->plan.wanted || dial->plan.wanted(dial->arg))
        start_round(dial);
}

/* Of several addresses, one is named with its reason. */
static void set_reason(struct dial *dial)
{
    const struct race *race = &dial->race;
    const struct address *address = &race->addresses[race->failed];
    const char *advice = address_connect_advice(address->family, race->status);
    char text[128];

    err_set(&dial->err, race->status, "%s", uv_strerror_r(race->status, text, sizeof text));
    if (advice)
        err_hint(&dial->err, advice);
    if (race->count > 1 &&
        uv_ip_name((const struct sockaddr *)&address->sa, text, sizeof text) == 0)
        err_prefix(&dial->err, "%s", text);
}

static void on_raced(struct race *race, int status)
{
    struct dial *dial = list_entry(race, struct dial, race);

    if (status == 0) {
        finish(dial, true);
        return;
    }
    set_reason(dial);
    if (!ask_anew(dial, status))
        end_round(dial);
}

static void start_race(struct dial *dial, int count)
{
    dial->race.count = count;
    race_start(&dial->race, dial->loop, &dial->plan, dial->conn, on_raced);
}

static void on_resolved(void *arg, const struct err *err, const struct address *addresses,
                        int count)
{
    struct dial *dial = arg;

    dial->resolve = NULL;
    if (err) {
        dial->err = *err;
        end_round(dial);
        return;
    }
    for (int i = 0; i < count; i++)
        dial->race.addresses[i] = addresses[i];
    start_race(dial, count);
}

static void on_deadline(struct timer *timer)
{
    struct dial *dial = list_entry(timer, struct dial, deadline);

    race_stop(&dial->race);
    if (dial->resolve) {
        resolve_cancel(dial->resolve);
        dial->resolve = NULL;
        err_system(&dial->err, UV_ETIMEDOUT, "cannot look up its name");
    } else {
        set_reason(dial);
    }
    end_round(dial);
}

static void on_at_once(struct task *task)
{
    struct dial *dial = list_entry(task, struct dial, at_once);

    if (conn_is_open(dial->conn))
        finish(dial, true);
    else
        end_round(dial);
}

/* The round's outcome is known already. */
static void end_at_once(struct dial *dial)
{
    loop_defer(dial->loop, &dial->at_once);
}

static void look_up(struct dial *dial)
{
    dial->resolve = resolve_start(dial->loop, dial->plan.target, on_resolved, dial);
    if (!dial->resolve) {
        err_system(&dial->err, UV_ENOMEM, "cannot look up its name");
        end_at_once(dial);
    }
}

/* As resolve_literal. An IP address is read once a forward, not once a session. */
static int find_literal(struct dial *dial)
{
    struct address *first = &dial->race.addresses[0];

    if (!dial->plan.ip)
        return resolve_literal(dial->plan.target, first, &dial->err);
    *first = *dial->plan.ip;
    return 1;
}

static void start_round(struct dial *dial)
{
    int known;

    dial->asked_anew = false;
    if (family_is_single(dial->plan.target->family)) {
        if (conn_open_single(dial->conn, dial->loop, dial->plan.target, dial->plan.options,
                             &dial->err) != 0)
            dial->give_up = 0; /* no later round could do better */
        end_at_once(dial);
        return;
    }
    dial->race.deadline = uv_now(&dial->loop->uv) + dial->plan.timeout;
    timer_set(&dial->loop->timers, &dial->deadline, dial->plan.timeout);
    known = find_literal(dial);
    if (known > 0) {
        start_race(dial, 1);
    } else if (known == 0) {
        look_up(dial);
    } else {
        dial->give_up = 0;
        end_at_once(dial);
    }
}

struct dial *dial_start(struct loop *loop, const struct dial_plan *plan, struct conn *conn,
                        dial_done *done, void *arg)
{
    struct dial *dial = malloc(sizeof *dial);

    if (!dial)
        return NULL;
    memset(dial, 0, offsetof(struct dial, race));
    dial->race.count = 0;
    dial->loop = loop;
    dial->plan = *plan;
    dial->conn = conn;
    dial->done = done;
    dial->arg = arg;
    dial->pause_length = FIRST_PAUSE;
    dial->give_up = uv_now(&loop->uv) + plan->retry;
    task_init(&dial->at_once, on_at_once);
    timer_init(&dial->deadline, on_deadline);
    timer_init(&dial->pause, on_pause_over);
    conn_init(conn);
    start_round(dial);
    return dial;
}

void dial_cancel(struct dial *dial)
{
    task_cancel(&dial->at_once);
    timer_clear(&dial->loop->timers, &dial->deadline);
    timer_clear(&dial->loop->timers, &dial->pause);
    if (dial->resolve)
        resolve_cancel(dial->resolve);
    race_stop(&dial->race);
    conn_close(dial->conn, CONN_RESET); /* the target may have seen it connect already */
    free(dial);
}
