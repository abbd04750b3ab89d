#include "engine.h"

#include "flow.h"

#include <stdlib.h>

/* Only where there is a limit on bandwidth. */
struct engine_limits {
    struct limit limits[2]; /* by the side a direction comes from */
    struct timer timer;     /* until one of them may go on */
    struct engine *engine;
};

struct engine {
    struct relay relay;
    struct pumps *pumps;
    struct flow flows[2]; /* by the side they come from */
    struct task turn;     /* to go on, after the other sessions had theirs */
    struct engine_limits *limits;
};

static void close_limits(struct engine *engine)
{
    struct engine_limits *limits = engine->limits;

    if (!limits)
        return;
    timer_clear(&engine->pumps->loop->timers, &limits->timer);
    for (int side = CLIENT; side <= TARGET; side++)
        limit_leave(&limits->limits[side], LIMIT_NOTHING);
    free(limits);
}

static void close_engine(struct engine *engine, enum conn_end how, struct relay_end *end)
{
    const struct relay_owner *owner = engine->relay.owner;
    void *arg = engine->relay.arg;

    task_cancel(&engine->turn);
    close_limits(engine);
    for (int side = CLIENT; side <= TARGET; side++) {
        end->delivered[side] = engine->relay.delivered[side];
        end->lost[side] = flow_pending(&engine->flows[side]);
        flow_close(&engine->flows[side], engine->pumps);
        conn_close(engine->flows[side].from, how);
    }
    free(engine);
    owner->done(arg, end);
}

/* One side has failed. What it still had for the other is delivered, as far as that goes without
 * waiting; then both are reset. */
static void fail(struct engine *engine, const struct flow_fault *fault)
{
    int side = fault->side == engine->flows[TARGET].from;
    struct relay_end end;

    flow_drain(&engine->flows[side], engine->pumps);
    relay_end_broken(&end, fault->side, side, fault->reading,
                     uv_translate_sys_error(-fault->error));
    close_engine(engine, CONN_RESET, &end);
}

/* The kernel tells a reset to whichever call comes first, and only once: after this the next read
 * would look like a clean EOF. So the event itself is followed up. */
static bool has_failed(struct conn *conn, struct flow_fault *fault)
{
    if (!conn->failed)
        return false;
    conn->failed = false;
    *fault = (struct flow_fault){conn, conn_take_error(conn), false};
    return fault->error != 0;
}

/* After both flows have run. One that waits for bandwidth keeps its turn, one whose own turn is
 * over what it was granted; any other leaves its share to those who can use it. */
static void share_bandwidth(struct engine *engine, const enum flow_state state[2])
{
    struct relay *relay = &engine->relay;
    uint64_t wait = UINT64_MAX;

    if (relay->active == RELAY_HELD_BACK)
        relay->active = uv_now(&engine->pumps->loop->uv);
    for (int side = CLIENT; side <= TARGET; side++) {
        if (state[side] == FLOW_LATER && engine->flows[side].wait < wait)
            wait = engine->flows[side].wait;
        else if (state[side] != FLOW_LATER && state[side] != FLOW_MORE)
            limit_leave(&engine->limits->limits[side], LIMIT_NOTHING);
    }
    if (wait == UINT64_MAX)
        return;
    relay->active = RELAY_HELD_BACK;
    timer_set(&engine->pumps->loop->timers, &engine->limits->timer, wait);
}

/* One side has ended, is gone for good, and nothing is on its way to it: what comes from the other
 * side could not be delivered. What it has sent has arrived there: when it does, TCP tells of an
 * event. Asked only where nothing else is left to do. */
static bool is_deserted(const struct engine *engine, const enum flow_state state[2])
{
    for (int side = CLIENT; side <= TARGET; side++) {
        if (state[side] == FLOW_ENDED && state[!side] == FLOW_WAITS &&
            flow_pending(&engine->flows[!side]) == 0 && conn_has_left(engine->flows[side].from) &&
            !conn_has_unsent(engine->flows[side].to))
            return true;
    }
    return false;
}

static void run(struct engine *engine)
{
    struct relay *relay = &engine->relay;
    uint64_t before = relay->delivered[CLIENT] + relay->delivered[TARGET];
    bool moved, was_half_closed = engine->flows[CLIENT].ended || engine->flows[TARGET].ended;
    enum flow_state state[2];
    struct flow_fault fault;

    for (int side = CLIENT; side <= TARGET; side++) {
        state[side] = FLOW_BROKEN;
        if (!has_failed(engine->flows[side].from, &fault))
            state[side] = flow_run(&engine->flows[side], engine->pumps, &fault);
        if (state[side] == FLOW_BROKEN) {
            fail(engine, &fault);
            return;
        }
    }
    moved = relay->delivered[CLIENT] + relay->delivered[TARGET] != before;
    if ((state[CLIENT] == FLOW_ENDED && state[TARGET] == FLOW_ENDED) ||
        ((!moved || !was_half_closed) && is_deserted(engine, state))) {
        struct relay_end end = {.broken = false};

        close_engine(engine, CONN_CLOSE, &end);
        return;
    }
    if (moved)
        relay->active = uv_now(&engine->pumps->loop->uv);
    if (state[CLIENT] == FLOW_MORE || state[TARGET] == FLOW_MORE)
        loop_defer(engine->pumps->loop, &engine->turn);
    if (engine->limits)
        share_bandwidth(engine, state);
    if (!was_half_closed && (state[CLIENT] == FLOW_ENDED || state[TARGET] == FLOW_ENDED))
        relay->owner->half_closed(relay->arg, true);
}

static bool is_bulk(const struct engine *engine)
{
    return engine->flows[CLIENT].bulk || engine->flows[TARGET].bulk;
}

/* Small traffic goes on at once. Bulk waits until all that is small has been served. */
static void on_ready(struct conn *conn)
{
    struct engine *engine = conn->owner;

    if (is_bulk(engine))
        loop_defer(engine->pumps->loop, &engine->turn);
    else
        run(engine);
}

/* One bulk turn, and small traffic is looked after again. */
static void on_turn(struct task *task)
{
    struct engine *engine = list_entry(task, struct engine, turn);

    if (is_bulk(engine))
        loop_yield(engine->pumps->loop);
    run(engine);
}

static void abort_engine(struct relay *relay, const struct err *reason)
{
    struct relay_end end = {.broken = true, .reason = *reason};

    close_engine((struct engine *)(void *)relay, CONN_RESET, &end);
}

static const struct relay_pump engine_pump = {abort_engine};

static void on_bandwidth(struct timer *timer)
{
    run(list_entry(timer, struct engine_limits, timer)->engine);
}

/* Returns 0 or -1 (no memory). */
static int set_limits(struct engine *engine, const struct relay_plan *plan)
{
    if (!relay_is_limited(plan))
        return 0;
    engine->limits = malloc(sizeof *engine->limits);
    if (!engine->limits)
        return -1;
    engine->limits->engine = engine;
    timer_init(&engine->limits->timer, on_bandwidth);
    for (int side = CLIENT; side <= TARGET; side++)
        relay_limit(&engine->limits->limits[side], plan, side);
    return 0;
}

struct relay *engine_start(struct pumps *pumps, const struct relay_plan *plan, struct err *err)
{
    struct conn *const sides[] = {plan->client, plan->target};
    struct engine *engine = calloc(1, sizeof *engine);
    struct relay *relay;

    if (!engine || set_limits(engine, plan) != 0) {
        free(engine);
        err_system(err, UV_ENOMEM, "cannot start the relay");
        return NULL;
    }
    engine->pumps = pumps;
    relay = &engine->relay;
    *relay = (struct relay){
        .pump = &engine_pump,
        .owner = plan->owner,
        .arg = plan->arg,
        .active = uv_now(&pumps->loop->uv),
    };
    for (int side = CLIENT; side <= TARGET; side++) {
        flow_init(&engine->flows[side], sides[side], sides[!side], plan->pump,
                  &relay->delivered[side]);
        if (engine->limits)
            engine->flows[side].limit = &engine->limits->limits[side];
        sides[side]->writable = true; /* to begin with; the kernel says otherwise */
        sides[side]->owner = engine;
        sides[side]->ready = on_ready;
    }
    task_init(&engine->turn, on_turn);
    loop_defer_ahead(pumps->loop, &engine->turn); /* of bulk turns: somebody waits for an answer */
    return relay;
}
