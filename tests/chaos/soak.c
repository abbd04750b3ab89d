#include "soak.h"

#include "../lib/clock.h"
#include "../lib/os.h"
#include "scenario.h"
#include "session.h"
#include "standing.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    KIB = 1024,
    PIPES_KEPT = 2 * 8 * SOAK_WORKERS, /* descriptors; relay/linux/pipe.c keeps so many for reuse */
    ASLEEP_MS = 1000,
};

struct usage {
    size_t resident; /* KiB */
    struct os_descriptors open;
    unsigned threads;
    uint64_t wake_ups; /* how often a thread has waited */
};

/* RELAY_SANITIZER is empty, or what the relay was built with. They keep what is freed, for a while,
 * and what they know of it. */
static size_t growth_max(void) /* KiB */
{
    return RELAY_SANITIZER[0] != '\0' ? 64 * KIB : 2 * KIB;
}

/* ThreadSanitizer has a thread of its own that looks around ten times a second. */
static uint64_t wake_ups_asleep(void)
{
    return strcmp(RELAY_SANITIZER, "thread") == 0 ? 15 : 0;
}

static int relay;
static struct usage begun;
static struct usage settled; /* all zero: not yet */

static uint64_t wake_ups_of(const char *thread)
{
    static const char word[] = "voluntary_ctxt_switches:";
    char path[300], line[128];
    uint64_t count = 0;

    snprintf(path, sizeof path, "/proc/%d/task/%s/status", relay, thread);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, word, sizeof word - 1) == 0)
            (void)sscanf(line + sizeof word - 1, "%" SCNu64, &count);
    fclose(file);
    return count;
}

static struct usage measure(void)
{
    struct usage usage = {.resident = os_resident_bytes(relay) / KIB};
    char path[64];

    (void)os_descriptors_of(relay, &usage.open);
    snprintf(path, sizeof path, "/proc/%d/task", relay);
    DIR *threads = opendir(path);
    if (threads == NULL)
        chaos_fail(NULL, "the relay is gone");
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        usage.threads++;
        usage.wake_ups += wake_ups_of(entry->d_name);
    }
    closedir(threads);
    return usage;
}

void soak_begin(const char *program, uint64_t seed)
{
    relay = scenario_open(program, seed);
    begun = measure();
    settled = (struct usage){0};
}

void soak_round(void)
{
    scenario_round(); /* which looks at the sockets */
    struct usage now = measure();

    if (now.open.pipes > begun.open.pipes + PIPES_KEPT)
        chaos_fail(NULL, "no session is left, but the relay has %d descriptors of pipes",
                   now.open.pipes);
    if (settled.threads == 0) /* libuv makes its descriptor in reserve with a loop's first stream */
        return;
    if (now.open.others != settled.open.others)
        chaos_fail(NULL, "the relay has %d descriptors besides sockets and pipes instead of %d",
                   now.open.others, settled.open.others);
    if (now.threads != settled.threads)
        chaos_fail(NULL, "the relay has %u threads instead of %u", now.threads, settled.threads);
}

void soak_settle(void)
{
    settled = measure();
    printf("the relay has settled: %zu KiB resident\n", settled.resident);
}

void soak_report(void)
{
    struct usage now = measure();

    printf("    the relay: %zu KiB resident, %d sockets, %d pipe ends, %d other descriptors, "
           "%u threads; %u standing sessions, %llu exchanges\n",
           now.resident, now.open.sockets, now.open.pipes, now.open.others, now.threads,
           STANDING_SESSIONS, standing_exchanges);
}

/* A timer that is still set wakes its worker; where no session needs one, all threads sleep. */
static void expect_sleep(void)
{
    uint64_t deadline = clock_ms() + PATIENCE_MS, wake_ups;

    do {
        if (clock_left_ms(deadline) == 0)
            chaos_fail(NULL, "nothing is to be done, but the relay does not sleep");
        wake_ups = measure().wake_ups;
        clock_pause(ASLEEP_MS);
    } while (measure().wake_ups > wake_ups + wake_ups_asleep());
}

void soak_end(void)
{
    size_t resident;

    expect_sleep();
    resident = measure().resident;
    printf("the relay sleeps; %zu KiB resident, %zu when it had settled\n", resident,
           settled.resident);
    if (resident > settled.resident + growth_max())
        chaos_fail(NULL, "the relay has grown by %zu KiB", resident - settled.resident);
    scenario_close();
}
