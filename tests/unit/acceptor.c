/* Accepting where the system has no room for one more watch of epoll (fs.epoll.max_user_watches).
 */
#include "net/listener.h"
#include "net/loop.h"

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_full;

/* The linker puts this in the place of epoll_ctl. */
int __real_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);

int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (is_full && operation == EPOLL_CTL_ADD) {
        errno = ENOSPC;
        return -1;
    }
    return __real_epoll_ctl(epoll, operation, fd, event);
}

struct door {
    struct acceptor acceptor;
    struct loop loop;
    int troubles, last, accepted;
};

static struct door *door_of(struct acceptor *acceptor)
{
    return list_entry(acceptor, struct door, acceptor);
}

static bool on_admit(struct acceptor *acceptor)
{
    (void)acceptor;
    return true;
}

static void on_retract(struct acceptor *acceptor)
{
    (void)acceptor;
}

static void on_accepted(struct acceptor *acceptor, const struct incoming *incoming,
                        const struct peer *peer)
{
    (void)peer;
    door_of(acceptor)->accepted++;
    incoming_refuse(incoming);
    loop_stop(&door_of(acceptor)->loop);
}

/* The first trouble makes room: what is tried again will work. */
static void on_trouble(struct acceptor *acceptor, int code)
{
    door_of(acceptor)->troubles++;
    door_of(acceptor)->last = code;
    is_full = false;
}

static int connect_to(const struct endpoint *endpoint)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(endpoint->u.tcp.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void it_tries_again_until_there_is_room(void **state)
{
    static const struct acceptor_owner owner = {on_admit, on_retract, on_accepted, on_trouble};
    const struct sock_options options = {.backlog = 8};
    struct door *door = calloc(1, sizeof *door);
    struct listener *listener;
    struct endpoint endpoint;
    struct err err;
    int client;

    (void)state;
    assert_ok(loop_init(&door->loop, &err));
    assert_ok(endpoint_parse("tcp:127.0.0.1:0", ENDPOINT_LISTEN, &endpoint, &err));
    assert_ok(listener_open(&endpoint, &options, &listener, &err));
    client = connect_to(listener_endpoint(listener));

    is_full = true;
    acceptor_start(&door->acceptor, &door->loop, listener, &owner);
    assert_int_equal(door->troubles, 0); /* never inside the call that starts */
    loop_run(&door->loop);
    assert_int_equal(door->accepted, 1);
    assert_int_equal(door->troubles, 2); /* that it can't, and that it can again */
    assert_int_equal(door->last, 0);

    acceptor_stop(&door->acceptor);
    close(client);
    listener_release(listener);
    assert_int_equal(loop_destroy(&door->loop), 0);
    free(door);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_tries_again_until_there_is_room)};

    return cmocka_run_group_tests_name("acceptor", tests, NULL, NULL);
}
