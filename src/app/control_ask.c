/* The asking side of the control socket: dials, writes the request, reads the answer to its end. */

#include "app/control.h"

#include "net/dial.h"

#include <stdio.h>
#include <string.h>

struct asking {
    struct loop loop;
    struct conn conn;
    uv_stream_t *reader, *writer;
    uv_write_t write;
    char request[80], answer[16384];
    size_t answered;
    struct timer patience;
    struct err err;
    bool failed;
};

enum { PATIENCE = 10000 }; /* ms for the whole answer */

static void fail(struct asking *asking, int status)
{
    err_system(&asking->err, status, "no answer from the control socket");
    asking->failed = true;
    loop_stop(&asking->loop);
}

static void on_patience_over(struct timer *timer)
{
    fail(list_entry(timer, struct asking, patience), UV_ETIMEDOUT);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct asking *asking = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(asking->answer + asking->answered,
                          (unsigned)(sizeof asking->answer - 1 - asking->answered));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct asking *asking = stream->data;

    (void)buffer;
    if (count > 0)
        asking->answered += (size_t)count;
    else if (count == UV_EOF)
        loop_stop(&asking->loop);
    else if (count < 0)
        fail(asking, (int)count);
}

static void on_written(uv_write_t *write, int status)
{
    if (status != 0 && status != UV_ECANCELED)
        fail(write->data, status);
}

static void on_dialled(void *arg, const struct err *err)
{
    struct asking *asking = arg;
    uv_buf_t buffer = uv_buf_init(asking->request, (unsigned)strlen(asking->request));

    if (err)
        asking->err = *err;
    asking->failed =
        err || conn_streams(&asking->conn, &asking->reader, &asking->writer, &asking->err) != 0;
    if (asking->failed) {
        loop_stop(&asking->loop);
        return;
    }
    asking->reader->data = asking;
    asking->write.data = asking;
    conn_read_start(&asking->conn, on_alloc, on_read);
    uv_write(&asking->write, asking->writer, &buffer, 1, on_written);
}

/* Passes on the lines but the last, which is the result. */
static int read_answer(struct asking *asking, void (*line)(const char *text),
                       enum control_result *result, struct err *err)
{
    char *text = asking->answer, *end;

    asking->answer[asking->answered] = '\0';
    while ((end = strchr(text, '\n')) != NULL && end[1] != '\0') {
        *end = '\0';
        line(text);
        text = end + 1;
    }
    if (strcmp(text, "ok\n") == 0)
        *result = CONTROL_OK;
    else if (strcmp(text, "failed\n") == 0)
        *result = CONTROL_FAILED;
    else if (strcmp(text, "mistaken\n") == 0)
        *result = CONTROL_MISTAKEN;
    else
        return err_set(err, 0, "the control socket gave no answer that makes sense");
    return 0;
}

int control_ask(const struct endpoint *endpoint, const char *request,
                void (*line)(const char *text), enum control_result *result, struct err *err)
{
    const struct sock_options options = {0};
    const struct dial_plan plan = {.target = endpoint, .options = &options, .timeout = 5000};
    struct asking asking = {.answered = 0};

    snprintf(asking.request, sizeof asking.request, "%s\n", request);
    conn_init(&asking.conn);
    if (loop_init(&asking.loop, err) != 0)
        return -1;
    timer_init(&asking.patience, on_patience_over);
    timer_set(&asking.loop.timers, &asking.patience, PATIENCE);
    if (dial_start(&asking.loop, &plan, &asking.conn, on_dialled, &asking))
        loop_run(&asking.loop);
    timer_clear(&asking.loop.timers, &asking.patience);
    conn_close(&asking.conn, CONN_CLOSE);
    loop_destroy(&asking.loop);
    if (!asking.failed)
        return read_answer(&asking, line, result, err);
    *err = asking.err;
    return -1;
}
