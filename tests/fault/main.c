/* Faults at the boundary to the system: each call fails in each way it can, at the first, the
 * second and a later time, while the relay works and while it starts. After it the relay serves the
 * next clients as if nothing had been; or it did not get ready, and said why. */
#include "connect.h"
#include "rig.h"

#include "../lib/os.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, ERRORS_MAX = 12, STORM = 40, EACH_MAX = 28, MEMORY_TRIES = 60 };

struct fault {
    enum inject_call call;
    int errors[ERRORS_MAX];
    bool fresh; /* made once for many sessions: each try needs a relay of its own */
    int spared; /* so many first calls are libuv's, which ends the process by design if they fail */
};

/* While it works. What is not here can't fail then, or only by a mistake of the program's. */
static const struct fault at_work[] = {
    {INJECT_socket, {EMFILE, ENFILE, ENOBUFS, ENOMEM, EAFNOSUPPORT, EINVAL}},
    {INJECT_accept4,
     {EINTR, EAGAIN, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTO, EPERM, EINVAL}},
    {INJECT_connect,
     {EINTR, EAGAIN, ECONNREFUSED, ECONNRESET, ETIMEDOUT, ENETUNREACH, EADDRNOTAVAIL, ENOBUFS,
      ENOMEM, EACCES}},
    {INJECT_getsockopt, {EACCES, EINVAL, ENOTCONN}},
    {INJECT_splice, {EINTR, EAGAIN, EINVAL, ENOMEM, EPIPE, ECONNRESET, ETIMEDOUT, ENOTCONN}},
    {INJECT_recv, {EINTR, EAGAIN, ENOBUFS, ENOMEM, EINVAL, ECONNRESET, ETIMEDOUT, ENOTCONN}},
    {INJECT_send, {EINTR, EAGAIN, ENOBUFS, ENOMEM, EINVAL, EPIPE, ECONNRESET, ETIMEDOUT, ENOTCONN}},
    {INJECT_read, {EINTR, EAGAIN, ENOBUFS, ENOMEM, ECONNRESET, ETIMEDOUT, ENOTCONN}},
    {INJECT_write, {EINTR, EAGAIN, ENOBUFS, ENOMEM, EPIPE, ECONNRESET, ETIMEDOUT, ENOTCONN}},
    {INJECT_shutdown, {ENOTCONN, ENOBUFS, EINVAL}},
    {INJECT_pipe2, {EMFILE, ENFILE, ENOMEM}, .fresh = true},
    {INJECT_fcntl, {EPERM, EBUSY, ENOMEM, EINVAL}, .fresh = true},
    {INJECT_epoll_ctl, {ENOMEM, ENOSPC}},
    {INJECT_epoll_wait, {EINTR}},
    {INJECT_listen, {EADDRINUSE, ENOMEM}},
};

static const struct fault at_start[] = {
    {INJECT_socket, {EMFILE, ENFILE, ENOBUFS, ENOMEM, EAFNOSUPPORT}},
    {INJECT_bind, {EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOMEM}},
    {INJECT_listen, {EADDRINUSE, EOPNOTSUPP}},
    {INJECT_getsockname, {ENOBUFS}},
    {INJECT_pipe2, {EMFILE, ENFILE}, .spared = 1},
    {INJECT_eventfd, {EMFILE, ENFILE, ENOMEM}},
    {INJECT_fcntl, {EINVAL}},
    {INJECT_epoll_create1, {EMFILE, ENFILE, ENOMEM}},
    {INJECT_epoll_ctl, {ENOMEM, ENOSPC}},
    {INJECT_epoll_wait, {EINTR}},
    {INJECT_pthread_create, {EAGAIN, EPERM}},
};

/* The process of one session. What libuv can't do without is spared, as at the start. */
static const struct fault at_connect[] = {
    {INJECT_socket, {EMFILE, ENFILE, ENOBUFS, ENOMEM, EAFNOSUPPORT}},
    {INJECT_connect, {ECONNREFUSED, EINTR, EAGAIN, ETIMEDOUT, ENETUNREACH, EACCES}},
    {INJECT_getsockopt, {EACCES, EINVAL, ENOTCONN}},
    {INJECT_splice, {EINVAL, EINTR, EAGAIN, ENOMEM, EPIPE, ECONNRESET}},
    {INJECT_recv, {ECONNRESET, EINTR, EAGAIN, ENOBUFS, ENOMEM, ETIMEDOUT}},
    {INJECT_send, {EPIPE, EINTR, EAGAIN, ENOBUFS, ENOMEM, ECONNRESET}},
    {INJECT_read, {EIO, EINTR, EAGAIN, ENOMEM, ECONNRESET}},
    {INJECT_write, {EPIPE, EINTR, EAGAIN, ENOMEM, EIO, ENOSPC}},
    {INJECT_shutdown, {ENOTCONN, ENOBUFS, EINVAL}},
    {INJECT_pipe2, {EMFILE, ENFILE, ENOMEM}, .spared = 1},
    {INJECT_fcntl, {EINVAL, EPERM, ENOMEM}},
    {INJECT_eventfd, {EMFILE, ENOMEM}},
    {INJECT_epoll_create1, {EMFILE, ENOMEM}},
    {INJECT_epoll_ctl, {ENOMEM, ENOSPC}},
    {INJECT_epoll_wait, {EINTR}},
    {INJECT_pthread_create, {EAGAIN, EPERM}},
    {INJECT_malloc, {ENOMEM}},
    {INJECT_calloc, {ENOMEM}},
    {INJECT_realloc, {ENOMEM}},
};

static const enum inject_call memory[] = {INJECT_malloc, INJECT_calloc, INJECT_realloc};

static const char *const call_names[] = {
#define INJECT_NAME(name) #name,
    INJECT_CALLS(INJECT_NAME)
#undef INJECT_NAME
};

static struct rig rig;
static char trial[100] = "no fault yet"; /* what is being tried */
static bool passed;
static unsigned trials, missed; /* missed: the call did not come that often this time */

static void report_failure(void)
{
    if (passed)
        return;
    fprintf(stderr, "  %s (it has failed %d times)\n", trial,
            rig.inject != NULL ? atomic_load(&rig.inject->hits) : 0);
    pipeline_abandon();
    rig_abandon(&rig);
}

static void name_trial(const char *when, int call, int error, int from, int count)
{
    trials++;
    snprintf(trial, sizeof trial, "%s: %s fails with %s at call %d, %d times", when,
             call_names[call], strerrorname_np(error), from, count);
}

static void note_hits(void)
{
    if (atomic_load(&rig.inject->hits) == 0)
        missed++;
}

static int calls_of(int call)
{
    return atomic_load(&rig.inject->seen[call]);
}

static void start_or_fail(void)
{
    if (!rig_start(&rig))
        chaos_fail(NULL, "the relay does not start without a fault");
}

/* ---- while it works ---- */

static void try_at_work(int call, int error, int from, int count)
{
    name_trial("at work", call, error, from, count);
    rig_arm(&rig, call, error, from, count);
    rig_work(&rig, trial);
    rig_disarm(&rig);
    note_hits();
    rig_settle(&rig);
    rig_work(&rig, NULL);
    rig_settle(&rig);
}

/* The number of calls of each kind that the workload makes. */
static void count_calls(int counts[INJECT_COUNT], bool fresh)
{
    if (!fresh)
        rig_work(&rig, NULL); /* what is made once, buffers and pools */
    rig_settle(&rig);
    rig_arm(&rig, -1, 0, 0, 0);
    rig_work(&rig, NULL);
    rig_settle(&rig);
    for (int i = 0; i < INJECT_COUNT; i++)
        counts[i] = calls_of(i);
    rig_disarm(&rig);
}

static void try_fault(const struct fault *fault, int error, int from, int count)
{
    if (fault->fresh) {
        rig_stop(&rig);
        start_or_fail();
    }
    try_at_work(fault->call, error, from, count);
}

/* The first error at every call, up to some; each one at the first, the second and later calls, and
 * many times in a row. */
static void try_each_error(const struct fault *fault, int calls)
{
    const int froms[] = {1, 2, calls / 2, calls - 1};

    for (int from = 3; from <= calls && from <= EACH_MAX; from++)
        try_fault(fault, fault->errors[0], from, 1);
    for (int e = 0; e < ERRORS_MAX && fault->errors[e] != 0; e++) {
        for (size_t i = 0; i < sizeof froms / sizeof *froms; i++)
            if (froms[i] > (i == 0 ? 0 : froms[i - 1]) && froms[i] <= calls)
                try_fault(fault, fault->errors[e], froms[i], 1);
        try_fault(fault, fault->errors[e], 1, STORM);
    }
}

/* Another relay for each kind of call: where one leaks, the report of a sanitizer at its end is
 * about that one. */
static void run_at_work(const char *only)
{
    int counts[INJECT_COUNT];

    for (size_t i = 0; i < sizeof at_work / sizeof *at_work; i++) {
        int call = at_work[i].call;

        if (only != NULL && strcmp(only, call_names[call]) != 0)
            continue;
        start_or_fail();
        count_calls(counts, at_work[i].fresh);
        printf("at work: %s, %d calls\n", call_names[call], counts[call]);
        if (counts[call] == 0)
            chaos_fail(NULL, "nothing calls %s: is the library loaded?", call_names[call]);
        try_each_error(&at_work[i], counts[call]);
        rig_stop(&rig);
    }
}

static void run_memory_at_work(const char *only)
{
    int counts[INJECT_COUNT];

    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) {
        int call = memory[i];

        if (only != NULL && strcmp(only, call_names[call]) != 0)
            continue;
        start_or_fail();
        count_calls(counts, false);
        printf("at work: %s, %d calls\n", call_names[call], counts[call]);
        for (int from = 1; from <= counts[call] && from <= MEMORY_TRIES; from++)
            try_at_work(call, ENOMEM, from, 1);
        if (counts[call] > 0)
            try_at_work(call, ENOMEM, 1, STORM);
        rig_stop(&rig);
    }
}

/* ---- while it starts ---- */

/* Its first clients come after the fault: those that it accepts it serves, all of its forwards. */
static bool try_at_start(int call, int error, int from)
{
    bool ready, hit;

    name_trial("at the start", call, error, from, 1);
    rig_arm(&rig, call, error, from, 1);
    ready = rig_start(&rig);
    hit = atomic_load(&rig.inject->hits) > 0;
    rig_disarm(&rig);
    if (ready) {
        rig_work(&rig, NULL);
        rig_settle(&rig);
        rig_stop(&rig);
    }
    return hit;
}

static void run_at_start(const char *only)
{
    for (size_t i = 0; i < sizeof at_start / sizeof *at_start; i++) {
        int call = at_start[i].call;

        if (only != NULL && strcmp(only, call_names[call]) != 0)
            continue;
        printf("at the start: %s\n", call_names[call]);
        for (int e = 0; e < ERRORS_MAX && at_start[i].errors[e] != 0; e++)
            for (int from = at_start[i].spared + 1; try_at_start(call, at_start[i].errors[e], from);
                 from++)
                ;
    }
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) {
        if (only != NULL && strcmp(only, call_names[memory[i]]) != 0)
            continue;
        printf("at the start: %s\n", call_names[memory[i]]);
        for (int from = 1; try_at_start(memory[i], ENOMEM, from); from++)
            ;
    }
}

/* ---- connect ---- */

/* False: the call does not come that often. */
static bool try_connect(const char *pump, int call, int error, int from, int count)
{
    char when[40];
    bool hit;

    snprintf(when, sizeof when, "connect, pump = %s", pump);
    name_trial(when, call, error, from, count);
    rig_arm(&rig, call, error, from, count);
    connect_work(&rig, pump, trial);
    hit = atomic_load(&rig.inject->hits) > 0;
    rig_disarm(&rig);
    return hit;
}

/* The first error at every call, up to some; each other one at the first and the second, and many
 * times in a row. */
static void try_connect_each(const char *pump, const struct fault *fault)
{
    int first = fault->spared + 1;

    for (int from = first; from <= EACH_MAX; from++)
        if (!try_connect(pump, fault->call, fault->errors[0], from, 1))
            break;
    for (int e = 0; e < ERRORS_MAX && fault->errors[e] != 0; e++) {
        if (e > 0 && try_connect(pump, fault->call, fault->errors[e], first, 1))
            (void)try_connect(pump, fault->call, fault->errors[e], first + 1, 1);
        (void)try_connect(pump, fault->call, fault->errors[e], first, STORM);
    }
}

static void run_connect(const char *only)
{
    static const char *const pumps[] = {"auto", "splice", "copy", "stream"};

    for (size_t i = 0; i < sizeof at_connect / sizeof *at_connect; i++) {
        if (only != NULL && strcmp(only, call_names[at_connect[i].call]) != 0)
            continue;
        printf("connect: %s\n", call_names[at_connect[i].call]);
        for (size_t p = 0; p < sizeof pumps / sizeof *pumps; p++) {
            connect_work(&rig, pumps[p], NULL);
            try_connect_each(pumps[p], &at_connect[i]);
        }
    }
}

int main(int argc, char **argv)
{
    const char *only = argc > 3 ? argv[3] : NULL;

    if (argc < 3) {
        fprintf(stderr, "usage: fault RELAY LIBRARY [CALL]\n");
        return EXIT_USAGE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    os_prepare();
    rig_init(&rig, argv[1], argv[2]);
    atexit(report_failure);
    connect_init();
    run_connect(only);
    run_at_start(only);
    rig_set_starting(&rig, false);
    run_at_work(only);
    run_memory_at_work(only);
    passed = true;
    connect_remove();
    rig_remove(&rig);
    printf("%u faults; %u were not met\n", trials, missed);
    return 0;
}
