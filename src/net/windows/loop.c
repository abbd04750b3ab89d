#include "net/loop.h"

#include "op.h"

int loop_init(struct loop *loop, struct err *err)
{
    int status = uv_loop_init(&loop->uv);

    if (status != 0)
        return err_system(err, status, "cannot create an event loop");
    list_init(&loop->tasks);
    loop->stopping = false;
    status = ops_init(loop);
    if (status == 0) {
        status = timers_init(&loop->timers, &loop->uv);
        if (status == 0)
            return 0;
        ops_close(loop);
    }
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(&loop->uv);
    return err_system(err, status, "cannot create an event loop");
}

static void run_tasks(struct loop *loop)
{
    struct list tasks;

    list_take(&tasks, &loop->tasks);
    while (!list_empty(&tasks)) {
        struct task *task = list_entry(tasks.next, struct task, link);

        list_remove(&task->link);
        task->run(task);
    }
}

void loop_run(struct loop *loop)
{
    while (!loop->stopping) {
        uv_run(&loop->uv, list_empty(&loop->tasks) ? UV_RUN_ONCE : UV_RUN_NOWAIT);
        run_tasks(loop);
    }
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

int loop_destroy(struct loop *loop)
{
    ops_close(loop);
    timers_close(&loop->timers);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
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
