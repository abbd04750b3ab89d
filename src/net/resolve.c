#include "net/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct resolve {
    union {
        uv_req_t any;
        uv_getaddrinfo_t host;
        uv_work_t vm;
    } request;
    struct endpoint endpoint;
    struct address address; /* of the VM */
    struct err err;
    bool failed;        /* there is none, and err tells why */
    resolve_done *done; /* NULL once cancelled */
    void *arg;
};

static void set_address(struct address *out, const struct sockaddr *sa, size_t length)
{
    memset(out, 0, sizeof *out);
    memcpy(&out->sa, sa, length);
    out->length = (uint32_t)length;
    out->family = FAMILY_TCP;
}

static int literal_tcp(const char *host, uint16_t port, struct address *out)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (uv_ip4_addr(host, port, &v4) == 0) {
        set_address(out, (const struct sockaddr *)&v4, sizeof v4);
        return 1;
    }
    if (uv_ip6_addr(host, port, &v6) == 0) {
        set_address(out, (const struct sockaddr *)&v6, sizeof v6);
        return 1;
    }
    return 0;
}

int resolve_ip(const struct endpoint *endpoint, struct address *out)
{
    return endpoint->family == FAMILY_TCP
               ? literal_tcp(endpoint->u.tcp.host, endpoint->u.tcp.port, out)
               : 0;
}

int resolve_literal(const struct endpoint *endpoint, struct address *out, struct err *err)
{
    if (endpoint->family == FAMILY_TCP)
        return literal_tcp(endpoint->u.tcp.host, endpoint->u.tcp.port, out);
    if (address_needs_lookup(endpoint))
        return 0;
    return address_from_endpoint(endpoint, out, err) == 0 ? 1 : -1;
}

/* /etc/hosts may say the same twice. */
static bool is_among(const struct address *address, const struct address *known, int count)
{
    for (int i = 0; i < count; i++) {
        if (known[i].length == address->length &&
            memcmp(&known[i].sa, &address->sa, address->length) == 0)
            return true;
    }
    return false;
}

static int copy_results(const struct addrinfo *info, struct address *out, int max)
{
    int count = 0;

    for (; info && count < max; info = info->ai_next) {
        if (info->ai_family != AF_INET && info->ai_family != AF_INET6)
            continue;
        set_address(&out[count], info->ai_addr, (size_t)info->ai_addrlen);
        count += !is_among(&out[count], out, count);
    }
    return count;
}

static void prepare(const struct endpoint *endpoint, char port[8], struct addrinfo *hints)
{
    snprintf(port, 8, "%u", endpoint->u.tcp.port);
    *hints = (struct addrinfo){.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
}

int resolve_now(const struct endpoint *endpoint, struct address *out, int max, struct err *err)
{
    const char *host = endpoint->u.tcp.host;
    struct addrinfo hints;
    char port[8];
    uv_loop_t loop;
    uv_getaddrinfo_t request;
    int status;

    if (strcmp(host, "*") == 0)
        return literal_tcp("::", endpoint->u.tcp.port, out) +
               literal_tcp("0.0.0.0", endpoint->u.tcp.port, out + 1);
    if (literal_tcp(host, endpoint->u.tcp.port, out))
        return 1;
    prepare(endpoint, port, &hints);
    status = uv_loop_init(&loop);
    if (status == 0) {
        status = uv_getaddrinfo(&loop, &request, NULL, host, port, &hints);
        if (status == 0) {
            int count = copy_results(request.addrinfo, out, max);

            uv_freeaddrinfo(request.addrinfo);
            uv_loop_close(&loop);
            return count;
        }
        uv_loop_close(&loop);
    }
    return err_system(err, status, "cannot look up '%s'", host);
}

/* --- a look-up under way --- */

static void finish(struct resolve *resolve, bool failed, const struct address *addresses, int count)
{
    if (resolve->done)
        resolve->done(resolve->arg, failed ? &resolve->err : NULL, addresses, count);
    free(resolve);
}

static void on_host(uv_getaddrinfo_t *request, int status, struct addrinfo *info)
{
    struct resolve *resolve = list_entry(request, struct resolve, request.host);
    struct address addresses[RESOLVE_MAX];
    int count = status == 0 ? copy_results(info, addresses, RESOLVE_MAX) : 0;

    uv_freeaddrinfo(info);
    if (count == 0)
        err_system(&resolve->err, status ? status : UV_EAI_NODATA, "cannot look up '%s'",
                   resolve->endpoint.u.tcp.host);
    finish(resolve, count == 0, addresses, count);
}

static int look_up_host(struct loop *loop, struct resolve *resolve)
{
    struct addrinfo hints;
    char port[8];

    prepare(&resolve->endpoint, port, &hints);
    return uv_getaddrinfo(&loop->uv, &resolve->request.host, on_host, resolve->endpoint.u.tcp.host,
                          port, &hints);
}

/* On a thread of libuv's pool. */
static void work_on_vm(uv_work_t *request)
{
    struct resolve *resolve = list_entry(request, struct resolve, request.vm);

    resolve->failed = address_from_endpoint(&resolve->endpoint, &resolve->address, &resolve->err);
}

static void on_vm(uv_work_t *request, int status)
{
    struct resolve *resolve = list_entry(request, struct resolve, request.vm);

    (void)status; /* cancelled, that is nobody waits for it */
    finish(resolve, resolve->failed, &resolve->address, 1);
}

struct resolve *resolve_start(struct loop *loop, const struct endpoint *endpoint,
                              resolve_done *done, void *arg)
{
    struct resolve *resolve = malloc(sizeof *resolve);
    int status;

    if (!resolve)
        return NULL;
    resolve->endpoint = *endpoint;
    resolve->done = done;
    resolve->arg = arg;
    if (endpoint->family == FAMILY_TCP)
        status = look_up_host(loop, resolve);
    else
        status = uv_queue_work(&loop->uv, &resolve->request.vm, work_on_vm, on_vm);
    if (status == 0)
        return resolve;
    free(resolve);
    return NULL;
}

void resolve_cancel(struct resolve *resolve)
{
    resolve->done = NULL;
    uv_cancel(&resolve->request.any); /* fails where it already runs: then it runs out */
}
