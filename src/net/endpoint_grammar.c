#include "net/endpoint_grammar.h"

#include "base/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct word {
    const char *text;
    uint32_t value;
};

static const struct word cid_words[] = {
    {"any", VSOCK_CID_ANY},
    {"hypervisor", VSOCK_CID_HYPERVISOR},
    {"local", VSOCK_CID_LOCAL},
    {"host", VSOCK_CID_HOST},
    {NULL, 0},
};
static const struct word vm_words[] = {
    {"any", HYPERV_VM_ANY},
    {"children", HYPERV_VM_CHILDREN},
    {"parent", HYPERV_VM_PARENT},
    {"loopback", HYPERV_VM_LOOPBACK},
    {"silohost", HYPERV_VM_SILOHOST},
    {"wsl", HYPERV_VM_WSL},
    {NULL, 0},
};

static const struct word *word_by_text(const struct word *words, const char *text)
{
    for (; words->text; words++) {
        if (strcmp(words->text, text) == 0)
            return words;
    }
    return NULL;
}

static const char *word_by_value(const struct word *words, uint32_t value)
{
    while (words->text && words->value != value)
        words++;
    return words->text;
}

/* Splits "HEAD:TAIL" at the last colon; head is copied. Returns the tail, or NULL. */
static const char *split_last(const char *text, char *head, size_t size)
{
    const char *colon = strrchr(text, ':');

    if (!colon || text_copy(head, size, text, (size_t)(colon - text)) != 0)
        return NULL;
    return colon + 1;
}

static int parse_path(const char *text, size_t length, char *out, struct err *err)
{
    if (length == 0)
        return err_set(err, 0, "the path is missing");
    if (text_copy(out, ENDPOINT_PATH, text, length) != 0)
        return err_set(err, 0, "the path is longer than %d bytes, the most a socket address holds",
                       ENDPOINT_PATH - 1);
    return 0;
}

/* A vsock port; 2^32-1 is the kernel's word for "any". */
static int parse_vsock_port(const char *text, uint32_t *out, struct err *err)
{
    uint64_t port;

    if (text_number(text, UINT32_MAX - 1, &port) != 0)
        return err_set(err, 0, "'%s' is not a port (0 to 4294967294)", text);
    *out = (uint32_t)port;
    return 0;
}

static bool is_host_character(unsigned char c)
{
    return isalnum(c) || strchr("-._:%", c);
}

/* Splits "HOST:PORT" or "[HOST]:PORT"; host is copied. Returns the port's text, or NULL. */
static const char *split_host(const char *rest, char *host, struct err *err)
{
    size_t bracketed = rest[0] == '[' ? strcspn(rest, "]") : 0;
    const char *port = split_last(rest, host, ENDPOINT_HOST);

    if ((bracketed && strcmp(rest + bracketed, "]") == 0) || !strchr(rest, ':')) {
        err_set(err, 0, "the port is missing");
        return NULL;
    }
    if (!port) {
        err_set(err, 0, "the host is longer than %d bytes", ENDPOINT_HOST - 1);
        return NULL;
    }
    if (bracketed && rest + bracketed + 2 == port) {
        host[bracketed] = '\0';
        memmove(host, host + 1, bracketed);
    } else if (strchr(host, ':')) {
        err_set(err, 0, "an IPv6 address stands in brackets, as in 'tcp:[::1]:2222'");
        return NULL;
    }
    return port;
}

static int parse_tcp(const char *rest, struct endpoint *out, struct err *err)
{
    char *host = out->u.tcp.host;
    const char *port_text = split_host(rest, host, err);
    uint64_t port;

    if (!port_text)
        return -1;
    if (host[0] == '\0')
        return err_set(err, 0, "the host is missing: write '*' for all addresses");
    for (const char *c = host; strcmp(host, "*") != 0 && *c; c++) {
        if (!is_host_character((unsigned char)*c))
            return err_set(err, 0, "'%s' is not a host name or address", host);
    }
    if (text_number(port_text, UINT16_MAX, &port) != 0)
        return err_set(err, 0, "'%s' is not a port (0 to 65535)", port_text);
    out->u.tcp.port = (uint16_t)port;
    return 0;
}

static void format_tcp(const struct endpoint *endpoint, char *out, size_t size)
{
    bool v6 = strchr(endpoint->u.tcp.host, ':') != NULL;

    snprintf(out, size, "tcp:%s%s%s:%u", v6 ? "[" : "", endpoint->u.tcp.host, v6 ? "]" : "",
             endpoint->u.tcp.port);
}

bool endpoint_path_has_drive(const char *path)
{
    bool letter = (path[0] >= 'a' && path[0] <= 'z') || (path[0] >= 'A' && path[0] <= 'Z');

    return letter && path[1] == ':' && (path[2] == '/' || path[2] == '\\');
}

static int parse_unix(const char *rest, struct endpoint *out, struct err *err)
{
    out->u.local.abstract = rest[0] == '@';
    if (rest[0] == '@')
        rest++;
    else if (rest[0] != '\0' && rest[0] != '/' && !endpoint_path_has_drive(rest))
        return err_set(err, 0,
                       "the path must be absolute ('/...', on Windows 'C:/...') or abstract "
                       "('@...')");
    return parse_path(rest, strlen(rest), out->u.local.path, err);
}

static void format_unix(const struct endpoint *endpoint, char *out, size_t size)
{
    snprintf(out, size, "unix:%s%s", endpoint->u.local.abstract ? "@" : "", endpoint->u.local.path);
}

static int parse_vsock(const char *rest, struct endpoint *out, struct err *err)
{
    char cid_text[ENDPOINT_NAME];
    const char *port = split_last(rest, cid_text, sizeof cid_text);
    const struct word *word;
    uint64_t cid;

    if (!port)
        return err_set(err, 0, strchr(rest, ':') ? "this is not a CID" : "the port is missing");
    word = word_by_text(cid_words, cid_text);
    out->u.vsock.named = word != NULL;
    if (word)
        cid = word->value;
    else if (text_number(cid_text, UINT32_MAX - 1, &cid) != 0)
        return err_set(err, 0,
                       "'%s' is not a CID: it is a number, 'any', 'local', 'host' or 'hypervisor'",
                       cid_text);
    out->u.vsock.cid = (uint32_t)cid;
    return parse_vsock_port(port, &out->u.vsock.port, err);
}

static void format_vsock(const struct endpoint *endpoint, char *out, size_t size)
{
    const char *word = word_by_value(cid_words, endpoint->u.vsock.cid);

    if (endpoint->u.vsock.named && word)
        snprintf(out, size, "vsock:%s:%" PRIu32, word, endpoint->u.vsock.port);
    else
        snprintf(out, size, "vsock:%" PRIu32 ":%" PRIu32, endpoint->u.vsock.cid,
                 endpoint->u.vsock.port);
}

/* "name=TEXT" -> 1, something else -> 0, a bad name -> -1. */
static int parse_hyperv_name(const char *text, char *out, struct err *err)
{
    if (strncmp(text, "name=", 5) != 0)
        return 0;
    text += 5;
    if (text[0] == '\0')
        return err_set(err, 0, "the name after 'name=' is missing");
    if (text_copy(out, ENDPOINT_NAME, text, strlen(text)) != 0)
        return err_set(err, 0, "the name is longer than %d bytes", ENDPOINT_NAME - 1);
    return 1;
}

static int parse_hyperv_vm(const char *text, struct endpoint *out, struct err *err)
{
    const struct word *word = word_by_text(vm_words, text);
    int named = parse_hyperv_name(text, out->u.hyperv.vm_name, err);

    if (named < 0)
        return -1;
    if (named)
        out->u.hyperv.vm_kind = HYPERV_VM_NAME;
    else if (word)
        out->u.hyperv.vm_kind = (enum hyperv_vm)word->value;
    else if (guid_parse(text, &out->u.hyperv.vm) == 0)
        out->u.hyperv.vm_kind = HYPERV_VM_GUID;
    else
        return err_set(err, 0,
                       "'%s' is not a VM: it is a GUID, 'name=VM NAME', 'wsl', 'any', 'children', "
                       "'parent', 'loopback' or 'silohost'",
                       text);
    return 0;
}

static int parse_hyperv_service(const char *text, struct endpoint *out, struct err *err)
{
    int named = parse_hyperv_name(text, out->u.hyperv.service_name, err);
    uint64_t port;

    if (named < 0)
        return -1;
    if (named) {
        out->u.hyperv.service_kind = HYPERV_SERVICE_NAME;
    } else if (text_number(text, UINT32_MAX - 1, &port) == 0) {
        out->u.hyperv.service_kind = HYPERV_SERVICE_PORT;
        out->u.hyperv.service = guid_from_port((uint32_t)port);
    } else if (guid_parse(text, &out->u.hyperv.service) == 0) {
        out->u.hyperv.service_kind = HYPERV_SERVICE_GUID;
    } else {
        return err_set(err, 0,
                       "'%s' is not a service: it is a GUID, a port number or 'name=REGISTERED "
                       "NAME'",
                       text);
    }
    return 0;
}

static int parse_hyperv(const char *rest, struct endpoint *out, struct err *err)
{
    char vm[ENDPOINT_NAME + 8];
    const char *service;

    if (!strchr(rest, ':'))
        return err_set(err, 0, "the service is missing");
    service = split_last(rest, vm, sizeof vm);
    if (!service)
        return err_set(err, 0, "the VM's name is longer than %d bytes", ENDPOINT_NAME - 1);
    if (parse_hyperv_vm(vm, out, err) != 0)
        return -1;
    return parse_hyperv_service(service, out, err);
}

static void format_hyperv(const struct endpoint *endpoint, char *out, size_t size)
{
    char vm[ENDPOINT_NAME + 8], service[ENDPOINT_NAME + 8];
    uint32_t port;

    if (endpoint->u.hyperv.vm_kind == HYPERV_VM_GUID)
        guid_format(&endpoint->u.hyperv.vm, vm);
    else if (endpoint->u.hyperv.vm_kind == HYPERV_VM_NAME)
        snprintf(vm, sizeof vm, "name=%s", endpoint->u.hyperv.vm_name);
    else
        snprintf(vm, sizeof vm, "%s", word_by_value(vm_words, endpoint->u.hyperv.vm_kind));

    if (endpoint->u.hyperv.service_kind == HYPERV_SERVICE_NAME)
        snprintf(service, sizeof service, "name=%s", endpoint->u.hyperv.service_name);
    else if (endpoint->u.hyperv.service_kind == HYPERV_SERVICE_PORT &&
             guid_to_port(&endpoint->u.hyperv.service, &port))
        snprintf(service, sizeof service, "%" PRIu32, port);
    else
        guid_format(&endpoint->u.hyperv.service, service);
    snprintf(out, size, "hyperv:%s:%s", vm, service);
}

static int parse_hybrid(const char *rest, struct endpoint *out, struct err *err)
{
    const char *colon = strrchr(rest, ':');

    if (!colon)
        return err_set(err, 0, "the port is missing");
    if (rest[0] != '/')
        return err_set(err, 0, "the path must be absolute ('/...')");
    if (parse_path(rest, (size_t)(colon - rest), out->u.hybrid.path, err) != 0)
        return -1;
    return parse_vsock_port(colon + 1, &out->u.hybrid.port, err);
}

static void format_hybrid(const struct endpoint *endpoint, char *out, size_t size)
{
    snprintf(out, size, "hybrid:%s:%" PRIu32, endpoint->u.hybrid.path, endpoint->u.hybrid.port);
}

static int parse_name(const char *rest, struct endpoint *out, struct err *err)
{
    if (rest[0] == '\0')
        return err_set(err, 0, "the name is missing");
    if (text_copy(out->u.name, ENDPOINT_NAME, rest, strlen(rest)) != 0)
        return err_set(err, 0, "the name is longer than %d bytes", ENDPOINT_NAME - 1);
    return 0;
}

static int parse_npipe(const char *rest, struct endpoint *out, struct err *err)
{
    if (strpbrk(rest, "\\/"))
        return err_set(err, 0, "a pipe's name stands alone, without '\\\\.\\pipe\\' before it");
    return parse_name(rest, out, err);
}

static void format_name(const struct endpoint *endpoint, char *out, size_t size)
{
    snprintf(out, size, "%s:%s", family_name(endpoint->family), endpoint->u.name);
}

static int parse_stdio(const char *rest, struct endpoint *out, struct err *err)
{
    (void)out;
    return rest[0] == '\0' ? 0 : err_set(err, 0, "nothing follows 'stdio'");
}

static void format_stdio(const struct endpoint *endpoint, char *out, size_t size)
{
    (void)endpoint;
    snprintf(out, size, "stdio");
}

static int parse_fd(const char *rest, struct endpoint *out, struct err *err)
{
    uint64_t fd;

    if (text_number(rest, 65535, &fd) != 0)
        return err_set(err, 0, "'%s' is not a descriptor number", rest);
    out->u.fd = (int)fd;
    return 0;
}

static void format_fd(const struct endpoint *endpoint, char *out, size_t size)
{
    snprintf(out, size, "fd:%d", endpoint->u.fd);
}

const struct endpoint_grammar endpoint_grammars[FAMILY_COUNT] = {
    [FAMILY_TCP] = {"tcp", "as in 'tcp:127.0.0.1:2222'", parse_tcp, format_tcp},
    [FAMILY_UNIX] = {"unix", "as in 'unix:/run/app.sock'", parse_unix, format_unix},
    [FAMILY_VSOCK] = {"vsock", "as in 'vsock:host:2222'", parse_vsock, format_vsock},
    [FAMILY_HYPERV] = {"hyperv", "as in 'hyperv:parent:2222'", parse_hyperv, format_hyperv},
    [FAMILY_HYBRID] = {"hybrid", "as in 'hybrid:/run/vm.sock:22'", parse_hybrid, format_hybrid},
    [FAMILY_NPIPE] = {"npipe", "as in 'npipe:docker_engine'", parse_npipe, format_name},
    [FAMILY_STDIO] = {"stdio", "as in 'stdio'", parse_stdio, format_stdio},
    [FAMILY_FD] = {"fd", "as in 'fd:3'", parse_fd, format_fd},
    [FAMILY_SYSTEMD] = {"systemd", "as in 'systemd:web'", parse_name, format_name},
};
