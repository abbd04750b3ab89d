#include "scenario.h"

#include "../lib/check.h"
#include "../lib/clock.h"
#include "../lib/linux/socket.h"
#include "../lib/os.h"
#include "../lib/relay.h"
#include "plan.h"
#include "standing.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { LOG_LINES = 60, RELOADS_MAX = 8 };

struct scenario {
    struct plan plan;
    uint64_t random;
    struct relay *relay;
    char path[200]; /* of the configuration */
    struct crowd crowd;
    bool soaks; /* the relay lives through many rounds, with a plain lane for who stands */
    struct standing standing;
    unsigned listening; /* sockets that the relay listens on */
    int sockets;        /* it has open besides those and its sessions' */
    bool ending;        /* the relay has been told to end: no session begins any more */

    /* A reload that the relay has not told the end of yet. */
    bool reloading, mistaken;
    unsigned reloads;
    size_t log_mark;
};

struct scenario_totals scenario_totals;

static struct scenario now; /* the one that runs; large, and main.c asks for it after a failure */

/* ---- the configuration ---- */

static void write_config(struct scenario *scenario)
{
    FILE *file = fopen(scenario->path, "w");

    assert_non_null(file);
    fprintf(file, "[hvrelay]\nworkers = %u\n", scenario->plan.workers);
    for (unsigned i = 0; i < scenario->crowd.lane_count; i++) {
        const struct lane *lane = &scenario->crowd.lanes[i];
        if (lane->present)
            fprintf(file, "[forward %s]\nlisten = %s\nconnect = %s\npump = %s\n%s\n", lane->name,
                    lane->listen, listener_endpoint(lane->target), lane->pump, lane->limits);
    }
    assert_int_equal(fclose(file), 0);
}

/* A port that is not asked for by number is known only from the relay's first words: such a lane
 * can't be one that comes later. The first one is always there: a relay needs a forward. */
static bool may_be_absent(const struct lane *lane, unsigned index)
{
    return index > 0 && lane->limits[0] == '\0' && strcmp(lane->front->name, "tcp") != 0;
}

static void open_lanes(struct scenario *scenario)
{
    for (unsigned i = 0; i < scenario->crowd.lane_count; i++) {
        struct lane *lane = &scenario->crowd.lanes[i];

        if (scenario->soaks && i == 0)
            plan_plain_lane(&scenario->random, lane);
        else
            plan_lane(&scenario->random, lane);
        snprintf(lane->name, sizeof lane->name, "lane%u", i);
        lane->front->fresh(lane->listen);
        lane->endpoint = lane->listen;
        lane->target = listener_open(lane->back, LISTENER_ACCEPTING);
        lane->served = true;
        lane->present = !may_be_absent(lane, i) || draw(&scenario->random, 4) > 0;
    }
}

static int sockets_of(const struct scenario *scenario)
{
    struct os_descriptors open = {0};
    (void)os_descriptors_of(relay_pid(scenario->relay), &open);
    return open.sockets;
}

static void start(struct scenario *scenario, const char *program)
{
    scenario->crowd.lane_count = scenario->plan.lanes;
    snprintf(scenario->path, sizeof scenario->path, "%s/chaos.conf", scratch_folder());
    open_lanes(scenario);
    write_config(scenario);
    scenario->relay = relay_start_file(program, scenario->path);
    for (unsigned i = 0; i < scenario->crowd.lane_count; i++) {
        struct lane *lane = &scenario->crowd.lanes[i];
        if (lane->present && strcmp(lane->front->name, "tcp") == 0)
            lane->endpoint = relay_endpoint(scenario->relay, lane->name);
        scenario->listening += lane->present;
    }
    scenario->sockets = sockets_of(scenario) - (int)scenario->listening;
}

/* ---- what happens beside the sessions ---- */

/* What is on this lane (NULL: on any), and whose target is not there yet or (all) also is. */
static void allow_breaks(struct scenario *scenario, const struct lane *lane, bool all,
                         const char *why)
{
    for (unsigned i = 0; i < scenario->crowd.begun; i++) {
        struct session *session = &scenario->crowd.sessions[i];
        if ((lane != NULL && session->lane != lane->name) || session->breakable != NULL)
            continue;
        if (all || session->opening) {
            session->breakable = why;
            session_note(session, "step %" PRIu64 ": %s", scenario->crowd.step, why);
        }
    }
}

/* Clients that wait for their target are told that it is not there; so are those to come. Who waits
 * in the target's queue is reset, where the family has resets; else it is just closed. */
static void restart_some_target(struct scenario *scenario)
{
    struct lane *lane = &scenario->crowd.lanes[draw(&scenario->random, scenario->crowd.lane_count)];

    if (lane->served) {
        if (lane->opening != NULL && lane->back->resets == RESETS_NEVER)
            lane->opening->end[TARGET].closed = true;
        allow_breaks(scenario, lane, false, "its target was away");
        listener_down(lane->target);
        lane->served = false;
        scenario_totals.restarts++;
    } else {
        lane->served = listener_up(lane->target);
    }
}

static void change_lanes(struct scenario *scenario)
{
    for (unsigned i = 0; i < scenario->crowd.lane_count; i++) {
        struct lane *lane = &scenario->crowd.lanes[i];

        if (draw(&scenario->random, 2) == 0)
            plan_change(&scenario->random, lane);
        if (!may_be_absent(lane, i) || draw(&scenario->random, 3) > 0)
            continue;
        if (lane->present)
            allow_breaks(scenario, lane, false, "its forward was removed");
        scenario->listening += lane->present ? -1u : 1u;
        lane->present = !lane->present;
    }
}

/* Lanes that come are used once the relay says that it has them; see hear_of_reload. */
static void ask_for_reload(struct scenario *scenario, bool mistaken)
{
    scenario->mistaken = mistaken;
    scenario->reloading = true;
    scenario->log_mark = relay_log_mark(scenario->relay);
    write_config(scenario);
    if (mistaken) {
        FILE *file = fopen(scenario->path, "a");
        assert_non_null(file);
        fprintf(file, "nonsense = yes\n");
        fclose(file);
    }
    kill(relay_pid(scenario->relay), SIGHUP);
    scenario->reloads++;
    scenario_totals.reloads++;
}

static void reload_some_lanes(struct scenario *scenario)
{
    bool mistaken = draw(&scenario->random, 4) == 0;

    if (!mistaken)
        change_lanes(scenario);
    ask_for_reload(scenario, mistaken);
}

static void hear_of_reload(struct scenario *scenario)
{
    static const char *const done[] = {"info: reloaded", NULL};
    static const char *const refused[] = {"nothing was changed", NULL};

    if (!scenario->reloading)
        return;
    if (relay_log_has(scenario->relay, scenario->log_mark, scenario->mistaken ? refused : done, 0))
        scenario->reloading = false;
    else if (!scenario->mistaken && relay_log_has(scenario->relay, scenario->log_mark, refused, 0))
        chaos_fail(NULL, "a reload was refused");
}

/* The relay ends amid its sessions, in one of three ways. */
static void end_amid(struct scenario *scenario)
{
    scenario->ending = true;
    switch (scenario->plan.ending) {
    case ENDING_KILL:
        allow_breaks(scenario, NULL, true, "the relay was killed");
        kill(relay_pid(scenario->relay), SIGKILL);
        scenario_totals.kills++;
        break;
    case ENDING_ABORT:
        allow_breaks(scenario, NULL, true, "the relay was stopped at once");
        kill(relay_pid(scenario->relay), SIGTERM);
        kill(relay_pid(scenario->relay), SIGINT);
        break;
    default:
        allow_breaks(scenario, NULL, false, "the relay was asked to stop");
        kill(relay_pid(scenario->relay), SIGTERM);
        scenario_totals.drains++;
    }
}

static bool happens(struct scenario *scenario, unsigned chance_of_4096)
{
    return draw(&scenario->random, 4096) < chance_of_4096;
}

static void meddle(struct scenario *scenario)
{
    const struct plan *plan = &scenario->plan;

    hear_of_reload(scenario);
    if (scenario->ending)
        return;
    if (happens(scenario, plan->restart_chance))
        restart_some_target(scenario);
    if (!scenario->reloading && scenario->reloads < RELOADS_MAX &&
        happens(scenario, plan->reload_chance))
        reload_some_lanes(scenario);
    if (plan->ending != ENDING_CALM && scenario->crowd.begun >= plan->end_after &&
        !scenario->reloading && happens(scenario, 400))
        end_amid(scenario);
}

/* ---- from begin to end ---- */

static void begin_session(struct scenario *scenario)
{
    struct crowd *crowd = &scenario->crowd;
    struct lane *lane = &crowd->lanes[draw(&scenario->random, crowd->lane_count)];
    struct end_plan plans[2];

    if (!lane_is_free(lane) || scenario->reloading)
        return;
    plan_session(&scenario->random, lane, crowd->step, plans);
    (void)crowd_begin(crowd, lane, plans, lane->served ? lane->breaks : "its target is away");
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
        standing_exchange(&scenario->standing);
        crowd_step(&scenario->crowd, scenario->plan.patient);
    }
}

static void expect_quiet(struct scenario *scenario)
{
    int expected = scenario->sockets + (int)scenario->listening + 2 * (int)scenario->standing.count;
    uint64_t deadline = clock_ms() + PATIENCE_MS;

    scenario->crowd.deadline = 0; /* ours comes first, and tells more */
    while (sockets_of(scenario) != expected) {
        if (clock_left_ms(deadline) == 0)
            chaos_fail(NULL, "no session is left, but the relay has %d sockets open instead of %d",
                       sockets_of(scenario), expected);
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
        if (relay_log_has(scenario->relay, 0, bad[i], 0))
            chaos_fail(NULL, "the relay's log has '%s'", bad[i][0]);
}

static void stop(struct scenario *scenario)
{
    bool killed = scenario->ending && scenario->plan.ending == ENDING_KILL;
    int code;

    if (!scenario->ending) {
        expect_quiet(scenario);
        relay_ask_to_stop(scenario->relay);
    }
    code = await_exit(scenario);
    if (code != (killed ? 128 + SIGKILL : 0))
        chaos_fail(NULL, "the relay's exit code is %d", code);
    expect_clean_log(scenario);
}

static void clean_up(struct scenario *scenario)
{
    peers_close_all();
    relay_free(scenario->relay);
    scenario->relay = NULL;
    for (unsigned i = 0; i < scenario->crowd.lane_count; i++) {
        scenario->crowd.lanes[i].stranger_count = 0;
        lane_close(&scenario->crowd.lanes[i]);
    }
    scratch_remove();
}

static void prepare(struct scenario *scenario, uint64_t seed, uint64_t number)
{
    memset(scenario, 0, sizeof *scenario);
    scenario->random = ((seed + number) * UINT64_C(0x9E3779B97F4A7C15) ^ number << 32) | 1;
    for (int i = 0; i < 8; i++)
        (void)draw(&scenario->random, 2);
    plan_scenario(&scenario->random, &scenario->plan);
}

void scenario_run(const char *program, uint64_t seed, uint64_t number)
{
    prepare(&now, seed, number);
    start(&now, program);
    play(&now);
    stop(&now);
    clean_up(&now);
    scenario_totals.scenarios++;
}

/* ---- a soak ---- */

static void plan_round(struct scenario *scenario)
{
    plan_scenario(&scenario->random, &scenario->plan);
    scenario->plan.workers = SOAK_WORKERS;
    scenario->plan.lanes = LANES_MAX;
    scenario->plan.ending = ENDING_CALM;
}

int scenario_open(const char *program, uint64_t seed)
{
    prepare(&now, seed, 0);
    now.soaks = true;
    plan_round(&now);
    start(&now, program);
    standing_open(&now.standing, now.crowd.lanes[0].endpoint, now.crowd.lanes[0].target);
    return relay_pid(now.relay);
}

/* The lane of the standing sessions stays without limits. */
static void change_limits(struct scenario *scenario)
{
    for (unsigned i = 1; i < scenario->crowd.lane_count; i++)
        if (scenario->crowd.lanes[i].present)
            plan_limits(&scenario->random, &scenario->crowd.lanes[i]);
    ask_for_reload(scenario, false);
}

/* Whom the relay had dialled for a client that left is at the target by now. */
static void meet_ghosts(struct scenario *scenario)
{
    struct crowd *crowd = &scenario->crowd;
    bool came = true;

    while (came) {
        came = false;
        for (unsigned i = 0; i < crowd->lane_count; i++)
            came |= lane_accept(&crowd->lanes[i], crowd->step);
        while (!crowd_is_over(crowd))
            crowd_step(crowd, true);
    }
    for (unsigned i = 0; i < crowd->lane_count; i++)
        crowd->lanes[i].ghost_count = 0;
}

void scenario_round(void)
{
    plan_round(&now);
    now.crowd.begun = now.reloads = 0;
    change_limits(&now);
    play(&now);
    expect_quiet(&now);
    meet_ghosts(&now);
    expect_clean_log(&now);
    relay_log_forget(now.relay);
    scenario_totals.scenarios++;
}

void scenario_close(void)
{
    standing_close(&now.standing);
    stop(&now);
    clean_up(&now);
}

void scenario_abandon(void)
{
    static const char *const endings[] = {"calm", "drain", "abort", "kill"};

    fprintf(stderr, "  step %" PRIu64 ", %u of %u sessions begun, ending: %s%s\n", now.crowd.step,
            now.crowd.begun, now.plan.sessions, endings[now.plan.ending],
            now.ending ? " (under way)" : "");
    for (unsigned i = 0; i < now.crowd.lane_count; i++) {
        const struct lane *lane = &now.crowd.lanes[i];
        fprintf(stderr, "  %s: %s -> %s, pump = %s %s%s%s (%u ghosts)\n", lane->name,
                lane->front->name, lane->back->name, lane->pump, lane->limits,
                lane->present ? "" : ", removed", lane->served ? "" : ", target away",
                lane->ghost_count);
    }
    relay_log_print(now.relay, 0, LOG_LINES);
    clean_up(&now);
}
