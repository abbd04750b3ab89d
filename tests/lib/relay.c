#include "relay.h"

#include "check.h"
#include "clock.h"
#include "lines.h"
#include "os.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* A thread of its own runs the loop with the process and its pipes; what it learns is kept under
 * the lock, and `changed` is signalled. */
struct relay {
    uv_thread_t thread;
    uv_loop_t loop;
    uv_process_t process;
    uv_pipe_t in, out, err;
    uv_async_t wake;
    uv_write_t feed;
    char room[16384]; /* a read is handled before the next one asks for room */
    const char *program;
    const char *path; /* of its configuration; "-": it comes on standard input */
    char *config;

    uv_mutex_t lock;
    uv_cond_t changed;
    struct lines said, log;
    bool spawned, exited, ask_to_stop, stall, finish;
    int pid, exit_code, spawn_error, open_outputs;
};

/* ---- in the relay's thread ---- */

static void on_room(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    (void)size;
    struct relay *relay = handle->data;
    *buf = uv_buf_init(relay->room, sizeof relay->room);
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct relay *relay = stream->data;
    struct lines *lines = stream == (uv_stream_t *)&relay->out ? &relay->said : &relay->log;

    uv_mutex_lock(&relay->lock);
    if (n > 0)
        lines_add(lines, buf->base, (size_t)n);
    if (n < 0) {
        lines_finish(lines);
        relay->open_outputs--;
    }
    uv_cond_broadcast(&relay->changed);
    uv_mutex_unlock(&relay->lock);
    if (n < 0)
        uv_close((uv_handle_t *)stream, NULL);
}

static void on_fed(uv_write_t *feed, int status)
{
    (void)status; /* a relay that does not read its configuration never gets ready */
    uv_close((uv_handle_t *)feed->handle, NULL);
}

static void on_exit_of_process(uv_process_t *process, int64_t code, int signal)
{
    struct relay *relay = process->data;
    uv_mutex_lock(&relay->lock);
    relay->exited = true;
    relay->exit_code = signal != 0 ? 128 + signal : (int)code;
    uv_cond_broadcast(&relay->changed);
    uv_mutex_unlock(&relay->lock);
    uv_close((uv_handle_t *)process, NULL);
}

static void close_unless_closed(void *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* Signals go out from the loop: here it is known whether the process has been reaped. The outputs
 * are closed at the end even if somebody still holds their other ends: a process that the relay
 * left. */
static void on_wake(uv_async_t *wake)
{
    struct relay *relay = wake->data;
    uv_mutex_lock(&relay->lock);
    bool stop = relay->ask_to_stop, finish = relay->finish, exited = relay->exited;
    bool stall = relay->stall;
    relay->ask_to_stop = false;
    uv_mutex_unlock(&relay->lock);
    if (stop && !exited)
        os_ask_to_stop(relay->pid);
    if (!uv_is_closing((uv_handle_t *)&relay->err)) {
        uv_read_stop((uv_stream_t *)&relay->err);
        if (!stall)
            uv_read_start((uv_stream_t *)&relay->err, on_room, on_output);
    }
    if (!finish)
        return;
    if (!exited)
        uv_process_kill(&relay->process, SIGKILL);
    close_unless_closed(&relay->in);
    close_unless_closed(&relay->out);
    close_unless_closed(&relay->err);
    close_unless_closed(&relay->wake);
}

static int spawn(struct relay *relay)
{
    char *args[] = {(char *)relay->program, (char *)"run", (char *)"-c", (char *)relay->path, NULL};
    uv_stdio_container_t stdio[3] = {
        {UV_CREATE_PIPE | UV_READABLE_PIPE, {.stream = (uv_stream_t *)&relay->in}},
        {UV_CREATE_PIPE | UV_WRITABLE_PIPE, {.stream = (uv_stream_t *)&relay->out}},
        {UV_CREATE_PIPE | UV_WRITABLE_PIPE, {.stream = (uv_stream_t *)&relay->err}},
    };
    uv_process_options_t options = {
        .file = relay->program,
        .args = args,
        .stdio = stdio,
        .stdio_count = 3,
        .exit_cb = on_exit_of_process,
    };
    return uv_spawn(&relay->loop, &relay->process, &options);
}

static void run_loop(void *arg)
{
    struct relay *relay = arg;
    int error = spawn(relay);

    uv_mutex_lock(&relay->lock);
    relay->spawned = true;
    relay->spawn_error = error;
    relay->exited = error != 0;
    relay->pid = error == 0 ? relay->process.pid : 0;
    relay->open_outputs = error == 0 ? 2 : 0;
    uv_cond_broadcast(&relay->changed);
    uv_mutex_unlock(&relay->lock);

    if (error == 0) {
        uv_buf_t text = uv_buf_init(relay->config, (unsigned)strlen(relay->config));
        uv_write(&relay->feed, (uv_stream_t *)&relay->in, &text, 1, on_fed);
        uv_read_start((uv_stream_t *)&relay->out, on_room, on_output);
        uv_read_start((uv_stream_t *)&relay->err, on_room, on_output);
    } else {
        uv_close((uv_handle_t *)&relay->process, NULL);
    }
    uv_run(&relay->loop, UV_RUN_DEFAULT);
}

/* ---- in the thread of the test ---- */

/* Waits under the lock for a change until `deadline`; false when that has passed. */
static bool await_change(struct relay *relay, uint64_t deadline)
{
    uint64_t left = clock_left_ms(deadline);
    return left > 0 && uv_cond_timedwait(&relay->changed, &relay->lock, left * 1000000) == 0;
}

/* True when nothing more can come: what a process wrote may be read after its exit. */
static bool is_over(const struct relay *relay)
{
    return relay->exited && relay->open_outputs == 0;
}

static bool await_line(struct relay *relay, struct lines *lines, size_t from,
                       const char *const *words, uint64_t timeout_ms)
{
    uint64_t deadline = clock_ms() + timeout_ms;
    uv_mutex_lock(&relay->lock);
    bool found = lines_have(lines, from, words);
    while (!found && !is_over(relay) && await_change(relay, deadline))
        found = lines_have(lines, from, words);
    uv_mutex_unlock(&relay->lock);
    return found;
}

/* AddressSanitizer keeps 256 MiB of what is freed, which would look like a relay that grows. What
 * the user asks for comes later in the text, and wins. */
static void bound_quarantine(void)
{
    static bool done;
    char asked[512] = "", options[600];
    size_t size = sizeof asked;

    if (done)
        return;
    done = true;
    uv_os_getenv("ASAN_OPTIONS", asked, &size);
    snprintf(options, sizeof options, "quarantine_size_mb=4:%s", asked);
    uv_os_setenv("ASAN_OPTIONS", options);
}

static struct relay *spawn_relay(const char *program, const char *path, const char *config)
{
    struct relay *relay = calloc(1, sizeof *relay);

    bound_quarantine();
    assert_non_null(relay);
    relay->program = program;
    relay->path = path;
    relay->config = malloc(strlen(config) + 1);
    assert_non_null(relay->config);
    strcpy(relay->config, config);
    uv_mutex_init(&relay->lock);
    uv_cond_init(&relay->changed);
    uv_loop_init(&relay->loop);
    uv_async_init(&relay->loop, &relay->wake, on_wake);
    uv_pipe_init(&relay->loop, &relay->in, 0);
    uv_pipe_init(&relay->loop, &relay->out, 0);
    uv_pipe_init(&relay->loop, &relay->err, 0);
    relay->process.data = relay->out.data = relay->err.data = relay->wake.data = relay;
    if (uv_thread_create(&relay->thread, run_loop, relay) != 0)
        fail_msg("cannot start a thread");
    return relay;
}

bool relay_await_ready(struct relay *relay, uint64_t timeout_ms)
{
    static const char *const ready[] = {"ready", NULL};
    return await_line(relay, &relay->said, 0, ready, timeout_ms);
}

static struct relay *start(const char *program, const char *path, const char *config)
{
    struct relay *relay = spawn_relay(program, path, config);

    if (!relay_await_ready(relay, PATIENCE_MS)) {
        int error = relay->spawn_error;
        relay_log_print(relay, 0, 40);
        relay_free(relay);
        if (error != 0)
            fail_msg("cannot start '%s': %s", program, uv_strerror(error));
        fail_msg("'%s' did not say 'ready'; its configuration was (%s)\n%s", program, path, config);
    }
    uv_mutex_lock(&relay->lock);
    bool last = strcmp(relay->said.line[relay->said.count - 1], "ready") == 0;
    uv_mutex_unlock(&relay->lock);
    if (!last) {
        relay_free(relay);
        fail_msg("'ready' is not the last line that '%s' said", program);
    }
    return relay;
}

struct relay *relay_spawn_file(const char *program, const char *path)
{
    return spawn_relay(program, path, "");
}

struct relay *relay_start(const char *program, const char *config)
{
    return start(program, "-", config);
}

struct relay *relay_start_file(const char *program, const char *path)
{
    return start(program, path, "");
}

const char *relay_endpoint(struct relay *relay, const char *name)
{
    const char *endpoint = NULL;
    char wanted[96];
    size_t len = (size_t)snprintf(wanted, sizeof wanted, "listening %s ", name);

    uv_mutex_lock(&relay->lock);
    for (size_t i = 0; i < relay->said.count && endpoint == NULL; i++)
        if (strncmp(relay->said.line[i], wanted, len) == 0)
            endpoint = relay->said.line[i] + len;
    uv_mutex_unlock(&relay->lock);
    if (endpoint == NULL)
        fail_msg("the relay never said '%s...'", wanted);
    return endpoint;
}

int relay_pid(const struct relay *relay)
{
    return relay->pid;
}

bool relay_running(struct relay *relay)
{
    uv_mutex_lock(&relay->lock);
    bool running = relay->spawned && !relay->exited;
    uv_mutex_unlock(&relay->lock);
    return running;
}

size_t relay_log_mark(struct relay *relay)
{
    uv_mutex_lock(&relay->lock);
    size_t count = relay->log.count;
    uv_mutex_unlock(&relay->lock);
    return count;
}

bool relay_log_has(struct relay *relay, size_t mark, const char *const *words, uint64_t timeout_ms)
{
    return await_line(relay, &relay->log, mark, words, timeout_ms);
}

void relay_log_print(struct relay *relay, size_t mark, size_t most)
{
    if (relay == NULL)
        return;
    uv_mutex_lock(&relay->lock);
    size_t count = relay->log.count;
    size_t from = count - mark > most ? count - most : mark;
    if (from > mark)
        fprintf(stderr, "    relay: (%zu lines left out)\n", from - mark);
    for (size_t i = from; i < count; i++)
        fprintf(stderr, "    relay: %s\n", relay->log.line[i]);
    uv_mutex_unlock(&relay->lock);
}

void relay_log_each(struct relay *relay, void (*take)(void *arg, const char *line), void *arg)
{
    uint64_t deadline = clock_ms() + PATIENCE_MS;

    uv_mutex_lock(&relay->lock);
    while (relay->open_outputs > 0 && await_change(relay, deadline))
        continue;
    for (size_t i = 0; i < relay->log.count; i++)
        take(arg, relay->log.line[i]);
    uv_mutex_unlock(&relay->lock);
}

void relay_log_forget(struct relay *relay)
{
    uv_mutex_lock(&relay->lock);
    lines_forget(&relay->log);
    uv_mutex_unlock(&relay->lock);
}

static void wake(struct relay *relay, bool *flag)
{
    uv_mutex_lock(&relay->lock);
    *flag = true;
    uv_mutex_unlock(&relay->lock);
    uv_async_send(&relay->wake);
}

void relay_ask_to_stop(struct relay *relay)
{
    wake(relay, &relay->ask_to_stop);
}

void relay_log_stall(struct relay *relay, bool stall)
{
    uv_mutex_lock(&relay->lock);
    relay->stall = stall;
    uv_mutex_unlock(&relay->lock);
    uv_async_send(&relay->wake);
}

int relay_wait(struct relay *relay, uint64_t timeout_ms)
{
    uint64_t deadline = clock_ms() + timeout_ms;
    uv_mutex_lock(&relay->lock);
    while (!relay->exited && await_change(relay, deadline))
        continue;
    int code = relay->exited ? relay->exit_code : -1;
    uv_mutex_unlock(&relay->lock);
    return code;
}

void relay_free(struct relay *relay)
{
    if (relay == NULL)
        return;
    wake(relay, &relay->finish);
    uv_thread_join(&relay->thread);
    uv_loop_close(&relay->loop);
    uv_cond_destroy(&relay->changed);
    uv_mutex_destroy(&relay->lock);
    lines_free(&relay->said);
    lines_free(&relay->log);
    free(relay->config);
    free(relay);
}
