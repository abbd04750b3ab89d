#include "app/retired.h"

#include <stdlib.h>

struct retired *retired_create(struct crew *crew, struct forward *forward)
{
    struct retired *retired = calloc(1, sizeof *retired);

    if (!retired)
        return NULL;
    retired->crew = crew;
    retired->forward = forward_share(forward);
    retired->timer.data = retired;
    list_init(&retired->link);
    return retired;
}

void retired_discard(struct retired *retired)
{
    if (retired)
        forward_release(retired->forward);
    free(retired);
}

static void on_closed(uv_handle_t *handle)
{
    retired_discard(handle->data);
}

void retired_end(struct retired *retired)
{
    list_remove(&retired->link);
    uv_close((uv_handle_t *)&retired->timer, on_closed);
}

static void on_timeout(uv_timer_t *timer)
{
    struct retired *retired = timer->data;
    struct crew *crew = retired->crew;

    for (unsigned i = 0; i < crew->count; i++) {
        if (worker_abort_forward(&crew->workers[i], retired->forward,
                                 "drain_timeout: its forward was removed by a reload") != 0)
            log_error("forward '%s': not enough memory to end its sessions",
                      retired->forward->name);
    }
    retired_end(retired);
}

void retired_begin(struct retired *retired, uv_loop_t *loop, uint64_t timeout, struct list *list)
{
    unsigned sessions = atomic_load(&retired->forward->sessions);

    log_info("forward '%s': removed, %u sessions may end", retired->forward->name, sessions);
    if (timeout == 0 || sessions == 0) {
        retired_discard(retired);
        return;
    }
    uv_timer_init(loop, &retired->timer);
    uv_timer_start(&retired->timer, on_timeout, timeout, 0);
    list_append(list, &retired->link);
}
