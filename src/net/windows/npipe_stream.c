#include "npipe_stream.h"

#include "op.h"
#include "sock_os.h"

#include <stdlib.h>
#include <string.h>

enum { READ_SIZE = 64 * 1024 };

static HANDLE handle_of(const uv_stream_t *stream)
{
    uv_os_fd_t handle = INVALID_HANDLE_VALUE;

    uv_fileno((const uv_handle_t *)stream, &handle);
    return handle;
}

static bool has_type(const uv_stream_t *stream, DWORD type)
{
    DWORD flags;

    return GetNamedPipeInfo(handle_of(stream), &flags, NULL, NULL, NULL) && (flags & type) == type;
}

bool npipe_knows_end(const uv_stream_t *stream)
{
    return has_type(stream, PIPE_TYPE_MESSAGE) && !has_type(stream, PIPE_SERVER_END);
}

/* libuv has given the handle to its completion port: this bit keeps the port out of it. */
static int init_op(struct op *op, struct loop *loop, void (*discard)(struct op *op))
{
    int status = op_init(op, loop, discard);

    if (status == 0)
        op->overlapped.hEvent = (HANDLE)((uintptr_t)op->event | 1);
    return status;
}

/* --- reading --- */

struct npipe_reader {
    struct op op;
    struct task deliver;
    uv_stream_t *stream;
    uv_alloc_cb alloc;
    uv_read_cb read;
    int end; /* what is to be told once all bytes are: UV_EOF or an error */
    bool messages, wanted, pending, lost, closed;
    DWORD length, taken; /* of the bytes */
    char bytes[READ_SIZE];
};

static void set_end(struct npipe_reader *reader, DWORD error)
{
    reader->lost = error == ERROR_BROKEN_PIPE || error == ERROR_PIPE_NOT_CONNECTED;
    reader->end = reader->lost ? UV_EOF : sock_error(error);
}

static void on_read_done(struct op *op, DWORD error)
{
    struct npipe_reader *reader = list_entry(op, struct npipe_reader, op);

    reader->pending = false;
    reader->taken = 0;
    reader->length = 0;
    if (error != 0 && error != ERROR_MORE_DATA)
        set_end(reader, error);
    else if (op->overlapped.InternalHigh > 0)
        reader->length = (DWORD)op->overlapped.InternalHigh;
    else if (reader->messages)
        reader->end = UV_EOF;
    loop_defer(op->loop, &reader->deliver);
}

/* The rest of a message that is longer than the room comes with the next read. What is there
 * already needs no waiting, which would cost two changes of thread for each small message. */
static void start_read(struct npipe_reader *reader)
{
    HANDLE pipe = handle_of(reader->stream);
    DWORD error = 0;

    if (!ReadFile(pipe, reader->bytes, READ_SIZE, NULL, &reader->op.overlapped))
        error = GetLastError();
    if (error != ERROR_IO_PENDING) {
        on_read_done(&reader->op, error);
        return;
    }
    reader->end = op_await(&reader->op, pipe, false, on_read_done);
    reader->pending = reader->end == 0;
    if (!reader->pending)
        loop_defer(reader->op.loop, &reader->deliver);
}

/* What is not taken now is told in another turn: the callee may stop or close the reader. */
static void give(struct npipe_reader *reader)
{
    DWORD count = reader->length - reader->taken;
    uv_buf_t buffer = uv_buf_init(NULL, 0);

    reader->alloc((uv_handle_t *)reader->stream, count, &buffer);
    if (!buffer.base || buffer.len == 0) {
        reader->read(reader->stream, UV_ENOBUFS, &buffer);
        return;
    }
    if (count > buffer.len)
        count = buffer.len;
    memcpy(buffer.base, reader->bytes + reader->taken, count);
    reader->taken += count;
    loop_defer(reader->op.loop, &reader->deliver);
    reader->read(reader->stream, (ssize_t)count, &buffer);
}

static void on_deliver(struct task *task)
{
    struct npipe_reader *reader = list_entry(task, struct npipe_reader, deliver);
    const uv_buf_t nothing = uv_buf_init(NULL, 0);

    if (!reader->wanted || reader->pending)
        return;
    if (reader->taken < reader->length) {
        give(reader);
    } else if (reader->end == 0) {
        start_read(reader);
    } else {
        reader->wanted = false;
        reader->read(reader->stream, reader->end, &nothing);
    }
}

static void discard_reader(struct op *op)
{
    if (list_entry(op, struct npipe_reader, op)->closed)
        op_free(op);
}

int npipe_reader_open(struct loop *loop, uv_stream_t *stream, struct npipe_reader **out)
{
    struct npipe_reader *reader = calloc(1, sizeof *reader);
    DWORD mode = PIPE_READMODE_MESSAGE | PIPE_WAIT;
    int status = reader ? init_op(&reader->op, loop, discard_reader) : UV_ENOMEM;

    if (status != 0) {
        free(reader);
        return status;
    }
    reader->stream = stream;
    task_init(&reader->deliver, on_deliver);
    /* Read as bytes an empty message could vanish behind another one. */
    reader->messages = has_type(stream, PIPE_TYPE_MESSAGE) &&
                       SetNamedPipeHandleState(handle_of(stream), &mode, NULL, NULL);
    *out = reader;
    return 0;
}

void npipe_reader_start(struct npipe_reader *reader, uv_alloc_cb alloc, uv_read_cb read)
{
    reader->alloc = alloc;
    reader->read = read;
    reader->wanted = true;
    loop_defer(reader->op.loop, &reader->deliver);
}

void npipe_reader_stop(struct npipe_reader *reader)
{
    reader->wanted = false;
}

bool npipe_reader_is_lost(const struct npipe_reader *reader)
{
    return reader->lost;
}

void npipe_reader_close(struct npipe_reader *reader)
{
    task_cancel(&reader->deliver);
    reader->closed = true;
    if (reader->pending)
        op_abandon(&reader->op);
    else
        op_free(&reader->op);
}

/* --- the end of what is written --- */

struct end_op {
    struct op op;
    uv_shutdown_t flush;
    uv_shutdown_t *request;
    uv_shutdown_cb done;
};

static void finish(struct end_op *end, int status)
{
    uv_shutdown_t *request = end->request;
    uv_shutdown_cb done = end->done;

    op_free(&end->op);
    done(request, status);
}

/* Nobody waits for it. */
static void discard_end(struct op *op)
{
    finish(list_entry(op, struct end_op, op), UV_ENOMEM);
}

/* All was read. A peer that has closed the pipe meanwhile has no use for the message. */
static void on_end_told(struct op *op, DWORD error)
{
    (void)error;
    finish(list_entry(op, struct end_op, op), 0);
}

/* Not cancelled where the stream is closed: it ends by itself. Data that was not read is told by
 * another error than UV_ENOTCONN, which is a peer that has closed the pipe before. */
static void on_flushed(uv_shutdown_t *flush, int status)
{
    struct end_op *end = list_entry(flush, struct end_op, flush);
    HANDLE pipe;

    if (status != 0) {
        finish(end, status == UV_ENOTCONN ? 0 : status);
        return;
    }
    pipe = handle_of(flush->handle);
    if (WriteFile(pipe, "", 0, NULL, &end->op.overlapped) || GetLastError() == ERROR_IO_PENDING)
        op_await(&end->op, pipe, false, on_end_told);
    else
        finish(end, 0);
}

int npipe_shut(struct loop *loop, uv_stream_t *stream, uv_shutdown_t *request, uv_shutdown_cb done)
{
    struct end_op *end;
    int status;

    if (!has_type(stream, PIPE_TYPE_MESSAGE))
        return UV_ENOTSUP;
    end = calloc(1, sizeof *end);
    status = end ? init_op(&end->op, loop, discard_end) : UV_ENOMEM;
    if (status != 0) {
        free(end);
        return status;
    }
    end->request = request;
    end->done = done;
    status = uv_shutdown(&end->flush, stream, on_flushed);
    if (status != 0)
        op_free(&end->op);
    return status;
}
