#include "load.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIE_AT = 20, SHORT_PATIENCE = 2000 };

enum lie { HONEST, SWALLOW, REPEAT };

static const char *const lies[] = {"is honest", "swallows a byte", "repeats a byte"};

/* The child: a load that should notice. */
static pid_t start_load(enum mode mode, enum lie lie, int listener, const struct where *target)
{
    static struct load load;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid < 0)
        die("cannot fork");
    if (pid > 0)
        return pid;
    load.plan = (struct plan){.mode = mode,
                              .direction = BOTH,
                              .connections = 1,
                              .threads = 1,
                              .ns = 100000000,
                              .bytes = 1 << 20,
                              .size = 64,
                              .count = 3};
    load.listener = listener;
    load.target = *target;
    if (lie != HONEST)
        patience = SHORT_PATIENCE;
    load_open(&load);
    load_run(&load, 1);
    _exit(0);
}

static void send_all(int fd, const char *bytes, ssize_t length)
{
    while (length > 0) {
        ssize_t count = send(fd, bytes, (size_t)length, MSG_NOSIGNAL);

        if (count < 0)
            return; /* the load has given up */
        bytes += count;
        length -= count;
    }
}

/* Passes on what `from` has, but for the lie. False at its end. */
static bool pass_on(int from, int to, enum lie lie, ssize_t *passed)
{
    char bytes[4096];
    ssize_t count = recv(from, bytes, sizeof bytes, 0);
    ssize_t at = LIE_AT - *passed;

    if (count <= 0)
        return false;
    *passed += count;
    if (lie == HONEST || at < 0 || at >= count) {
        send_all(to, bytes, count);
        return true;
    }
    send_all(to, bytes, at);
    if (lie == REPEAT)
        send_all(to, bytes + at, 1);
    send_all(to, bytes + at + (lie == SWALLOW), count - at - (lie == SWALLOW));
    return true;
}

static int block(int fd)
{
    if (fcntl(fd, F_SETFL, 0) != 0)
        die("fcntl failed");
    return fd;
}

/* Relays one connection after the other until the load has ended. Returns its exit code. */
static int relay(int door, const struct where *target, enum lie lie, pid_t load)
{
    struct pollfd at[3] = {{door, POLLIN, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}};
    ssize_t passed[2] = {0, LIE_AT + 1}; /* it lies upwards only */
    int status;

    while (waitpid(load, &status, WNOHANG) == 0) {
        bool over = false;

        poll(at, 3, 20);
        if (at[1].fd < 0 && at[0].revents) {
            at[1].fd = block(net_accept(door));
            at[2].fd = block(net_connect(target));
            passed[0] = 0;
            continue;
        }
        if (at[1].fd >= 0 && at[1].revents)
            over = !pass_on(at[1].fd, at[2].fd, lie, &passed[0]);
        if (at[2].fd >= 0 && at[2].revents && !over)
            over = !pass_on(at[2].fd, at[1].fd, HONEST, &passed[1]);
        if (over) {
            close(at[1].fd);
            close(at[2].fd);
            at[1].fd = at[2].fd = -1;
        }
    }
    close(at[1].fd);
    close(at[2].fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool check(enum mode mode, const char *name, enum lie lie)
{
    struct where target = where_parse("tcp:127.0.0.1:0"), door = target;
    int listener = net_listen(&target), relay_listener = net_listen(&door);
    pid_t load = start_load(mode, lie, listener, &door);
    int code, expected = lie == HONEST ? 0 : 1;

    close(listener); /* the load has it */
    code = relay(relay_listener, &target, lie, load);
    close(relay_listener);
    printf("%s %s through a relay that %s: exit code %d\n", code == expected ? "ok    " : "FAILED",
           name, lies[lie], code);
    return code == expected;
}

int self_check(void)
{
    bool good = true;

    for (enum lie lie = HONEST; lie <= REPEAT; lie++) {
        good &= check(BULK, "bulk", lie);
        good &= check(PINGPONG, "pingpong", lie);
        good &= check(CONNECT, "connect", lie);
    }
    return good ? 0 : 1;
}
