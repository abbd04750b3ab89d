#include "stage.h"

#include "../lib/linux/socket.h"
#include "scenario.h"

#include <inttypes.h>
#include <signal.h>

enum { HOLD_STEPS = 60 };

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

    if (lane->naming == NAMING_TWO) /* who comes would wait for the address that swallows */
        return;
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
        if (!stage_may_be_absent(scenario, lane) || draw(&scenario->random, 3) > 0)
            continue;
        if (lane->present)
            allow_breaks(scenario, lane, false, "its forward was removed");
        scenario->listening += lane->present ? -1u : 1u;
        lane->present = !lane->present;
    }
}

void meddle_reload(struct scenario *scenario, enum mistake mistake)
{
    scenario->mistake = mistake;
    scenario->reloading = true;
    scenario->log_mark = journal_mark(&scenario->journal);
    stage_write_config(scenario, mistake);
    kill(relay_pid(scenario->relay), SIGHUP);
    scenario->reloads++;
    scenario_totals.reloads++;
}

static void reload_some_lanes(struct scenario *scenario)
{
    enum mistake mistake = plan_mistake(&scenario->random);

    if (mistake == MISTAKE_NONE)
        change_lanes(scenario);
    meddle_reload(scenario, mistake);
}

static void hear_of_reload(struct scenario *scenario)
{
    static const char *const done[] = {"reloaded ", " forwards", NULL};
    static const char *const refused[] = {"nothing was changed", NULL};
    bool is_done, is_refused;

    if (!scenario->reloading)
        return;
    is_done = journal_has(&scenario->journal, scenario->log_mark, done);
    is_refused = journal_has(&scenario->journal, scenario->log_mark, refused);
    scenario->reloading = !is_done && !is_refused;
    if (is_refused && scenario->mistake == MISTAKE_NONE)
        chaos_fail(NULL, "a reload was refused");
    if (is_done && scenario->mistake != MISTAKE_NONE)
        chaos_fail(NULL, "a reload with a mistake was done");
}

/* Its reader stops for a while, and goes on; the file is moved away. */
static void trouble_the_log(struct scenario *scenario)
{
    switch (draw(&scenario->random, 4)) {
    case 0:
        relay_log_stall(scenario->relay, true);
        break;
    case 1:
        if (!scenario->reloading)
            journal_rotate(&scenario->journal);
        break;
    default:
        relay_log_stall(scenario->relay, false);
    }
}

void meddle_hold(struct scenario *scenario)
{
    if (scenario->held > 0 || scenario->ending)
        return;
    kill(relay_pid(scenario->relay), SIGSTOP);
    scenario->held = (unsigned)draw(&scenario->random, HOLD_STEPS) + 1;
}

void meddle_let_go(struct scenario *scenario)
{
    if (scenario->held > 0)
        kill(relay_pid(scenario->relay), SIGCONT);
    scenario->held = 0;
    scenario->names_stall = false;
    names_stall(false);
}

static bool happens(struct scenario *scenario, unsigned chance_of_4096)
{
    return draw(&scenario->random, 4096) < chance_of_4096;
}

static void hold_or_let_go(struct scenario *scenario)
{
    if (scenario->held == 1)
        meddle_let_go(scenario);
    else if (scenario->held > 1)
        scenario->held--;
    else if (happens(scenario, scenario->plan.hold_chance))
        meddle_hold(scenario);
}

static void stall_names(struct scenario *scenario)
{
    scenario->names_stall = !scenario->names_stall;
    names_stall(scenario->names_stall);
}

static void let_clients_leave(struct scenario *scenario)
{
    struct crowd *crowd = &scenario->crowd;

    for (unsigned i = 0; i < crowd->begun; i++) {
        struct end *client = &crowd->sessions[i].end[CLIENT];
        if (client->peer == NULL ||
            draw(&scenario->random, 100) >= scenario->plan.leave[LEAVE_DRAINING])
            continue;
        client->plan.abort_step = crowd->step + draw(&scenario->random, 20);
        scenario_totals.left[LEAVE_DRAINING]++;
    }
}

/* The relay ends amid its sessions, in one of three ways. */
static void end_amid(struct scenario *scenario)
{
    scenario->ending = true;
    switch (scenario->plan.ending) {
    case ENDING_KILL:
        allow_breaks(scenario, NULL, true, "the relay was killed");
        standing_forget(&scenario->standing);
        sharers_end(&scenario->sharers);
        kill(relay_pid(scenario->relay), SIGKILL);
        scenario_totals.kills++;
        break;
    case ENDING_ABORT:
        allow_breaks(scenario, NULL, true, "the relay was stopped at once");
        standing_forget(&scenario->standing);
        sharers_end(&scenario->sharers);
        kill(relay_pid(scenario->relay), SIGTERM);
        kill(relay_pid(scenario->relay), SIGINT);
        break;
    default:
        allow_breaks(scenario, NULL, false, "the relay was asked to stop");
        let_clients_leave(scenario);
        kill(relay_pid(scenario->relay), SIGTERM);
        scenario_totals.drains++;
    }
}

void meddle(struct scenario *scenario)
{
    const struct plan *plan = &scenario->plan;

    hear_of_reload(scenario);
    hold_or_let_go(scenario);
    if (happens(scenario, plan->log_chance))
        trouble_the_log(scenario);
    if (happens(scenario, plan->stall_chance))
        stall_names(scenario);
    if (scenario->ending)
        return;
    if (happens(scenario, plan->restart_chance))
        restart_some_target(scenario);
    if (!scenario->reloading && !scenario->journal.moved && scenario->reloads < RELOADS_MAX &&
        happens(scenario, plan->reload_chance))
        reload_some_lanes(scenario);
    if (plan->ending != ENDING_CALM && scenario->crowd.begun >= plan->end_after &&
        !scenario->reloading && happens(scenario, 400))
        end_amid(scenario);
}
