#include "scenario.h"

#include "../lib/clock.h"
#include "stage.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
    LOG_LINES = 60,
    PIPELINES = 16,     /* of a scenario; each eighth one is of them alone */
    PIPES_KEPT = 2 * 8, /* descriptors of a worker; relay/linux/pipe.c keeps so many for reuse */
    POOL_THREADS = 4,   /* libuv's */
};

struct scenario_totals scenario_totals;
bool scenario_verbose;

static struct scenario now; /* the one that runs; large, and main.c asks for it after a failure */

/* NULL: nothing may break a session that begins here now. */
static const char *breaks(const struct scenario *scenario, const struct lane *lane)
{
    if (!lane->served)
        return "its target is away";
    if (lane->naming != NAMING_NONE && scenario->plan.stall_chance > 0)
        return "its name server stalls";
    return lane->breaks;
}

static void begin_session(struct scenario *scenario)
{
    struct crowd *crowd = &scenario->crowd;
    struct lane *lane = &crowd->lanes[draw(&scenario->random, crowd->lane_count)];
    struct end_plan plans[2];
    enum leave leave;

    if (!lane_is_free(lane) || scenario->reloading)
        return;
    plan_session(&scenario->random, lane, crowd->step, plans);
    leave = plan_leave(&scenario->random, &scenario->plan, crowd->step, plans);
    if (leave < LEAVE_STATES)
        scenario_totals.left[leave]++;
    if (leave == LEAVE_QUEUE)
        meddle_hold(scenario);
    (void)crowd_begin(crowd, lane, plans, breaks(scenario, lane));
}

static void begin_sessions(struct scenario *scenario)
{
    for (int tries = 0; tries < 4; tries++)
        if (!scenario->ending && scenario->crowd.begun < scenario->plan.sessions &&
            crowd_live(&scenario->crowd) < scenario->plan.live)
            begin_session(scenario);
}

static bool is_over(const struct scenario *scenario)
{
    return crowd_is_over(&scenario->crowd) && !scenario->reloading &&
           (scenario->ending || scenario->crowd.begun == scenario->plan.sessions);
}

static void play(struct scenario *scenario)
{
    while (!is_over(scenario)) {
        meddle(scenario);
        begin_sessions(scenario);
        sharers_step(&scenario->sharers);
        if (scenario->held == 0)
            standing_exchange(&scenario->standing);
        crowd_step(&scenario->crowd, scenario->plan.patient);
    }
}

/* What may stay for reuse: pipes, and what libuv makes with a loop's first stream, and its pool's
 * threads. */
static const char *excess(const struct scenario *scenario, const struct usage *now)
{
    const struct usage *then = &scenario->at_rest;
    int workers = (int)scenario->plan.workers;
    int standing = (int)scenario->standing.count;

    if (now->open.sockets != scenario->sockets + (int)scenario->listening + 2 * standing)
        return "sockets";
    if (now->open.pipes > then->open.pipes + PIPES_KEPT * workers)
        return "pipes";
    if (now->open.others > then->open.others + workers + 1)
        return "descriptors";
    return now->threads > then->threads + POOL_THREADS ? "threads" : NULL;
}

static void expect_quiet(struct scenario *scenario)
{
    uint64_t deadline = clock_ms() + PATIENCE_MS;
    struct usage usage;
    const char *what;

    scenario->crowd.deadline = 0; /* ours comes first, and tells more */
    while (usage = stage_usage(scenario), (what = excess(scenario, &usage)) != NULL) {
        if (clock_left_ms(deadline) == 0)
            chaos_fail(NULL,
                       "no session is left but %u, and the relay has too many %s: %d sockets, %d "
                       "ends of pipes, %d others, %u threads (at first %d, %d, %d, %u)",
                       scenario->standing.count, what, usage.open.sockets, usage.open.pipes,
                       usage.open.others, usage.threads, scenario->at_rest.open.sockets,
                       scenario->at_rest.open.pipes, scenario->at_rest.open.others,
                       scenario->at_rest.threads);
        meddle_let_go(scenario);
        standing_exchange(&scenario->standing);
        crowd_step(&scenario->crowd, true);
    }
}

/* Whom the relay took from its queue only now may still come to a target. */
static int await_exit(struct scenario *scenario)
{
    uint64_t deadline = clock_ms() + PATIENCE_MS;
    int code;

    while ((code = relay_wait(scenario->relay, 0)) < 0) {
        if (clock_left_ms(deadline) == 0)
            chaos_fail(NULL, "the relay does not end");
        crowd_step(&scenario->crowd, true);
    }
    return code;
}

static void expect_clean_log(struct scenario *scenario)
{
    static const char *const bad[][2] = {{"Sanitizer", NULL},
                                         {"runtime error", NULL},
                                         {"Assertion", NULL},
                                         {"cannot accept for now", NULL}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (journal_has(&scenario->journal, 0, bad[i]))
            chaos_fail(NULL, "the relay's log has '%s'", bad[i][0]);
}

static void stop(struct scenario *scenario)
{
    bool killed = scenario->ending && scenario->plan.ending == ENDING_KILL;
    int code;

    if (!scenario->ending) {
        meddle_let_go(scenario);
        sharers_go_on(&scenario->sharers);
    }
    sharers_end(&scenario->sharers);
    if (!scenario->ending)
        expect_quiet(scenario);
    meddle_let_go(scenario);
    standing_close(&scenario->standing);
    if (!scenario->ending) {
        expect_quiet(scenario);
        relay_ask_to_stop(scenario->relay);
    }
    code = await_exit(scenario);
    if (code != (killed ? 128 + SIGKILL : 0))
        chaos_fail(NULL, "the relay's exit code is %d", code);
    expect_clean_log(scenario);
    if (!killed && !scenario->soaks && scenario->plan.log_chance == 0)
        account_check(scenario);
}

static void prepare(struct scenario *scenario, uint64_t seed, uint64_t number)
{
    memset(scenario, 0, sizeof *scenario);
    scenario->random = ((seed + number) * UINT64_C(0x9E3779B97F4A7C15) ^ number << 32) | 1;
    for (int i = 0; i < 8; i++)
        (void)draw(&scenario->random, 2);
    plan_scenario(&scenario->random, &scenario->plan);
}

/* One after the other, to a target of any family. */
static void run_pipelines(struct scenario *scenario, const char *program)
{
    struct lane lane = {0};

    plan_lane(&scenario->random, &lane);
    for (int i = 0; i < PIPELINES; i++) {
        struct pipeline_plan plan;

        lane.target = listener_open(lane.back, LISTENER_ACCEPTING);
        plan_pipeline(&scenario->random, &plan);
        plan.program = program;
        plan.resets = lane.back->resets == RESETS_ALWAYS;
        (void)pipeline_run(&plan, lane.target);
        listener_close(lane.target);
        scenario_totals.pipelines++;
    }
    scratch_remove();
}

void scenario_run(const char *program, uint64_t seed, uint64_t number)
{
    prepare(&now, seed, number);
    if (number % 8 == 7) {
        run_pipelines(&now, program);
        return;
    }
    stage_open(&now, program);
    if (scenario_verbose)
        describe(stdout, &now);
    play(&now);
    stop(&now);
    stage_close(&now);
    scenario_totals.scenarios++;
}

/* ---- a soak ---- */

static void plan_round(struct scenario *scenario)
{
    plan_scenario(&scenario->random, &scenario->plan);
    scenario->plan.workers = SOAK_WORKERS;
    scenario->plan.lanes = LANES_MAX;
    scenario->plan.ending = ENDING_CALM;
    scenario->plan.standing = STANDING_SESSIONS;
    scenario->plan.to_file = scenario->plan.json = false; /* as it was started */
    scenario->plan.log_chance = scenario->plan.shared = 0;
}

int scenario_open(const char *program, uint64_t seed)
{
    prepare(&now, seed, 0);
    now.soaks = true;
    plan_round(&now);
    stage_open(&now, program);
    return relay_pid(now.relay);
}

/* The lane of the standing sessions stays without limits. */
static void change_limits(struct scenario *scenario)
{
    for (unsigned i = 1; i < scenario->crowd.lane_count; i++)
        if (scenario->crowd.lanes[i].present)
            plan_limits(&scenario->random, &scenario->crowd.lanes[i]);
    meddle_reload(scenario, MISTAKE_NONE);
}

void scenario_round(void)
{
    plan_round(&now);
    now.crowd.begun = now.reloads = 0;
    change_limits(&now);
    if (scenario_verbose)
        describe(stdout, &now);
    play(&now);
    expect_quiet(&now);
    meddle_let_go(&now);
    crowd_fence(&now.crowd);
    expect_quiet(&now);
    crowd_meet_ghosts(&now.crowd);
    expect_clean_log(&now);
    relay_log_forget(now.relay);
    scenario_totals.scenarios++;
}

void scenario_close(void)
{
    stop(&now);
    stage_close(&now);
}

void scenario_abandon(void)
{
    describe(stderr, &now);
    journal_print(&now.journal, LOG_LINES);
    pipeline_abandon();
    stage_close(&now);
}
