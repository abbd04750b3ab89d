/* A dial that is broken off resets: its target may have accepted already. */
#include "net/connector.h"

#include "net/address.h"
#include "net/loop.h"
#include "net/sock_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <ws2tcpip.h>

static SOCKET listen_on(struct address *address)
{
    struct sockaddr_in *sa = (struct sockaddr_in *)(void *)&address->sa;
    int length = sizeof *sa;
    SOCKET socket = WSASocketW(AF_INET, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED);

    *address = (struct address){.family = FAMILY_TCP, .length = sizeof *sa};
    sa->sin_family = AF_INET;
    sa->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(socket, (struct sockaddr *)sa, length), 0);
    assert_int_equal(getsockname(socket, (struct sockaddr *)sa, &length), 0);
    assert_int_equal(listen(socket, 1), 0);
    return socket;
}

static void on_connected(struct connector *connector, int status)
{
    (void)connector;
    (void)status;
    fail_msg("a connector that was cancelled calls back");
}

static void test_cancelled_when_accepted(void **state)
{
    static const struct sock_options options;
    struct connector connector;
    struct address address;
    struct conn conn;
    struct loop loop;
    struct err err;
    SOCKET listener, accepted;
    OVERLAPPED overlapped = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};
    char byte;
    WSABUF buffer = {1, &byte};
    DWORD length, flags = 0;

    (void)state;
    assert_int_equal(loop_init(&loop, &err), 0);
    listener = listen_on(&address);
    conn_init(&conn);
    connector_start(&connector, &loop, &address, &options, 1000, &conn, on_connected);
    accepted = accept(listener, NULL, NULL);
    assert_int_not_equal(accepted, INVALID_SOCKET);
    /* under way before the reset comes: Wine tells it to a read that waits, and then forgets it */
    assert_int_equal(WSARecv(accepted, &buffer, 1, NULL, &flags, &overlapped, NULL), -1);
    assert_int_equal(WSAGetLastError(), WSA_IO_PENDING);
    connector_cancel(&connector);
    assert_int_equal(loop_destroy(&loop), 0);
    assert_false(WSAGetOverlappedResult(accepted, &overlapped, &length, TRUE, &flags));
    assert_int_equal(WSAGetLastError(), WSAECONNRESET);
    CloseHandle(overlapped.hEvent);
    closesocket(accepted);
    closesocket(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cancelled_when_accepted)};
    WSADATA data;

    WSAStartup(MAKEWORD(2, 2), &data);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
