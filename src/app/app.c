#include "app/app.h"

#include "app/control.h"
#include "app/process.h"
#include "app/reload.h"
#include "app/unclaimed.h"
#include "app/watchdog.h"
#include "net/descriptors.h"
#include "session/worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct app {
    const char *path;
    struct running running;
    bool quiet; /* standard output is a forward's */
    struct loop loop;
    uv_async_t notice; /* from the workers */
    uv_timer_t drain_timer;
    uv_timer_t repeats_timer; /* while log lines are being swallowed */
    struct crew crew;
    struct roster *roster;
    struct watchdog watchdog;
    struct control *control; /* NULL: none */
    bool stopping, aborted;
};

static bool speaks_on_stdout(const struct config *config)
{
    for (size_t i = 0; i < config->count; i++) {
        if (config->forwards[i].listen.family == FAMILY_STDIO ||
            config->forwards[i].connect.family == FAMILY_STDIO)
            return true;
    }
    return false;
}

/* Whoever started the program learns here which ports were chosen. */
static void print_listener(void *arg, const char *name, const struct endpoint *listen,
                           const struct endpoint *connect)
{
    const struct app *app = arg;
    char listen_text[ENDPOINT_TEXT], connect_text[ENDPOINT_TEXT];

    endpoint_format(listen, listen_text, sizeof listen_text);
    endpoint_format(connect, connect_text, sizeof connect_text);
    log_info("forward '%s': listening on %s for %s", name, listen_text, connect_text);
    if (!app->quiet)
        printf("listening %s %s\n", name, listen_text);
}

static void print_ready(struct app *app)
{
    roster_each(app->running.roster, print_listener, app);
    if (!app->quiet) {
        printf("ready\n");
        fflush(stdout);
    }
}

/* All workers have ended: nothing holds the loop any more. */
static void close_handles(struct app *app)
{
    roster_stop(app->running.roster);
    watchdog_stop(&app->watchdog);
    control_close(app->control);
    process_ignore();
    uv_close((uv_handle_t *)&app->notice, NULL);
    uv_close((uv_handle_t *)&app->drain_timer, NULL);
    (void)roster_tell_repeats(app->running.roster);
    uv_close((uv_handle_t *)&app->repeats_timer, NULL);
    loop_stop(&app->loop);
}

/* Those of forwards that were removed among them. */
static unsigned count_sessions(const struct app *app)
{
    return atomic_load(&app->crew.totals.sessions);
}

static void abort_sessions(struct app *app)
{
    unsigned sessions = count_sessions(app);

    if (app->aborted)
        return;
    app->aborted = true;
    process_extend_stop(0);
    if (sessions > 0)
        log_warning("stopping now: %u sessions are reset", sessions);
    for (unsigned i = 0; i < app->crew.count; i++)
        worker_abort(&app->crew.workers[i]);
}

static void on_drain_timeout(uv_timer_t *timer)
{
    abort_sessions(timer->data);
}

static void drain(struct app *app)
{
    app->stopping = true;
    process_tell_stopping();
    process_extend_stop(app->running.drain_timeout > 0 ? app->running.drain_timeout : UINT64_MAX);
    unclaimed_close();
    roster_stop(app->running.roster);
    for (unsigned i = 0; i < app->crew.count; i++)
        worker_drain(&app->crew.workers[i]);
    if (app->running.drain_timeout > 0)
        uv_timer_start(&app->drain_timer, on_drain_timeout, app->running.drain_timeout, 0);
}

/* The first request stops politely, the second at once. */
static void on_stop_request(void *arg)
{
    struct app *app = arg;

    if (app->stopping) {
        abort_sessions(app);
        return;
    }
    log_info("asked to stop: no more clients are accepted, %u sessions may end",
             count_sessions(app));
    drain(app);
}

static void log_complaint(void *arg, const char *line)
{
    (void)arg;
    log_error("reload: %s", line);
}

static void tell_ready(const struct app *app)
{
    char status[64];

    snprintf(status, sizeof status, "relaying, %u sessions", count_sessions(app));
    process_tell_ready(status);
}

static enum reload_result reload_and_tell(struct app *app, config_complain *complain, void *arg)
{
    enum reload_result result;

    if (!app->path || app->stopping) {
        complain(arg, app->stopping ? "nothing is reloaded: the program stops"
                                    : "there is nothing to reload: the configuration is no file");
        return RELOAD_FAILED;
    }
    process_tell_reloading();
    result = reload(&app->running, app->path, complain, arg);
    tell_ready(app);
    return result;
}

static void on_reload_request(void *arg)
{
    (void)reload_and_tell(arg, log_complaint, NULL);
}

/* What is wrong is of interest to the one who asks, and in the log. */
static void answer_complaint(void *client, const char *line)
{
    log_error("reload: %s", line);
    control_answer(client, line);
}

static enum control_result on_control(void *arg, struct control_client *client, const char *request)
{
    if (strcmp(request, "reload") == 0) {
        switch (reload_and_tell(arg, answer_complaint, client)) {
        case RELOAD_DONE:
            return CONTROL_OK;
        case RELOAD_MISTAKEN:
            return CONTROL_MISTAKEN;
        default:
            return CONTROL_FAILED;
        }
    }
    control_answer(client, "unknown request");
    return CONTROL_FAILED;
}

static void on_reopen_request(void *arg)
{
    (void)arg;
    log_reopen();
}

static void on_repeats_timer(uv_timer_t *timer)
{
    struct app *app = timer->data;

    atomic_store(&app->crew.repeats, false);
    (void)roster_tell_repeats(app->running.roster);
}

static void on_notice(uv_async_t *async)
{
    struct app *app = async->data;

    if (atomic_load(&app->crew.repeats) && !uv_is_active((uv_handle_t *)&app->repeats_timer) &&
        !uv_is_closing((uv_handle_t *)&app->repeats_timer))
        uv_timer_start(&app->repeats_timer, on_repeats_timer, REPEAT_PAUSE, 0);
    if (!app->stopping && roster_all_done(app->running.roster))
        drain(app);
    if (atomic_load(&app->crew.at_work) == 0)
        close_handles(app);
}

static void on_alive(void *arg)
{
    const struct app *app = arg;

    if (!app->stopping)
        tell_ready(app);
    process_tell_alive();
}

static int init_loop(struct app *app, struct err *err)
{
    /* A hang-up of a program that speaks on its terminal or to ssh is its end, as usual. */
    struct process_requests requests = {on_stop_request, app->quiet ? NULL : on_reload_request,
                                        on_reopen_request, app};
    int status;

    if (loop_init(&app->loop, err) != 0)
        return -1;
    app->notice.data = app->drain_timer.data = app->repeats_timer.data = app;
    uv_async_init(&app->loop.uv, &app->notice, on_notice);
    uv_timer_init(&app->loop.uv, &app->drain_timer);
    uv_timer_init(&app->loop.uv, &app->repeats_timer);
    watchdog_start(&app->watchdog, &app->loop.uv, &app->crew, process_watchdog_interval(), on_alive,
                   app);
    status = process_listen(&app->loop.uv, &requests);
    app->running.roster = roster_create(&app->loop.uv, &app->crew);
    if (status != 0 || !app->running.roster)
        return err_system(err, status ? status : UV_ENOMEM, "cannot wait for signals");
    return 0;
}

/* Starts as many workers as asked for. Those of a failed start are left to be drained. */
static int start_workers(struct app *app, unsigned count, struct err *err)
{
    app->crew.notice = &app->notice;
    app->crew.workers = calloc(count, sizeof *app->crew.workers);
    if (!app->crew.workers)
        return err_system(err, UV_ENOMEM, "cannot start the workers");
    while (app->crew.count < count) {
        if (worker_start(&app->crew.workers[app->crew.count], &app->crew, err) != 0)
            return -1;
        app->crew.count++;
    }
    return 0;
}

static int open_control(struct app *app, const struct config *config, struct err *err)
{
    if (!config->has_control)
        return 0;
    return control_open(&app->loop, &config->control, on_control, app, &app->control, err);
}

/* Once all that is not a session's is open. Until then no client is let in. */
static int count_descriptors(struct app *app, struct err *err)
{
    descriptors_count();
    if (descriptors_total() < 2)
        return err_set(err, UV_EMFILE,
                       "the limit on open files leaves none for a session (ulimit -n, "
                       "LimitNOFILE=)");
    crew_tell_room(&app->crew);
    return 0;
}

static void run_until_stopped(struct app *app)
{
    if (app->crew.count == 0)
        close_handles(app);
    loop_run(&app->loop);
    for (unsigned i = 0; i < app->crew.count; i++)
        worker_join(&app->crew.workers[i]);
    crew_assert_empty(&app->crew);
}

static enum app_status run(const struct config *config, const char *path)
{
    struct app app = {
        .path = path,
        .quiet = speaks_on_stdout(config),
    };
    enum app_status status = APP_OK;
    struct err err;
    int left;

    descriptors_raise();
    app.running.crew = &app.crew;
    app.running.loop = &app.loop.uv;
    if (running_begin(&app.running, config, &err) != 0 || init_loop(&app, &err) != 0) {
        log_error("%s", err.msg);
        return APP_FAILED;
    }
    if (open_control(&app, config, &err) == 0 &&
        start_workers(&app, app.running.workers, &err) == 0 &&
        roster_apply(app.running.roster, config, &err) == 0 && count_descriptors(&app, &err) == 0) {
        unclaimed_update(&app.loop.uv, config);
        print_ready(&app);
        tell_ready(&app);
    } else {
        log_error("%s", err.msg);
        status = APP_FAILED;
        drain(&app);
    }
    run_until_stopped(&app);
    if (roster_any_broken(app.running.roster))
        status = APP_FAILED;
    left = loop_destroy(&app.loop);
    roster_free(app.running.roster);
    free(app.crew.workers);
    assert(left == 0);
    (void)left;
    return status;
}

enum app_status app_run(const struct config *config, const char *path)
{
    enum app_status status;
    struct err err;

    if (log_start(&err) != 0) {
        log_error("%s", err.msg);
        return APP_FAILED;
    }
    status = run(config, path);
    log_stop();
    return status;
}
