#include "engine.h"

#include "flow.h"

#include <stdlib.h>

struct engine {
    struct relay relay;
    struct pumps *pumps;
    struct flow flows[2]; /* by the side they come from */
    struct task turn;     /* to go on, after the other sessions had theirs */
};

static void close_engine(struct engine *engine, enum conn_end how, struct relay_end *end)
{
    const struct relay_owner *owner = engine->relay.owner;
    void *arg = engine->relay.arg;

    task_cancel(&engine->turn);
    for (int side = CLIENT; side <= TARGET; side++) {
        end->delivered[side] = engine->relay.delivered[side];
        end->lost[side] = flow_pending(&engine->flows[side]);
        flow_close(&engine->flows[side], engine->pumps);
        conn_close(engine->relay.side[side], how);
    }
    free(engine);
    owner->done(arg, end);
}

/* One side has failed. What it still had for the other is delivered, as far as that goes without
 * waiting; then both are reset. */
static void fail(struct engine *engine, const struct flow_fault *fault)
{
    int side = fault->side == engine->relay.side[TARGET];
    struct relay_end end = {.broken = true};

    flow_drain(&engine->flows[side], engine->pumps);
    err_system(&end.reason, uv_translate_sys_error(-fault->error),
               side == TARGET ? "target" : "client");
    close_engine(engine, CONN_RESET, &end);
}

/* The kernel tells a reset to whichever call comes first, and only once: after this the next read
 * would look like a clean EOF. So the event itself is followed up. */
static bool has_failed(struct conn *conn, struct flow_fault *fault)
{
    if (!conn->failed)
        return false;
    conn->failed = false;
    *fault = (struct flow_fault){conn, conn_take_error(conn)};
    return fault->error != 0;
}

static void run(struct engine *engine)
{
    struct relay *relay = &engine->relay;
    uint64_t before = relay->delivered[CLIENT] + relay->delivered[TARGET];
    bool was_half_closed = engine->flows[CLIENT].ended || engine->flows[TARGET].ended;
    enum flow_state state[2];
    struct flow_fault fault;

    for (int side = CLIENT; side <= TARGET; side++) {
        state[side] = FLOW_BROKEN;
        if (!has_failed(relay->side[side], &fault))
            state[side] = flow_run(&engine->flows[side], engine->pumps, &fault);
        if (state[side] == FLOW_BROKEN) {
            fail(engine, &fault);
            return;
        }
    }
    if (state[CLIENT] == FLOW_ENDED && state[TARGET] == FLOW_ENDED) {
        struct relay_end end = {.broken = false};

        close_engine(engine, CONN_CLOSE, &end);
        return;
    }
    if (relay->delivered[CLIENT] + relay->delivered[TARGET] != before)
        relay->active = uv_now(&engine->pumps->loop->uv);
    if (state[CLIENT] == FLOW_MORE || state[TARGET] == FLOW_MORE)
        loop_defer(engine->pumps->loop, &engine->turn);
    if (!was_half_closed && (state[CLIENT] == FLOW_ENDED || state[TARGET] == FLOW_ENDED))
        relay->owner->half_closed(relay->arg);
}

static void on_ready(struct conn *conn)
{
    run(conn->owner);
}

static void on_turn(struct task *task)
{
    run(list_entry(task, struct engine, turn));
}

static void abort_engine(struct relay *relay, const struct err *reason)
{
    struct relay_end end = {.broken = true, .reason = *reason};

    close_engine((struct engine *)(void *)relay, CONN_RESET, &end);
}

static const struct relay_pump engine_pump = {abort_engine};

struct relay *engine_start(struct pumps *pumps, enum pump pump, struct conn *client,
                           struct conn *target, const struct relay_owner *owner, void *arg,
                           struct err *err)
{
    struct engine *engine = calloc(1, sizeof *engine);
    struct relay *relay = &engine->relay;

    if (!engine) {
        err_system(err, UV_ENOMEM, "cannot start the relay");
        return NULL;
    }
    engine->pumps = pumps;
    *relay = (struct relay){
        .pump = &engine_pump,
        .owner = owner,
        .arg = arg,
        .side = {client, target},
        .active = uv_now(&pumps->loop->uv),
    };
    flow_init(&engine->flows[CLIENT], client, target, pump, &relay->delivered[CLIENT]);
    flow_init(&engine->flows[TARGET], target, client, pump, &relay->delivered[TARGET]);
    task_init(&engine->turn, on_turn);
    for (int side = CLIENT; side <= TARGET; side++) {
        relay->side[side]->writable = true; /* to begin with; the kernel says otherwise */
        relay->side[side]->owner = engine;
        relay->side[side]->ready = on_ready;
    }
    loop_defer(pumps->loop, &engine->turn);
    return relay;
}
