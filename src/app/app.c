#include "app/app.h"

#include "app/process.h"
#include "net/descriptors.h"
#include "session/worker.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>

struct app {
    const struct config *config;
    uv_loop_t loop;
    uv_async_t notice; /* from the workers */
    uv_signal_t interrupt, terminate;
    uv_timer_t drain_timer;
    struct forward *forwards; /* as in the configuration */
    struct crew crew;
    struct gate *gates; /* workers x forwards */
    bool stopping, aborted;
};

/* What comes from outside of app_run. */
static struct {
    uv_once_t once;
    uv_mutex_t lock;    /* of the two below */
    uv_async_t *notice; /* while there is a loop to be told */
    bool stop;
    void (*ready)(void);
} outside = {.once = UV_ONCE_INIT};

static void init_outside(void)
{
    if (uv_mutex_init(&outside.lock) != 0)
        abort();
}

void app_stop(void)
{
    uv_once(&outside.once, init_outside);
    uv_mutex_lock(&outside.lock);
    outside.stop = true;
    if (outside.notice)
        uv_async_send(outside.notice);
    uv_mutex_unlock(&outside.lock);
}

void app_on_ready(void (*ready)(void))
{
    outside.ready = ready;
}

/* From now on app_stop tells this loop, or none. */
static void listen_outside(uv_async_t *notice)
{
    uv_once(&outside.once, init_outside);
    uv_mutex_lock(&outside.lock);
    outside.notice = notice;
    if (notice && outside.stop)
        uv_async_send(notice);
    uv_mutex_unlock(&outside.lock);
}

static bool told_to_stop(void)
{
    bool stop;

    uv_mutex_lock(&outside.lock);
    stop = outside.stop;
    uv_mutex_unlock(&outside.lock);
    return stop;
}

static int open_forwards(struct app *app, size_t *opened, struct err *err)
{
    for (*opened = 0; *opened < app->config->count; ++*opened) {
        if (forward_open(&app->forwards[*opened], &app->config->forwards[*opened], err) != 0)
            return -1;
    }
    return 0;
}

static bool speaks_on_stdout(const struct config *config)
{
    for (size_t i = 0; i < config->count; i++) {
        if (config->forwards[i].listen.family == FAMILY_STDIO ||
            config->forwards[i].connect.family == FAMILY_STDIO)
            return true;
    }
    return false;
}

/* Whoever started the program learns here which ports were chosen, and that clients may come. */
static void print_ready(const struct app *app)
{
    char listen[ENDPOINT_TEXT], connect[ENDPOINT_TEXT];
    bool quiet = speaks_on_stdout(app->config);

    for (size_t i = 0; i < app->config->count; i++) {
        const struct forward *forward = &app->forwards[i];

        endpoint_format(listener_endpoint(forward->listener), listen, sizeof listen);
        endpoint_format(&forward->config.connect, connect, sizeof connect);
        log_info("forward '%s': listening on %s for %s", forward->config.name, listen, connect);
        if (!quiet)
            printf("listening %s %s\n", forward->config.name, listen);
    }
    if (!quiet) {
        printf("ready\n");
        fflush(stdout);
    }
    if (outside.ready)
        outside.ready();
}

static void close_handles(struct app *app)
{
    listen_outside(NULL);
    uv_close((uv_handle_t *)&app->notice, NULL);
    uv_close((uv_handle_t *)&app->interrupt, NULL);
    uv_close((uv_handle_t *)&app->terminate, NULL);
    uv_close((uv_handle_t *)&app->drain_timer, NULL);
}

static void abort_sessions(struct app *app)
{
    unsigned sessions = 0;

    if (app->aborted)
        return;
    app->aborted = true;
    for (size_t i = 0; i < app->config->count; i++)
        sessions += atomic_load(&app->forwards[i].sessions);
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
    for (unsigned i = 0; i < app->crew.count; i++)
        worker_drain(&app->crew.workers[i]);
    if (app->config->drain_timeout > 0)
        uv_timer_start(&app->drain_timer, on_drain_timeout, app->config->drain_timeout, 0);
}

/* The first signal stops politely, the second at once. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct app *app = handle->data;

    if (app->stopping) {
        abort_sessions(app);
        return;
    }
    log_info("signal %d: no more clients are accepted, sessions may end", number);
    drain(app);
}

/* True where nothing can happen any more: each forward was for one stream, and it has ended. */
static bool all_done(const struct app *app)
{
    for (size_t i = 0; i < app->config->count; i++) {
        const struct forward *forward = &app->forwards[i];

        if (!family_is_single(forward->config.listen.family) || atomic_load(&forward->ended) == 0)
            return false;
    }
    return true;
}

static void on_notice(uv_async_t *async)
{
    struct app *app = async->data;

    if (!app->stopping && (all_done(app) || told_to_stop()))
        drain(app);
    if (atomic_load(&app->crew.at_work) == 0)
        close_handles(app);
}

static int init_loop(struct app *app, struct err *err)
{
    int status = uv_loop_init(&app->loop);

    if (status != 0)
        return err_system(err, status, "cannot create an event loop");
    app->notice.data = app->interrupt.data = app->terminate.data = app->drain_timer.data = app;
    uv_async_init(&app->loop, &app->notice, on_notice);
    uv_signal_init(&app->loop, &app->interrupt);
    uv_signal_init(&app->loop, &app->terminate);
    uv_timer_init(&app->loop, &app->drain_timer);
    uv_signal_start(&app->interrupt, on_signal, SIGINT);
    uv_signal_start(&app->terminate, on_signal, SIGTERM);
    return 0;
}

static unsigned worker_count(const struct config *config)
{
    return config->workers ? config->workers : uv_available_parallelism();
}

/* Starts as many workers as asked for; all of them, or none are left. */
static int start_workers(struct app *app, struct err *err)
{
    unsigned count = worker_count(app->config);

    app->crew.notice = &app->notice;
    app->crew.workers = calloc(count, sizeof *app->crew.workers);
    app->gates = calloc(count * app->config->count, sizeof *app->gates);
    if (!app->crew.workers || !app->gates)
        return err_system(err, UV_ENOMEM, "cannot start the workers");
    while (app->crew.count < count) {
        if (worker_start(&app->crew.workers[app->crew.count], &app->crew, err) != 0)
            return -1;
        app->crew.count++;
    }
    return 0;
}

static void open_gates(struct app *app)
{
    struct gate *gate = app->gates;

    for (unsigned i = 0; i < app->crew.count; i++) {
        for (size_t j = 0; j < app->config->count; j++)
            worker_add(&app->crew.workers[i], gate++, &app->forwards[j]);
    }
}

/* The session of a single forward is the program's own success or failure. */
static enum app_status outcome(const struct app *app)
{
    for (size_t i = 0; i < app->config->count; i++) {
        const struct forward *forward = &app->forwards[i];

        if (family_is_single(forward->config.listen.family) && atomic_load(&forward->broken) > 0)
            return APP_FAILED;
    }
    return APP_OK;
}

static enum app_status run(struct app *app)
{
    bool started;
    struct err err;

    started = start_workers(app, &err) == 0;
    if (started) {
        open_gates(app);
        print_ready(app);
    } else {
        log_error("%s", err.msg);
        drain(app);
    }
    if (app->crew.count == 0)
        close_handles(app);
    else
        listen_outside(&app->notice);
    uv_run(&app->loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < app->crew.count; i++)
        worker_join(&app->crew.workers[i]);
    free(app->crew.workers);
    free(app->gates);
    return started ? outcome(app) : APP_FAILED;
}

enum app_status app_run(const struct config *config)
{
    struct app app = {.config = config};
    enum app_status status = APP_FAILED;
    struct err err;
    size_t opened = 0;
    int left;

    process_prepare();
    log_set_level(config->log_level);
    app.forwards = calloc(config->count, sizeof *app.forwards);
    if (!app.forwards)
        err_system(&err, UV_ENOMEM, "cannot start");
    if (!app.forwards || open_forwards(&app, &opened, &err) != 0 || init_loop(&app, &err) != 0) {
        log_error("%s", err.msg);
    } else {
        descriptors_init();
        status = run(&app);
        left = uv_loop_close(&app.loop);
        assert(left == 0);
        (void)left;
    }
    while (opened-- > 0)
        forward_close(&app.forwards[opened]);
    free(app.forwards);
    return status;
}
