/* A connected named pipe as a stream: how one direction ends, in each type of pipe. */
#include "net/conn.h"
#include "sock_os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
    LENGTH = 300000, /* a message that no single read has room for */
    ROOM = 1000,     /* for each read of ours */
    LATE_MS = 200,   /* of a reply; libuv closes a pipe 50 ms after its end */
    UNTOLD = 12345,  /* no status */
};

static struct loop loop;

/* Our end is driven by the loop, the other program's is `theirs`. */
static struct conn ours;
static HANDLE theirs;
static uv_stream_t *reader, *writer;

static char sent[LENGTH], received[LENGTH + ROOM], room[ROOM];
static size_t count; /* bytes received */
static int end;      /* how reading ended, or 0 */
static int told;     /* how conn_shut ended */

/* --- their end: overlapped, as a handle that is waited for from elsewhere has to be --- */

static DWORD await(OVERLAPPED *overlapped)
{
    DWORD bytes;

    assert_true(GetOverlappedResult(theirs, overlapped, &bytes, TRUE));
    CloseHandle(overlapped->hEvent);
    return bytes;
}

static void start_their_write(OVERLAPPED *overlapped, const void *bytes, DWORD length)
{
    *overlapped = (OVERLAPPED){.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};
    if (!WriteFile(theirs, bytes, length, NULL, overlapped))
        assert_int_equal(GetLastError(), ERROR_IO_PENDING);
}

static void they_write(const void *bytes, DWORD length)
{
    OVERLAPPED overlapped;

    start_their_write(&overlapped, bytes, length);
    assert_int_equal(await(&overlapped), length);
}

static DWORD they_read(char *bytes, DWORD size)
{
    OVERLAPPED overlapped = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};

    if (!ReadFile(theirs, bytes, size, NULL, &overlapped))
        assert_int_equal(GetLastError(), ERROR_IO_PENDING);
    return await(&overlapped);
}

/* --- our end --- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(room, ROOM);
}

/* Every read is asked for anew, as a relay does that has a limit. */
static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    assert_ptr_equal(stream, reader);
    conn_read_stop(&ours);
    if (got < 0) {
        end = (int)got;
        loop_stop(&loop);
        return;
    }
    memcpy(received + count, buffer->base, (size_t)got);
    count += (size_t)got;
    assert_true(count <= LENGTH);
    conn_read_start(&ours, on_alloc, on_read);
}

static void run(void)
{
    loop.stopping = false;
    loop_run(&loop);
}

static void read_to_the_end(void)
{
    conn_read_start(&ours, on_alloc, on_read);
    run();
}

static void on_told(uv_shutdown_t *request, int status)
{
    (void)request;
    told = status;
    loop_stop(&loop);
}

/* --- pairs --- */

static void open_pair(HANDLE our_end, HANDLE their_end)
{
    const struct incoming stream = {.family = FAMILY_NPIPE, .handle = our_end};
    struct err err;

    count = 0;
    end = 0;
    told = UNTOLD;
    theirs = their_end;
    assert_int_equal(loop_init(&loop, &err), 0);
    assert_int_equal(conn_open(&ours, &loop, &stream), 0);
    assert_int_equal(conn_streams(&ours, &reader, &writer, &err), 0);
}

static void open_messages(bool we_are_server)
{
    char name[64];
    HANDLE server, client;

    snprintf(name, sizeof name, "hvrelay-stream-%lu", GetCurrentProcessId());
    assert_int_equal(npipe_create(name, true, &server), 0);
    assert_int_equal(npipe_open(name, &client), 0);
    open_pair(we_are_server ? server : client, we_are_server ? client : server);
}

static void open_bytes(void)
{
    char name[64], path[96];
    HANDLE server, client;

    snprintf(name, sizeof name, "hvrelay-bytes-%lu", GetCurrentProcessId());
    snprintf(path, sizeof path, "\\\\.\\pipe\\%s", name);
    server = CreateNamedPipeA(path, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE, 1,
                              65536, 65536, 0, NULL);
    assert_ptr_not_equal(server, INVALID_HANDLE_VALUE);
    assert_int_equal(npipe_open(name, &client), 0);
    open_pair(client, server);
}

static void close_pair(void)
{
    conn_close(&ours, CONN_CLOSE);
    if (theirs)
        CloseHandle(theirs);
    assert_int_equal(loop_destroy(&loop), 0);
}

/* --- the tests --- */

static void test_empty_message_is_the_end(void **state)
{
    OVERLAPPED data, last;

    (void)state;
    open_messages(true);
    for (size_t i = 0; i < LENGTH; i++)
        sent[i] = (char)(i ^ i >> 8);
    start_their_write(&data, sent, LENGTH);
    start_their_write(&last, "", 0);
    read_to_the_end();
    assert_int_equal(end, UV_EOF);
    assert_int_equal(count, LENGTH);
    assert_memory_equal(sent, received, LENGTH);
    assert_false(conn_lost(&ours)); /* only that direction */
    await(&data);
    await(&last);
    close_pair();
}

static void test_reply_after_our_end(void **state)
{
    uv_shutdown_t request;
    uv_write_t write;
    uv_buf_t question = uv_buf_init("question", 8);
    char heard[16];

    (void)state;
    open_messages(false);
    assert_true(conn_knows_end(&ours));
    assert_int_equal(uv_write(&write, writer, &question, 1, NULL), 0);
    assert_int_equal(conn_shut(&ours, &request, on_told), 0);
    uv_run(&loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(told, UNTOLD); /* an end behind unread bytes might be read with them */
    assert_int_equal(they_read(heard, sizeof heard), 8);
    run();
    assert_int_equal(told, 0);
    assert_int_equal(they_read(heard, sizeof heard), 0);
    Sleep(LATE_MS);
    they_write("answer", 6);
    they_write("", 0);
    read_to_the_end();
    assert_int_equal(end, UV_EOF);
    assert_int_equal(count, 6);
    close_pair();
}

static void test_bytes_have_no_end(void **state)
{
    uv_shutdown_t request;

    (void)state;
    open_bytes();
    assert_false(conn_knows_end(&ours));
    assert_int_equal(conn_shut(&ours, &request, on_told), UV_ENOTSUP);
    they_write("late answer", 11);
    CloseHandle(theirs);
    theirs = NULL;
    read_to_the_end();
    assert_int_equal(end, UV_EOF);
    assert_int_equal(count, 11);
    close_pair();
}

static void test_closed_by_the_peer(void **state)
{
    uv_shutdown_t request;

    (void)state;
    open_messages(true);
    assert_false(conn_knows_end(&ours)); /* whoever came need not know what the message says */
    CloseHandle(theirs);
    theirs = NULL;
    read_to_the_end();
    assert_int_equal(end, UV_EOF);
    assert_true(conn_lost(&ours));
    assert_int_equal(conn_shut(&ours, &request, on_told), UV_EALREADY);
    close_pair();
}

static void test_closed_while_reading(void **state)
{
    (void)state;
    open_messages(false);
    conn_read_start(&ours, on_alloc, on_read);
    loop_stop(&loop);
    uv_run(&loop.uv, UV_RUN_NOWAIT);
    close_pair();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_message_is_the_end), cmocka_unit_test(test_reply_after_our_end),
        cmocka_unit_test(test_bytes_have_no_end),        cmocka_unit_test(test_closed_by_the_peer),
        cmocka_unit_test(test_closed_while_reading),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
