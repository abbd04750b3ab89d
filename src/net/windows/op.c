#include "op.h"

#include <stdlib.h>

#include <winsock2.h>

/* --- on a thread of the pool --- */

static void CALLBACK on_event(void *arg, BOOLEAN timed_out)
{
    struct op *op = arg;
    struct loop *loop = op->loop;

    (void)timed_out;
    uv_mutex_lock(&loop->lock);
    list_append(&loop->ended, &op->link);
    uv_mutex_unlock(&loop->lock);
    uv_async_send(&loop->wake);
}

/* --- on the loop --- */

static DWORD result_of(struct op *op)
{
    DWORD bytes, flags;

    if (op->is_socket)
        return WSAGetOverlappedResult((SOCKET)op->file, &op->overlapped, &bytes, FALSE, &flags)
                   ? 0
                   : (DWORD)WSAGetLastError();
    return GetOverlappedResult(op->file, &op->overlapped, &bytes, FALSE) ? 0 : GetLastError();
}

static void end(struct op *op)
{
    op_done *done = op->done;

    /* Returns once on_event has: it may still be on its way out, with a pointer to the loop. */
    UnregisterWaitEx(op->wait, INVALID_HANDLE_VALUE);
    op->done = NULL;
    if (done)
        done(op, result_of(op));
    else
        op->discard(op);
}

static void on_wake(uv_async_t *wake)
{
    struct loop *loop = list_entry(wake, struct loop, wake);
    struct list ended;

    uv_mutex_lock(&loop->lock);
    list_take(&ended, &loop->ended);
    uv_mutex_unlock(&loop->lock);
    while (!list_empty(&ended)) {
        struct op *op = list_entry(ended.next, struct op, link);

        list_remove(&op->link);
        end(op);
    }
}

int op_init(struct op *op, struct loop *loop, void (*discard)(struct op *op))
{
    op->event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (!op->event)
        return uv_translate_sys_error((int)GetLastError());
    op->overlapped.hEvent = op->event;
    op->loop = loop;
    op->discard = discard;
    list_init(&op->link);
    loop->ops++;
    return 0;
}

void op_free(struct op *op)
{
    op->loop->ops--;
    CloseHandle(op->event);
    free(op);
}

int op_await(struct op *op, HANDLE file, bool is_socket, op_done *done)
{
    DWORD error;

    op->file = file;
    op->is_socket = is_socket;
    op->done = done;
    if (RegisterWaitForSingleObject(&op->wait, op->event, on_event, op, INFINITE,
                                    WT_EXECUTEONLYONCE))
        return 0;
    error = GetLastError();
    CancelIoEx(file, &op->overlapped);
    WaitForSingleObject(op->event, INFINITE);
    op->discard(op);
    return uv_translate_sys_error((int)error);
}

void op_abandon(struct op *op)
{
    op->done = NULL;
    CancelIoEx(op->file, &op->overlapped); /* fails where it has just ended: as good */
}

int ops_init(struct loop *loop)
{
    int status = uv_mutex_init(&loop->lock);

    if (status != 0)
        return status;
    list_init(&loop->ended);
    loop->ops = 0;
    status = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (status != 0)
        uv_mutex_destroy(&loop->lock);
    return status;
}

void ops_close(struct loop *loop)
{
    while (loop->ops > 0) /* cancelled, but the system has still to let go of them */
        uv_run(&loop->uv, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_mutex_destroy(&loop->lock);
}
