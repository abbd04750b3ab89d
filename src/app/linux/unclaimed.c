#include "app/unclaimed.h"

#include "base/list.h"
#include "base/log.h"
#include "net/linux/activation.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct unclaimed {
    uv_poll_t poll;
    struct list link;
    int fd;
};

static struct list unclaimed_all = {&unclaimed_all, &unclaimed_all};

static void unclaimed_reset(int fd)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger); /* only TCP has a reset */
    close(fd);
}

/* One a turn: the loop reports again while there are more. */
static void unclaimed_on_client(uv_poll_t *poll, int status, int events)
{
    const struct unclaimed *socket = list_entry(poll, struct unclaimed, poll);
    int fd = accept4(socket->fd, NULL, NULL, SOCK_CLOEXEC);

    (void)status;
    (void)events;
    if (fd >= 0)
        unclaimed_reset(fd);
}

static void unclaimed_on_closed(uv_handle_t *handle)
{
    free(list_entry(handle, struct unclaimed, poll));
}

void unclaimed_close(void)
{
    while (!list_empty(&unclaimed_all)) {
        struct unclaimed *socket = list_entry(unclaimed_all.next, struct unclaimed, link);

        list_remove(&socket->link);
        uv_close((uv_handle_t *)&socket->poll, unclaimed_on_closed);
    }
}

static bool unclaimed_is_named(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->count; i++) {
        const struct endpoint *listen = &config->forwards[i].listen;

        if (listen->family == FAMILY_SYSTEMD && strcmp(listen->u.name, name) == 0)
            return true;
    }
    return false;
}

/* Waits for its clients, if it is a socket that can have some. */
static void unclaimed_watch(uv_loop_t *loop, int fd)
{
    struct unclaimed *socket;
    int listening = 0;
    socklen_t length = sizeof listening;

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0 || !listening)
        return;
    socket = calloc(1, sizeof *socket);
    if (!socket || uv_poll_init(loop, &socket->poll, fd) != 0) {
        free(socket);
        return;
    }
    socket->fd = fd;
    list_append(&unclaimed_all, &socket->link);
    uv_poll_start(&socket->poll, UV_READABLE, unclaimed_on_client);
}

void unclaimed_update(uv_loop_t *loop, const struct config *config)
{
    char name[ACTIVATION_NAME];
    int fd;

    unclaimed_close();
    for (int i = 0; (fd = activation_at(i, name)) >= 0; i++) {
        if (unclaimed_is_named(config, name))
            continue;
        log_warning("the service manager hands over the socket '%s', and no forward listens on "
                    "'systemd:%s': its clients are reset",
                    name, name);
        unclaimed_watch(loop, fd);
    }
}
