/* Signals, and the notification protocol of systemd (sd_notify(3)), which needs no library: text in
 * one datagram to the socket that NOTIFY_SOCKET names. */

#include "app/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
enum { SIGNALS = sizeof numbers / sizeof *numbers };

/* The signals are taken by a handler of our own. libuv's signal handles give each signal its
 * default action back when they are closed: one that came before it could be ignored would end the
 * program in the middle of its end. */
static uv_async_t arrival;
static atomic_uint arrived[SIGNALS]; /* since they were last looked at */
static struct process_requests wanted;

/* The manager waits for EXTENSION ms from each message on, and for GRACE ms beyond the time that
 * the sessions have, for what is left to do then. */
enum { EXTENSION = 30000, EXTENSION_PAUSE = 2000, GRACE = 10000 };
static uv_timer_t extension;
static uint64_t stop_due; /* loop time, ms */

/* A standard stream that is closed would lend its number to the next socket. It is opened the wrong
 * way round, so that its use fails. */
static void fill_gaps(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
    }
}

void process_prepare(void)
{
    fill_gaps();
    /* splice() can't pass MSG_NOSIGNAL, and sends on vsock raise SIGPIPE all the same. */
    signal(SIGPIPE, SIG_IGN);
}

char **process_arguments(int argc, char **argv)
{
    return uv_setup_args(argc, argv);
}

const char *process_default_config(void)
{
    return "/etc/hvrelay/hvrelay.conf";
}

static void on_signal(int number)
{
    int interrupted = errno;

    for (int i = 0; i < SIGNALS; i++) {
        if (numbers[i] == number)
            atomic_fetch_add(&arrived[i], 1);
    }
    uv_async_send(&arrival);
    errno = interrupted;
}

static void pass_on(int number)
{
    if (number == SIGHUP)
        wanted.reload(wanted.arg);
    else if (number == SIGUSR1)
        wanted.reopen_log(wanted.arg);
    else
        wanted.stop(wanted.arg);
}

static void on_arrival(uv_async_t *async)
{
    (void)async;
    for (int i = 0; i < SIGNALS; i++) {
        for (unsigned count = atomic_exchange(&arrived[i], 0); count > 0; count--)
            pass_on(numbers[i]);
    }
}

/* Whoever used the program is gone: nothing to wait for, and nobody to tell. */
static void on_hangup(int number)
{
    (void)number;
    _exit(1);
}

/* nohup(1) starts a program with SIGHUP ignored, and means that a hang-up is not its end. */
static bool is_kept_ignored(int number)
{
    struct sigaction old;

    return number == SIGHUP && !wanted.reload && sigaction(number, NULL, &old) == 0 &&
           old.sa_handler == SIG_IGN;
}

int process_listen(uv_loop_t *loop, const struct process_requests *requests)
{
    struct sigaction action = {.sa_flags = SA_RESTART};
    int status = uv_async_init(loop, &arrival, on_arrival);

    uv_timer_init(loop, &extension);
    wanted = *requests;
    for (int i = 0; i < SIGNALS && status == 0; i++) {
        action.sa_handler = numbers[i] == SIGHUP && !wanted.reload ? on_hangup : on_signal;
        if (!is_kept_ignored(numbers[i]) && sigaction(numbers[i], &action, NULL) != 0)
            status = uv_translate_sys_error(errno);
    }
    return status;
}

/* Whoever asks once more has been heard. */
void process_ignore(void)
{
    for (int i = 0; i < SIGNALS; i++)
        signal(numbers[i], SIG_IGN);
    uv_close((uv_handle_t *)&arrival, NULL);
    uv_close((uv_handle_t *)&extension, NULL);
}

static void notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length;
    int fd;

    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address, length);
    close(fd);
}

void process_tell_ready(const char *status)
{
    char text[256];

    snprintf(text, sizeof text, "READY=1\nSTATUS=%s", status);
    notify(text);
}

/* The time stamp is what Type=notify-reload insists on. */
void process_tell_reloading(void)
{
    struct timespec now;
    char text[96];

    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    notify(text);
}

void process_tell_stopping(void)
{
    notify("STOPPING=1\nSTATUS=stopping, sessions may end");
}

static void extend_stop(uv_timer_t *timer)
{
    uint64_t now = uv_now(timer->loop);
    uint64_t left = stop_due > now ? stop_due - now : 0;
    char text[64];

    snprintf(text, sizeof text, "EXTEND_TIMEOUT_USEC=%" PRIu64,
             ((left < EXTENSION ? left : EXTENSION) + GRACE) * 1000);
    notify(text);
    if (left == 0)
        uv_timer_stop(timer);
}

/* Without it the manager kills the process, and its sessions, after TimeoutStopSec=. */
void process_extend_stop(uint64_t most)
{
    uint64_t now = uv_now(extension.loop);

    stop_due = most < UINT64_MAX - now ? now + most : UINT64_MAX;
    uv_timer_start(&extension, extend_stop, EXTENSION_PAUSE, EXTENSION_PAUSE);
    extend_stop(&extension);
}

void process_tell_alive(void)
{
    notify("WATCHDOG=1");
}

uint64_t process_watchdog_interval(void)
{
    const char *pid = getenv("WATCHDOG_PID");
    const char *usec = getenv("WATCHDOG_USEC");

    if (!usec || (pid && strtol(pid, NULL, 10) != getpid()))
        return 0;
    return strtoull(usec, NULL, 10) / 1000;
}
