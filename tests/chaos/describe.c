#include "stage.h"

#include <inttypes.h>
#include <string.h>

static void describe_chances(FILE *file, const struct plan *plan)
{
    fprintf(file,
            "  of 4096 steps: %u target restarts, %u reloads, %u of the log, %u holds, %u of "
            "the name server; leave",
            plan->restart_chance, plan->reload_chance, plan->log_chance, plan->hold_chance,
            plan->stall_chance);
    for (int i = 0; i < LEAVE_STATES; i++)
        fprintf(file, " %s %u %%%s", leave_names[i], plan->leave[i],
                i + 1 < LEAVE_STATES ? "," : "\n");
}

static void describe_lane(FILE *file, const struct lane *lane)
{
    static const char *const namings[] = {"", " by a name", " by a name of two addresses"};

    fprintf(file, "  %s: %s -> %s%s, pump = %s, %.*s%s%s%u ghosts\n", lane->name, lane->front->name,
            lane->back->name, namings[lane->naming], lane->pump, (int)strcspn(lane->limits, "\n"),
            lane->limits, lane->limits[0] != '\0' ? ", " : "",
            lane->present ? lane->served ? "" : "target away, " : "removed, ", lane->ghost_count);
}

void describe(FILE *file, const struct scenario *scenario)
{
    static const char *const endings[] = {"calm", "drain", "abort", "kill"};
    const struct plan *plan = &scenario->plan;

    fprintf(file,
            "  %u workers, log: %s%s; %u sessions stand, two share %u MiB/s; step %" PRIu64
            ", %u of %u sessions begun, %u at a time%s, ending: %s%s\n",
            plan->workers, plan->json ? "json" : "text", plan->to_file ? ", a file" : "",
            plan->standing, plan->shared, scenario->crowd.step, scenario->crowd.begun,
            plan->sessions, plan->live, plan->patient ? ", patient" : "", endings[plan->ending],
            scenario->ending ? " (under way)" : "");
    describe_chances(file, plan);
    for (unsigned i = 0; i < scenario->crowd.lane_count; i++)
        describe_lane(file, &scenario->crowd.lanes[i]);
}
