/* The control socket against any client. '|' stands between what it writes in one turn of the loop
 * and in the next; with a '!' at the end of the input it leaves without waiting for the answer. */
#include "fuzz.h"

#include "app/control.h"

#include "net/conn.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER = 8192, TURNS_LEFT = 4 }; /* of the loop, once the client has gone */

struct client {
    struct loop loop;
    struct conn conn;
    uv_stream_t *reader, *writer;
    struct task next;
    const char *data;
    size_t size, written;
    bool leaves;
    int turns;
    char answer[2 * ANSWER];
    size_t answered;
};

static int connect_to(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    size_t length = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);

    memcpy(address.sun_path + 1, name, strlen(name)); /* an abstract name */
    HOLDS(fd >= 0);
    HOLDS(connect(fd, (const struct sockaddr *)(const void *)&address, (socklen_t)length) == 0);
    return fd;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct client *client = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(client->answer + client->answered,
                          (unsigned)(sizeof client->answer - client->answered));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct client *client = stream->data;

    (void)buffer;
    if (count > 0)
        client->answered += (size_t)count;
    else if (count < 0)
        loop_stop(&client->loop);
}

/* The end of the writing: with no more to come, the control socket has to close. */
static void finish_writing(struct client *client)
{
    uv_os_fd_t fd;

    if (client->leaves) {
        conn_close(&client->conn, CONN_CLOSE);
        client->turns = TURNS_LEFT;
        loop_defer(&client->loop, &client->next);
    } else if (uv_fileno((const uv_handle_t *)client->writer, &fd) == 0) {
        shutdown(fd, SHUT_WR);
    }
}

static void on_turn(struct task *task)
{
    struct client *client = list_entry(task, struct client, next);
    const char *data = client->data + client->written;
    size_t left = client->size - client->written;
    const char *bar = memchr(data, '|', left);
    uv_buf_t buffer =
        uv_buf_init((char *)(uintptr_t)data, (unsigned)(bar ? (size_t)(bar - data) : left));

    if (client->turns > 0) {
        if (--client->turns == 0)
            loop_stop(&client->loop);
        else
            loop_defer(&client->loop, task);
        return;
    }
    if (buffer.len > 0)
        (void)uv_try_write(client->writer, &buffer, 1);
    client->written += buffer.len + (bar ? 1 : 0);
    if (client->written < client->size)
        loop_defer(&client->loop, task);
    else
        finish_writing(client);
}

/* Answers with the request, many times over; does what is asked with "do", and calls
 * what begins with an "m" a mistake. */
static enum control_result on_request(void *arg, struct control_client *client, const char *request)
{
    size_t length = strlen(request);

    (void)arg;
    HOLDS(length < 64 && !strchr(request, '\n'));
    for (size_t i = 0; i < length * length; i++)
        control_answer(client, request);
    if (request[0] == 'm')
        return CONTROL_MISTAKEN;
    return strncmp(request, "do", 2) == 0 ? CONTROL_OK : CONTROL_FAILED;
}

static void check_answer(const struct client *client)
{
    const char *end = client->answer + client->answered;

    HOLDS(client->answered <= ANSWER);
    HOLDS(client->answered == 0 || (client->answered >= 3 && memcmp(end - 3, "ok\n", 3) == 0) ||
          (client->answered >= 7 && memcmp(end - 7, "failed\n", 7) == 0) ||
          (client->answered >= 9 && memcmp(end - 9, "mistaken\n", 9) == 0));
}

static void serve(struct client *client)
{
    struct endpoint endpoint = {.family = FAMILY_UNIX, .u.local.abstract = true};
    struct control *control = NULL;
    struct incoming incoming = {.family = FAMILY_UNIX};
    struct err err;

    snprintf(endpoint.u.local.path, sizeof endpoint.u.local.path, "hvrelay.fuzz.%d", getpid());
    HOLDS(loop_init(&client->loop, &err) == 0);
    HOLDS(control_open(&client->loop, &endpoint, on_request, NULL, &control, &err) == 0);
    incoming.rfd = incoming.wfd = connect_to(endpoint.u.local.path);
    HOLDS(conn_adopt(&client->conn, &client->loop, &incoming) == 0);
    HOLDS(conn_streams(&client->conn, &client->reader, &client->writer, &err) == 0);
    client->reader->data = client;
    uv_read_start(client->reader, on_alloc, on_read);
    task_init(&client->next, on_turn);
    loop_defer(&client->loop, &client->next);
    loop_run(&client->loop);
    task_cancel(&client->next);
    check_answer(client);
    conn_close(&client->conn, CONN_CLOSE);
    control_close(control);
    HOLDS(loop_destroy(&client->loop) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client client = {.data = (const char *)data, .size = size};

    signal(SIGPIPE, SIG_IGN);
    client.leaves = size > 0 && data[size - 1] == '!';
    serve(&client);
    return 0;
}
