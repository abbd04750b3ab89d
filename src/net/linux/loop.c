#include "net/loop.h"

#include <errno.h>
#include <unistd.h>

static void on_libuv(struct watch *watch, uint32_t events)
{
    struct loop *loop = list_entry(watch, struct loop, libuv);

    (void)events;
    loop->libuv_ready = true;
}

/* Where it fails nothing is left. */
static int open_epoll(struct loop *loop)
{
    int status;

    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0)
        return uv_translate_sys_error(errno);
    loop->libuv.event = on_libuv;
    status = loop_watch(loop, uv_backend_fd(&loop->uv), EPOLLIN, &loop->libuv);
    if (status != 0)
        close(loop->epoll);
    return status;
}

int loop_init(struct loop *loop, struct err *err)
{
    int status = uv_loop_init(&loop->uv);

    if (status != 0)
        return err_system(err, status, "cannot create an event loop");
    list_init(&loop->tasks);
    loop->stopping = loop->yielded = loop->libuv_ready = false;
    loop->event = loop->events = 0;
    status = open_epoll(loop);
    if (status != 0) { /* before libuv has a handle: it would abort where nothing can be watched */
        uv_loop_close(&loop->uv);
        return err_system(err, status, "cannot create an event loop");
    }
    status = timers_init(&loop->timers, &loop->uv);
    if (status == 0)
        return 0;
    loop_destroy(loop);
    return err_system(err, status, "cannot create an event loop");
}

/* How long this turn may wait: not at all while tasks are pending. */
static int turn_timeout(struct loop *loop)
{
    return list_empty(&loop->tasks) ? uv_backend_timeout(&loop->uv) : 0;
}

static void wait_for_events(struct loop *loop)
{
    int count = epoll_wait(loop->epoll, loop->turn, LOOP_EVENTS, turn_timeout(loop));

    uv_update_time(&loop->uv);
    loop->events = count > 0 ? count : 0;
    for (loop->event = 0; loop->event < loop->events;) {
        struct epoll_event *event = &loop->turn[loop->event++];
        struct watch *watch = event->data.ptr;

        if (watch)
            watch->event(watch, event->events);
    }
    loop->events = 0;
}

/* Runs the tasks that were there to begin with, or as many as there are before one yields. */
static void run_tasks(struct loop *loop)
{
    struct list last;

    if (list_empty(&loop->tasks))
        return;
    list_append(&loop->tasks, &last);
    loop->yielded = false;
    while (loop->tasks.next != &last && !loop->yielded) {
        struct task *task = list_entry(loop->tasks.next, struct task, link);

        list_remove(&task->link);
        task->run(task);
    }
    list_remove(&last);
}

/* libuv has something to do when its descriptor is ready, a timer is due, or a handle was started
 * or closed since it last ran (a timeout of 0 tells). */
static void run_libuv(struct loop *loop)
{
    if (!loop->libuv_ready && uv_backend_timeout(&loop->uv) != 0)
        return;
    loop->libuv_ready = false;
    uv_run(&loop->uv, UV_RUN_NOWAIT);
}

void loop_run(struct loop *loop)
{
    run_libuv(loop);
    while (!loop->stopping) {
        wait_for_events(loop);
        run_tasks(loop);
        run_libuv(loop);
    }
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

int loop_destroy(struct loop *loop)
{
    timers_close(&loop->timers);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    close(loop->epoll);
    return uv_loop_close(&loop->uv);
}

void loop_defer(struct loop *loop, struct task *task)
{
    if (list_empty(&task->link))
        list_append(&loop->tasks, &task->link);
}

void loop_defer_ahead(struct loop *loop, struct task *task)
{
    if (list_empty(&task->link))
        list_prepend(&loop->tasks, &task->link);
}

int loop_watch(struct loop *loop, int fd, uint32_t events, struct watch *watch)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return uv_translate_sys_error(errno);
    return 0;
}

void loop_forget(struct loop *loop, struct watch *watch)
{
    for (int i = loop->event; i < loop->events; i++) {
        if (loop->turn[i].data.ptr == watch)
            loop->turn[i].data.ptr = NULL;
    }
}

void loop_unwatch_one(struct loop *loop, int fd)
{
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void loop_unwatch(struct loop *loop, int fd, struct watch *watch)
{
    loop_unwatch_one(loop, fd);
    loop_forget(loop, watch);
}
