#include "names.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER = 12, PACKET = 512, TYPE_A = 1, TYPE_AAAA = 28 };

static int server = -1;
static atomic_bool stalls;
static atomic_ullong answered, ignored;

static const char resolver[] = "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n";

/* Where the question ends, or 0: it is none. */
static size_t end_of_question(const unsigned char *packet, size_t length)
{
    size_t at = HEADER;

    while (at < length && packet[at] != 0)
        at += packet[at] + 1u;
    at += 1 + 4; /* the root, the type and the class */
    return at <= length ? at : 0;
}

/* Makes an answer of a question. Returns its length, 0: there is none. */
static size_t answer(unsigned char *packet, size_t length)
{
    static const unsigned char v4[] = {127, 0, 0, 1};
    size_t end = end_of_question(packet, length);
    unsigned type;
    bool known;

    if (end == 0)
        return 0;
    type = packet[end - 3];
    known = type == TYPE_A || (type == TYPE_AAAA && packet[HEADER + 1] == 't'); /* two... */
    memcpy(packet + 2, (unsigned char[]){0x81, 0x80, 0, 1, 0, known, 0, 0, 0, 0}, 10);
    if (!known)
        return end;
    memcpy(packet + end, (unsigned char[]){0xC0, HEADER, 0, 0, 0, 1, 0, 0, 0, 0, 0}, 11);
    packet[end + 3] = (unsigned char)type;
    packet[end + 11] = type == TYPE_A ? sizeof v4 : sizeof in6addr_loopback;
    if (type == TYPE_A)
        memcpy(packet + end + 12, v4, sizeof v4);
    else
        memcpy(packet + end + 12, &in6addr_loopback, sizeof in6addr_loopback);
    return end + 12 + packet[end + 11];
}

static void *serve(void *arg)
{
    unsigned char packet[2 * PACKET];
    struct sockaddr_in client;

    (void)arg;
    for (;;) {
        socklen_t size = sizeof client;
        ssize_t n = recvfrom(server, packet, PACKET, 0, (struct sockaddr *)&client, &size);
        size_t length;

        if (n < HEADER)
            continue;
        if (atomic_load(&stalls)) {
            atomic_fetch_add(&ignored, 1);
            continue;
        }
        length = answer(packet, (size_t)n);
        if (length > 0 && sendto(server, packet, length, 0, (struct sockaddr *)&client, size) > 0)
            atomic_fetch_add(&answered, 1);
    }
    return NULL;
}

/* What the mount shows is the file, which needs no name then. */
static bool lead_here(void)
{
    char path[] = "/tmp/hvrelay-resolv-XXXXXX";
    int fd = mkstemp(path);
    bool written = fd >= 0 && fchmod(fd, 0644) == 0 &&
                   write(fd, resolver, sizeof resolver - 1) == (ssize_t)sizeof resolver - 1;
    bool done = written && unshare(CLONE_NEWNS) == 0 &&
                mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0;

    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    return done;
}

void names_begin(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(53)};
    pthread_t thread;

    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (server >= 0 && bind(server, (struct sockaddr *)&here, sizeof here) == 0 && lead_here() &&
        pthread_create(&thread, NULL, serve, NULL) == 0) {
        pthread_detach(thread);
        return;
    }
    perror("left out: names: no name server of our own");
    close(server);
    server = -1;
}

bool names_are_there(void)
{
    return server >= 0;
}

const char *names_host(enum naming naming)
{
    return naming == NAMING_TWO ? "two.chaos.test" : "one.chaos.test";
}

void names_stall(bool stall)
{
    atomic_store(&stalls, stall);
}

uint64_t names_answered(void)
{
    return atomic_load(&answered);
}

uint64_t names_ignored(void)
{
    return atomic_load(&ignored);
}

/* IPv6 loopback comes before IPv4's, whatever the name server says. */
bool swallower_open(struct swallower *swallower, uint16_t port)
{
    struct sockaddr_in6 here = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
    int on = 1;

    swallower->listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    swallower->filler = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (setsockopt(swallower->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(swallower->listener, (struct sockaddr *)&here, sizeof here) == 0 &&
        listen(swallower->listener, 0) == 0 &&
        connect(swallower->filler, (struct sockaddr *)&here, sizeof here) == 0)
        return true;
    swallower_close(swallower);
    return false;
}

void swallower_close(struct swallower *swallower)
{
    if (swallower->listener > 0)
        close(swallower->listener);
    if (swallower->filler > 0)
        close(swallower->filler);
    *swallower = (struct swallower){0};
}
