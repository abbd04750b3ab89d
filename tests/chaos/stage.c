#include "stage.h"

#include "../lib/check.h"
#include "../lib/linux/socket.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Somebody else has an address that a new forward wants. */
static void write_forward_in_the_way(struct scenario *scenario, FILE *file)
{
    if (scenario->in_the_way == NULL)
        scenario->in_the_way = listener_open(family_named("tcp"), LISTENER_ACCEPTING);
    fprintf(file, "[forward in-the-way]\nlisten = %s\nconnect = unix:@nobody\n",
            listener_endpoint(scenario->in_the_way));
}

static void write_program(const struct scenario *scenario, FILE *file, enum mistake mistake)
{
    fprintf(file, "[hvrelay]\nworkers = %u\nlog_format = %s\n", scenario->plan.workers,
            scenario->plan.json ? "json" : "text");
    if (mistake == MISTAKE_LOG)
        fprintf(file, "log_file = %s/nowhere/log\n", scratch_folder());
    else if (scenario->journal.path[0] != '\0')
        fprintf(file, "log_file = %s\n", scenario->journal.path);
}

/* A configuration with a mistake leaves out what it may, too: nothing of it may be applied. */
void stage_write_config(struct scenario *scenario, enum mistake mistake)
{
    FILE *file = fopen(scenario->path, "w");

    assert_non_null(file);
    write_program(scenario, file, mistake);
    for (unsigned i = 0; i < scenario->crowd.lane_count; i++) {
        const struct lane *lane = &scenario->crowd.lanes[i];
        if (lane->present && (mistake == MISTAKE_NONE || !stage_may_be_absent(scenario, lane)))
            fprintf(file, "[forward %s]\nlisten = %s\nconnect = %s\npump = %s\n%s%s\n", lane->name,
                    lane->listen, lane->connect, lane->pump, lane->limits,
                    lane->naming != NAMING_NONE ? "connect_timeout = 5s\n" : "");
    }
    if (scenario->sharers.rate > 0)
        fprintf(file,
                "[forward shared]\nlisten = tcp:127.0.0.1:0\nconnect = %s\nrate_limit = "
                "%uMiB/s\npump = %s\n",
                listener_endpoint(scenario->sharers.target), scenario->sharers.rate,
                scenario->sharers.pump);
    if (mistake == MISTAKE_ADDRESS)
        write_forward_in_the_way(scenario, file);
    if (mistake == MISTAKE_KEY)
        fprintf(file, "nonsense = yes\n");
    assert_int_equal(fclose(file), 0);
}

/* A port that is not asked for by number is known only from the relay's first words: such a lane
 * can't be one that comes later. The first one is always there: a relay needs a forward. */
bool stage_may_be_absent(const struct scenario *scenario, const struct lane *lane)
{
    return lane != &scenario->crowd.lanes[0] && lane->limits[0] == '\0' &&
           strcmp(lane->front->name, "tcp") != 0;
}

/* Leads to the target. IPv6 may be missing: then a name has one address. */
static void name_target(struct lane *lane)
{
    const char *endpoint = listener_endpoint(lane->target);
    unsigned long port = strtoul(strrchr(endpoint, ':') + 1, NULL, 10);

    snprintf(lane->connect, sizeof lane->connect, "%s", endpoint);
    if (lane->naming == NAMING_TWO && !swallower_open(&lane->swallower, (uint16_t)port))
        lane->naming = NAMING_ONE;
    if (lane->naming != NAMING_NONE)
        snprintf(lane->connect, sizeof lane->connect, "tcp:%s:%lu", names_host(lane->naming), port);
}

static void open_lanes(struct scenario *scenario)
{
    for (unsigned i = 0; i < scenario->crowd.lane_count; i++) {
        struct lane *lane = &scenario->crowd.lanes[i];

        if ((scenario->soaks || scenario->plan.standing > 0) && i == 0)
            plan_plain_lane(&scenario->random, lane);
        else
            plan_lane(&scenario->random, lane);
        snprintf(lane->name, sizeof lane->name, "lane%u", i);
        lane->front->fresh(lane->listen);
        lane->endpoint = lane->listen;
        lane->target = listener_open(lane->back, LISTENER_ACCEPTING);
        name_target(lane);
        lane->served = true;
        lane->present = !stage_may_be_absent(scenario, lane) || draw(&scenario->random, 4) > 0;
    }
}

struct usage stage_usage(const struct scenario *scenario)
{
    struct usage usage = {0};
    char path[64];

    (void)os_descriptors_of(relay_pid(scenario->relay), &usage.open);
    snprintf(path, sizeof path, "/proc/%d/task", relay_pid(scenario->relay));
    DIR *threads = opendir(path);
    if (threads == NULL)
        return usage;
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;)
        usage.threads += entry->d_name[0] != '.';
    closedir(threads);
    return usage;
}

void stage_open(struct scenario *scenario, const char *program)
{
    scenario->crowd.lane_count = scenario->plan.lanes;
    scenario->standing_before = standing_bytes();
    snprintf(scenario->path, sizeof scenario->path, "%s/chaos.conf", scratch_folder());
    if (scenario->plan.to_file) {
        char path[200];
        snprintf(path, sizeof path, "%s/chaos.log", scratch_folder());
        journal_to_file(&scenario->journal, path);
    }
    open_lanes(scenario);
    scenario->sharers.rate = scenario->plan.shared;
    scenario->sharers.pump = scenario->crowd.lanes[0].pump;
    sharers_prepare(&scenario->sharers);
    stage_write_config(scenario, MISTAKE_NONE);
    scenario->relay = relay_start_file(program, scenario->path);
    journal_open(&scenario->journal, scenario->relay);
    if (scenario->plan.log_chance > 0)
        journal_narrow(&scenario->journal);
    for (unsigned i = 0; i < scenario->crowd.lane_count; i++) {
        struct lane *lane = &scenario->crowd.lanes[i];
        if (lane->present && strcmp(lane->front->name, "tcp") == 0)
            lane->endpoint = relay_endpoint(scenario->relay, lane->name);
        scenario->listening += lane->present;
    }
    scenario->listening += scenario->sharers.rate > 0;
    scenario->at_rest = stage_usage(scenario);
    scenario->sockets = scenario->at_rest.open.sockets - (int)scenario->listening;
    standing_open(&scenario->standing, scenario->plan.standing, scenario->crowd.lanes[0].endpoint,
                  scenario->crowd.lanes[0].target);
    if (scenario->sharers.rate > 0)
        sharers_open(&scenario->sharers, relay_endpoint(scenario->relay, "shared"));
}

void stage_close(struct scenario *scenario)
{
    peers_close_all();
    sharers_close(&scenario->sharers);
    listener_close(scenario->in_the_way);
    scenario->in_the_way = NULL;
    journal_close(&scenario->journal);
    relay_free(scenario->relay);
    scenario->relay = NULL;
    for (unsigned i = 0; i < scenario->crowd.lane_count; i++) {
        scenario->crowd.lanes[i].stranger_count = 0;
        lane_close(&scenario->crowd.lanes[i]);
    }
    scratch_remove();
}
