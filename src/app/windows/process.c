#include "app/process.h"

#include "app/windows/process_os.h"
#include "base/windows/wide.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <winsock2.h>

#include <shellapi.h>

/* Ctrl-C, Ctrl-Break, and the closing of the console window. */
static const int numbers[] = {SIGINT, SIGBREAK, SIGHUP};
enum { SIGNALS = sizeof numbers / sizeof *numbers };

static uv_signal_t signals[SIGNALS];
static struct process_requests wanted;
static const struct process_watcher *watcher;

/* The way from other threads to the loop. */
static uv_async_t wake;
static SRWLOCK lock = SRWLOCK_INIT; /* guards what follows */
static bool listening;              /* `wake` is open */
static unsigned asked;

/* Winsock must be started before the first socket; libuv does so too, but later. Standard output
 * speaks a protocol of lines that a reader may wait for; the C library buffers whole blocks where
 * it is a pipe, and has no line buffering. */
void process_prepare(void)
{
    WSADATA data;

    WSAStartup(MAKEWORD(2, 2), &data);
    setvbuf(stdout, NULL, _IONBF, 0);
    SetConsoleOutputCP(CP_UTF8); /* fails without a console */
}

static char *to_utf8(const wchar_t *text)
{
    size_t room = 3 * wcslen(text) + 1;
    char *out = malloc(room);

    if (out)
        (void)utf8_from_wide(text, out, room);
    return out;
}

/* main's own are in the system's old code page, which has not all characters. */
char **process_arguments(int argc, char **argv)
{
    int count = 0;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &count);
    char **out = wide && count == argc ? calloc((size_t)argc + 1, sizeof *out) : NULL;

    for (int i = 0; out && i < argc; i++) {
        out[i] = to_utf8(wide[i]);
        if (!out[i])
            return argv;
    }
    LocalFree(wide);
    return out ? out : argv;
}

const char *process_default_config(void)
{
    static char path[3 * MAX_PATH + 32];
    wchar_t folder[MAX_PATH];
    DWORD length = GetEnvironmentVariableW(L"ProgramData", folder, MAX_PATH);

    if (length == 0 || length >= MAX_PATH || utf8_from_wide(folder, path, 3 * MAX_PATH) != 0)
        return "C:\\ProgramData\\hvrelay\\hvrelay.ini";
    strcat(path, "\\hvrelay\\hvrelay.ini");
    return path;
}

/* --- requests --- */

static void on_signal(uv_signal_t *handle, int number)
{
    (void)handle;
    (void)number;
    wanted.stop(wanted.arg);
}

static void on_wake(uv_async_t *async)
{
    unsigned requests;

    (void)async;
    AcquireSRWLockExclusive(&lock);
    requests = asked;
    asked = 0;
    ReleaseSRWLockExclusive(&lock);
    if (requests & PROCESS_RELOAD)
        wanted.reload(wanted.arg); /* a service always has a file */
    if (requests & PROCESS_STOP)
        wanted.stop(wanted.arg);
}

void process_ask(enum process_request request)
{
    AcquireSRWLockExclusive(&lock);
    asked |= request;
    if (listening)
        uv_async_send(&wake);
    ReleaseSRWLockExclusive(&lock);
}

static void set_listening(bool value)
{
    AcquireSRWLockExclusive(&lock);
    listening = value;
    if (value && asked)
        uv_async_send(&wake);
    ReleaseSRWLockExclusive(&lock);
}

int process_listen(uv_loop_t *loop, const struct process_requests *requests)
{
    int status = 0;

    wanted = *requests;
    uv_async_init(loop, &wake, on_wake);
    set_listening(true);
    for (int i = 0; i < SIGNALS; i++)
        uv_signal_init(loop, &signals[i]);
    for (int i = 0; i < SIGNALS && status == 0; i++)
        status = uv_signal_start(&signals[i], on_signal, numbers[i]);
    return status;
}

void process_ignore(void)
{
    set_listening(false);
    uv_close((uv_handle_t *)&wake, NULL);
    for (int i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&signals[i], NULL);
}

/* --- reports --- */

void process_report_to(const struct process_watcher *new_watcher)
{
    watcher = new_watcher;
}

void process_tell_ready(const char *status)
{
    (void)status;
    if (watcher)
        watcher->ready();
}

/* Windows has no state for these two. */
void process_tell_reloading(void)
{
}

void process_tell_alive(void)
{
}

void process_tell_stopping(void)
{
    if (watcher)
        watcher->stopping();
}

/* Windows does not wait longer than it was set up to. */
void process_extend_stop(uint64_t most)
{
    (void)most;
}

uint64_t process_watchdog_interval(void)
{
    return 0;
}
