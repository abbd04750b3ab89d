#include "app/reload.h"

#include "app/unclaimed.h"
#include "net/descriptors.h"

#include <stdio.h>

struct transaction {
    struct running *running;
    struct config config; /* the new one */
    struct log_target *log;
    struct roster_change *forwards;
    bool has_descriptor; /* for a log file where there was none */
};

/* Takes effect with the next client and the next log line. */
static void change_settings(struct running *running, const struct config *config)
{
    log_set_level(config->log_level);
    log_set_format(config->log_format);
    atomic_store(&running->crew->totals.most_sessions, config->max_sessions);
    running->drain_timeout = config->drain_timeout;
    running->has_log_file = config->log_file[0] != '\0';
}

int running_begin(struct running *running, const struct config *config, struct err *err)
{
    if (log_open(config->log_file, err) != 0)
        return -1;
    change_settings(running, config);
    running->workers = config->workers ? config->workers : uv_available_parallelism();
    running->has_control = config->has_control;
    running->control = config->control;
    return 0;
}

static int prepare_log(struct transaction *transaction, struct err *err)
{
    const char *path = transaction->config.log_file;

    if (path[0] && !transaction->running->has_log_file) {
        if (!descriptors_reserve(1))
            return err_system(err, UV_EMFILE, "no descriptor is left for the log file");
        transaction->has_descriptor = true;
    }
    return log_prepare(path, &transaction->log, err);
}

static int prepare(struct transaction *transaction, struct err *err)
{
    if (prepare_log(transaction, err) != 0)
        return -1;
    return roster_prepare(transaction->running->roster, &transaction->config,
                          &transaction->forwards, err);
}

static void rollback(struct transaction *transaction)
{
    log_discard(transaction->log);
    if (transaction->has_descriptor)
        descriptors_release(1);
}

/* The limits come before the gates that ask for them, and those that wait ask again at the end. */
static void commit(struct transaction *transaction)
{
    struct running *running = transaction->running;
    bool log_closes = running->has_log_file && !transaction->config.log_file[0];

    log_switch(transaction->log);
    if (log_closes)
        descriptors_release(1);
    change_settings(running, &transaction->config);
    roster_commit(transaction->forwards);
    unclaimed_update(running->loop, &transaction->config);
    crew_tell_room(running->crew);
}

static bool is_same_control(const struct running *running, const struct config *config)
{
    return running->has_control == config->has_control &&
           (!running->has_control || endpoint_equal(&running->control, &config->control));
}

/* What of [hvrelay] only a start can change. Returns whether there is any. */
static bool name_restarts(const struct running *running, const struct config *config,
                          config_complain *complain, void *arg)
{
    unsigned workers = config->workers ? config->workers : uv_available_parallelism();
    bool same_control = is_same_control(running, config);
    char line[160];

    if (workers != running->workers) {
        snprintf(line, sizeof line,
                 "'workers' stays %u until a restart, the file says %u: all else was applied",
                 running->workers, workers);
        complain(arg, line);
    }
    if (!same_control)
        complain(arg, "'control' stays as it is until a restart: all else was applied");
    return workers != running->workers || !same_control;
}

static enum reload_result carry_out(struct transaction *transaction, config_complain *complain,
                                    void *arg)
{
    struct err err;

    if (prepare(transaction, &err) != 0) {
        rollback(transaction);
        err_prefix(&err, "nothing was changed");
        complain(arg, err.msg);
        return RELOAD_FAILED;
    }
    commit(transaction);
    return name_restarts(transaction->running, &transaction->config, complain, arg) ? RELOAD_PARTLY
                                                                                    : RELOAD_DONE;
}

enum reload_result reload(struct running *running, const char *path, config_complain *complain,
                          void *arg)
{
    struct transaction transaction = {.running = running};
    enum reload_result result;

    if (config_load(path, &transaction.config, complain, arg) != 0) {
        complain(arg, "the configuration has mistakes: nothing was changed");
        return RELOAD_MISTAKEN;
    }
    result = carry_out(&transaction, complain, arg);
    if (result != RELOAD_FAILED)
        log_info("reloaded %s: %zu forwards", path, transaction.config.count);
    config_free(&transaction.config);
    return result;
}
