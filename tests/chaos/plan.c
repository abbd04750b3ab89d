#include "plan.h"

#include "../lib/random.h"

#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)

enum { FAMILIES_MAX = 16 };

const char *const leave_names[LEAVE_STATES] = {"queue", "dialling", "relaying", "half-closed",
                                               "draining"};

uint64_t draw(uint64_t *random, uint64_t n)
{
    return (random_next(random) >> 16) % n;
}

static bool chance(uint64_t *random, unsigned percent)
{
    return draw(random, 100) < percent;
}

void plan_scenario(uint64_t *random, struct plan *plan)
{
    static const enum ending endings[] = {ENDING_CALM,  ENDING_CALM,  ENDING_CALM,  ENDING_CALM,
                                          ENDING_DRAIN, ENDING_DRAIN, ENDING_ABORT, ENDING_KILL};
    static const unsigned workers[] = {1, 2, 8};

    plan->workers = workers[draw(random, sizeof workers / sizeof *workers)];
    plan->lanes = (unsigned)draw(random, LANES_MAX) + 1;
    plan->sessions = (unsigned)draw(random, SESSIONS_MAX) + 1;
    plan->live = (unsigned)draw(random, 40) + 1;
    for (int i = 0; i < LEAVE_STATES; i++)
        plan->leave[i] = chance(random, 30) ? (unsigned)draw(random, 40) : 0;
    plan->patient = chance(random, 40);
    plan->restart_chance = chance(random, 30) ? 100 : 0;
    plan->reload_chance = chance(random, 40) ? 400 : 0;
    plan->standing = chance(random, 50) ? 2 : 0;
    plan->shared = chance(random, 10) ? 1u << draw(random, 5) : 0;
    plan->json = chance(random, 30);
    plan->to_file = chance(random, 30);
    plan->log_chance = chance(random, 40) ? 200 : 0;
    plan->hold_chance = chance(random, 30) ? 100 : 0;
    plan->stall_chance = chance(random, 20) ? 200 : 0;
    plan->ending = endings[draw(random, sizeof endings / sizeof *endings)];
    plan->end_after = (unsigned)draw(random, plan->sessions) + 1;
}

enum mistake plan_mistake(uint64_t *random)
{
    static const enum mistake mistakes[] = {MISTAKE_KEY, MISTAKE_LOG, MISTAKE_ADDRESS};

    return chance(random, 60) ? MISTAKE_NONE : mistakes[draw(random, 3)];
}

/* Of those that can be opened here; TCP, which has resets, every other time. hyperv names are
 * vsock's on Linux. */
static const struct family *draw_family(uint64_t *random)
{
    static const struct family *usable[FAMILIES_MAX];
    static size_t count;

    if (count == 0)
        for (const struct family *family = families; family->name != NULL; family++)
            if (family->missing() == NULL && strncmp(family->name, "hyperv", 6) != 0)
                usable[count++] = family;
    return usable[count < 2 || chance(random, 50) ? 0 : draw(random, count)];
}

static void set_no_limits(struct lane *lane)
{
    lane->limits = "";
    lane->breaks = NULL;
    lane->size_max = 6 * MIB;
}

void plan_limits(uint64_t *random, struct lane *lane)
{
    static const struct {
        const char *lines, *breaks;
        uint64_t size_max;
    } limits[] = {
        {"max_sessions = 2\n", NULL, 256 * KIB},
        {"session_rate_limit = 4MiB/s\n", NULL, 128 * KIB},
        {"rate_limit = 16MiB/s\n", NULL, 128 * KIB},
        {"max_pending = 1\n", NULL, 256 * KIB},
        {"idle_timeout = 30ms\n", "idle_timeout", 256 * KIB},
        {"half_close_timeout = 20ms\n", "half_close_timeout", 256 * KIB},
        {"session_timeout = 40ms\n", "session_timeout", 4 * MIB},
    };
    size_t which = draw(random, 2 * sizeof limits / sizeof *limits);

    set_no_limits(lane);
    if (which < sizeof limits / sizeof *limits) {
        lane->limits = limits[which].lines;
        lane->breaks = limits[which].breaks;
        lane->size_max = limits[which].size_max;
    }
}

void plan_change(uint64_t *random, struct lane *lane)
{
    static const char *const pumps[] = {"splice", "copy", "stream", "auto"};

    lane->pump = pumps[draw(random, 4)];
}

void plan_lane(uint64_t *random, struct lane *lane)
{
    lane->front = draw_family(random);
    lane->back = draw_family(random);
    plan_change(random, lane);
    plan_limits(random, lane);
    lane->naming = NAMING_NONE;
    if (names_are_there() && lane->back == family_named("tcp") && chance(random, 20))
        lane->naming = chance(random, 50) ? NAMING_ONE : NAMING_TWO;
}

void plan_plain_lane(uint64_t *random, struct lane *lane)
{
    lane->front = lane->back = family_named("tcp");
    plan_change(random, lane);
    set_no_limits(lane);
}

/* Of every order of magnitude, the small ones more often. */
static uint64_t draw_size(uint64_t *random, uint64_t most)
{
    static const uint64_t scales[] = {1, HELLO, 400, 8 * KIB, 100 * KIB, 100 * KIB, MIB, 6 * MIB};
    uint64_t scale = scales[draw(random, sizeof scales / sizeof *scales)];

    if (scale >= MIB && chance(random, 60))
        scale = 300 * KIB;
    return draw(random, (scale < most ? scale : most) + 1);
}

/* Some hundred moves at most. */
static size_t draw_chunk(uint64_t *random, uint64_t size)
{
    uint64_t least = size / 100 + 1;
    return (size_t)(least + draw(random, chance(random, 40) ? least : 256 * KIB - least));
}

void plan_pipeline(uint64_t *random, struct pipeline_plan *plan)
{
    static const char *const pumps[] = {"splice", "copy", "stream", "auto"};

    *plan = (struct pipeline_plan){
        .pump = pumps[draw(random, 4)],
        .up = draw_size(random, 6 * MIB),
        .down = draw_size(random, 6 * MIB),
        .output_goes = NEVER,
        .target_goes = NEVER,
    };
    if (chance(random, 25)) {
        plan->input_is_cut = true;
        plan->cut_after = draw(random, plan->up + 1);
    }
    if (chance(random, 25))
        plan->output_goes = draw(random, plan->down + 1);
    plan->quiet = plan->output_goes != NEVER && chance(random, 50);
    if (chance(random, 20))
        plan->target_goes = draw(random, plan->up + plan->down + 1);
}

static enum finish draw_finish(uint64_t *random, const struct lane *lane)
{
    if (lane->breaks != NULL && chance(random, 30))
        return FINISH_STALL;
    return chance(random, 10) ? FINISH_CLOSE : FINISH_END;
}

/* A reset at any moment: before anything, after some bytes in either direction, or whenever. */
static void draw_abort(uint64_t *random, struct end_plan *plan, uint64_t other_size, uint64_t step)
{
    plan->abort_sent = plan->abort_received = plan->abort_step = NEVER;
    plan->abort_after_end = NEVER;
    if (!chance(random, 12))
        return;
    switch (draw(random, 4)) {
    case 0:
        plan->abort_sent = draw(random, plan->size + 1);
        break;
    case 1:
        plan->abort_received = draw(random, other_size + 1);
        break;
    case 2:
        plan->abort_step = step + draw(random, 4);
        break;
    default:
        plan->abort_step = step + draw(random, 60);
    }
}

void plan_session(uint64_t *random, const struct lane *lane, uint64_t step,
                  struct end_plan plans[2])
{
    for (int side = CLIENT; side <= TARGET; side++) {
        struct end_plan *plan = &plans[side];
        bool hello = side == CLIENT && lane_needs_hello(lane);

        plan->size = draw_size(random, lane->size_max);
        if (hello && plan->size < HELLO)
            plan->size = HELLO;
        plan->finish = draw_finish(random, lane);
        plan->write_max = draw_chunk(random, plan->size);
        plan->pause_chance = chance(random, 30) ? (unsigned)draw(random, 256) : 0;
        plan->pause_max = (unsigned)draw(random, 12);
        plan->urgent_chance = chance(random, 10) ? (unsigned)draw(random, 256) : 0;
        plan->first_read = chance(random, 15) ? step + draw(random, 60) : 0;
    }
    plans[CLIENT].read_max = draw_chunk(random, plans[TARGET].size);
    plans[TARGET].read_max = draw_chunk(random, plans[CLIENT].size);
    if (plans[TARGET].finish == FINISH_STALL) /* or half_close_timeout would wait for ever */
        plans[CLIENT].finish = FINISH_END;
    draw_abort(random, &plans[CLIENT], plans[TARGET].size, step);
    draw_abort(random, &plans[TARGET], plans[CLIENT].size, step);
}

enum leave plan_leave(uint64_t *random, const struct plan *plan, uint64_t step,
                      struct end_plan plans[2])
{
    struct end_plan *client = &plans[CLIENT];
    enum leave leave = LEAVE_QUEUE;

    while (leave < LEAVE_DRAINING && !chance(random, plan->leave[leave]))
        leave++;
    switch (leave) {
    case LEAVE_QUEUE:
    case LEAVE_DIALLING:
        client->abort_step = step + draw(random, 3);
        break;
    case LEAVE_RELAYING:
        client->abort_received = draw(random, plans[TARGET].size + 1) | 1;
        break;
    case LEAVE_HALF_CLOSED:
        client->finish = FINISH_END;
        client->abort_after_end = draw(random, 20);
        break;
    default:
        return LEAVE_STATES;
    }
    return leave;
}
