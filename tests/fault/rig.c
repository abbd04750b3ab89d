#include "rig.h"

#include "../lib/check.h"
#include "../lib/clock.h"
#include "../lib/os.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LOG_LINES = 24, SMALL = 100, BULK_UP = 300 * 1024, BULK_DOWN = 1200 * 1024 };

/* The portable pump too: on Linux it is the one for whoever asks for it. */
static const struct {
    const char *family, *pump;
} kinds[] = {
    {"tcp", "auto"}, {"tcp", "splice"}, {"tcp", "copy"}, {"tcp", "stream"}, {"unix", "auto"},
};

static void write_config(struct rig *rig)
{
    FILE *file = fopen(rig->config, "w");

    assert_non_null(file);
    fprintf(file, "[hvrelay]\nworkers = 1\n");
    for (unsigned i = 0; i < rig->crowd.lane_count; i++)
        fprintf(file, "[forward %s]\nlisten = %s\nconnect = %s\npump = %s\n",
                rig->crowd.lanes[i].name, rig->crowd.lanes[i].listen,
                listener_endpoint(rig->crowd.lanes[i].target), rig->crowd.lanes[i].pump);
    assert_int_equal(fclose(file), 0);
}

static void open_shared(struct rig *rig)
{
    int fd = open(rig->shared, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof *rig->inject), 0);
    rig->inject = mmap(NULL, sizeof *rig->inject, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(rig->inject != MAP_FAILED);
    close(fd);
}

/* AddressSanitizer would be the first library; what it wraps is wrapped once more all the same. */
void rig_set_starting(struct rig *rig, bool starting)
{
    char options[600];

    snprintf(options, sizeof options, "verify_asan_link_order=0:detect_leaks=%d:%s", !starting,
             rig->asked);
    setenv("ASAN_OPTIONS", options, 1);
    rig->inject->starting = starting;
}

void rig_init(struct rig *rig, const char *program, const char *library)
{
    const char *asked = getenv("ASAN_OPTIONS");

    *rig = (struct rig){.program = program, .library = library};
    snprintf(rig->config, sizeof rig->config, "%s/config", scratch_folder());
    snprintf(rig->shared, sizeof rig->shared, "%s/inject", scratch_folder());
    open_shared(rig);
    if (asked != NULL)
        snprintf(rig->asked, sizeof rig->asked, "%s", asked);
    rig_set_starting(rig, true);
    rig->crowd.lane_count = sizeof kinds / sizeof *kinds;
    for (unsigned i = 0; i < rig->crowd.lane_count; i++) {
        struct lane *lane = &rig->crowd.lanes[i];

        lane->front = lane->back = family_named(kinds[i].family);
        lane->pump = kinds[i].pump;
        snprintf(lane->name, sizeof lane->name, "%s-%s", kinds[i].family, kinds[i].pump);
        lane->front->fresh(lane->listen);
        lane->endpoint = lane->listen;
        lane->target = listener_open(lane->back, LISTENER_ACCEPTING);
        lane->present = lane->served = true;
    }
    write_config(rig);
}

void rig_arm(struct rig *rig, int call, int error, int from, int count)
{
    struct inject *inject = rig->inject;

    inject->call = call;
    inject->error = error;
    inject->from = from;
    inject->count = count;
    atomic_store(&inject->hits, 0);
    for (int i = 0; i < INJECT_COUNT; i++)
        atomic_store(&inject->seen[i], 0);
    atomic_store(&inject->armed, true);
}

void rig_disarm(struct rig *rig)
{
    atomic_store(&rig->inject->armed, false);
}

static int sockets_of(const struct rig *rig)
{
    struct os_descriptors open = {0};
    (void)os_descriptors_of(relay_pid(rig->relay), &open);
    return open.sockets;
}

static void spawn(struct rig *rig)
{
    setenv("LD_PRELOAD", rig->library, 1);
    setenv(INJECT_FILE, rig->shared, 1);
    rig->relay = relay_spawn_file(rig->program, rig->config);
    (void)relay_await_ready(rig->relay, PATIENCE_MS);
    unsetenv("LD_PRELOAD");
}

static void expect_message(struct rig *rig)
{
    static const char *const error[] = {"error: ", NULL}, *const mistake[] = {"hvrelay: ", NULL};
    int code = relay_wait(rig->relay, PATIENCE_MS);

    if (code != 1 && code != 2)
        chaos_fail(NULL, "the relay was not ready and ended with %d", code);
    if (!relay_log_has(rig->relay, 0, error, PATIENCE_MS) &&
        !relay_log_has(rig->relay, 0, mistake, 0))
        chaos_fail(NULL, "the relay ended without a message");
}

static void expect_clean_log(struct rig *rig)
{
    static const char *const bad[][2] = {
        {"Sanitizer", NULL}, {"runtime error", NULL}, {"Assertion", NULL}};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (relay_log_has(rig->relay, 0, bad[i], 0))
            chaos_fail(NULL, "the relay's log has '%s'", bad[i][0]);
}

static void free_relay(struct rig *rig)
{
    relay_free(rig->relay);
    rig->relay = NULL;
}

bool rig_start(struct rig *rig)
{
    spawn(rig);
    if (!relay_await_ready(rig->relay, 0)) {
        expect_message(rig);
        expect_clean_log(rig);
        free_relay(rig);
        return false;
    }
    for (unsigned i = 0; i < rig->crowd.lane_count; i++)
        rig->crowd.lanes[i].endpoint = relay_endpoint(rig->relay, rig->crowd.lanes[i].name);
    rig->sockets = sockets_of(rig);
    return true;
}

static struct end_plan plan(uint64_t size)
{
    return (struct end_plan){.size = size,
                             .finish = FINISH_END,
                             .write_max = 256 * 1024,
                             .read_max = 256 * 1024,
                             .abort_sent = NEVER,
                             .abort_received = NEVER,
                             .abort_step = NEVER,
                             .abort_after_end = NEVER};
}

static void begin_all(struct crowd *crowd, unsigned round, const char *breakable)
{
    for (unsigned i = 0; i < crowd->lane_count; i++) {
        const struct end_plan bulk[2] = {plan(BULK_UP), plan(BULK_DOWN)};
        const struct end_plan small[2] = {plan(SMALL), plan(SMALL)};
        if (lane_is_free(&crowd->lanes[i]))
            (void)crowd_begin(crowd, &crowd->lanes[i], round == 0 ? bulk : small, breakable);
    }
}

static void expect_running(struct rig *rig)
{
    if (!relay_running(rig->relay))
        chaos_fail(NULL, "the relay has ended with %d", relay_wait(rig->relay, 0));
}

/* It may be refused, but not go unanswered. */
static void reload(struct rig *rig, bool may_fail)
{
    static const char *const reloaded[] = {"info: reloaded", NULL};
    static const char *const refused[] = {"error: reload: ", NULL};
    size_t mark = relay_log_mark(rig->relay);
    uint64_t deadline = clock_ms() + PATIENCE_MS;

    kill(relay_pid(rig->relay), SIGHUP);
    while (!relay_log_has(rig->relay, mark, reloaded, 1)) {
        if (may_fail && relay_log_has(rig->relay, mark, refused, 0))
            return;
        expect_running(rig);
        if (clock_left_ms(deadline) == 0)
            chaos_fail(NULL, "a reload was not done");
    }
}

/* A dial that fails for want of something is tried again: its target may come twice. */
static void drop_second_tries(struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->lane_count; i++) {
        struct lane *lane = &crowd->lanes[i];
        struct peer *peer;

        if (lane->opening == NULL && lane->ghost_count == 0 &&
            (peer = listener_accept(lane->target, 0)) != NULL)
            peer_abort(peer);
    }
}

void rig_work(struct rig *rig, const char *breakable)
{
    struct crowd *crowd = &rig->crowd;

    crowd->begun = 0;
    for (unsigned round = 0; round < 2; round++) {
        begin_all(crowd, round, breakable);
        while (!crowd_is_over(crowd)) {
            crowd_step(crowd, true);
            if (breakable != NULL)
                drop_second_tries(crowd);
            expect_running(rig);
        }
        if (round == 0)
            reload(rig, breakable != NULL);
    }
}

/* Whom the relay had dialled for a client that left, and nobody took. */
static void forget_ghosts(struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->lane_count; i++) {
        struct lane *lane = &crowd->lanes[i];
        struct peer *peer;

        while ((peer = listener_accept(lane->target, 0)) != NULL)
            peer_close(peer);
        lane->ghost_count = 0;
    }
}

void rig_settle(struct rig *rig)
{
    uint64_t deadline = clock_ms() + PATIENCE_MS;

    while (sockets_of(rig) != rig->sockets) {
        expect_running(rig);
        forget_ghosts(&rig->crowd);
        if (clock_left_ms(deadline) == 0)
            chaos_fail(NULL, "the relay has %d sockets open without a session, not %d",
                       sockets_of(rig), rig->sockets);
        clock_pause(1);
    }
    forget_ghosts(&rig->crowd);
}

void rig_stop(struct rig *rig)
{
    int code;

    relay_ask_to_stop(rig->relay);
    code = relay_wait(rig->relay, PATIENCE_MS);
    if (code != 0)
        chaos_fail(NULL, "the relay's exit code is %d", code);
    expect_clean_log(rig);
    free_relay(rig);
}

void rig_abandon(struct rig *rig)
{
    relay_log_print(rig->relay, 0, LOG_LINES);
    peers_close_all();
    free_relay(rig);
    rig_remove(rig);
}

void rig_remove(struct rig *rig)
{
    for (unsigned i = 0; i < rig->crowd.lane_count; i++)
        lane_close(&rig->crowd.lanes[i]);
    munmap(rig->inject, sizeof *rig->inject);
    scratch_remove();
}
