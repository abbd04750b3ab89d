/* Endpoints: where a stream is listened for or connected to, as text and as a structure.
 *
 * Parsing is pure and the same on every system: no lookups, no I/O. What this system can't open is
 * refused when it is opened, with the reason. Formatting gives back what was parsed. */
#ifndef HVRELAY_NET_ENDPOINT_H
#define HVRELAY_NET_ENDPOINT_H

#include "base/err.h"
#include "net/guid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum family {
    FAMILY_TCP,
    FAMILY_UNIX,
    FAMILY_VSOCK,
    FAMILY_HYPERV,
    FAMILY_HYBRID,
    FAMILY_NPIPE,
    FAMILY_STDIO,
    FAMILY_FD,
    FAMILY_SYSTEMD,
};
enum { FAMILY_COUNT = FAMILY_SYSTEMD + 1 };

/* CIDs of linux/vm_sockets.h, which not every system has. */
#define VSOCK_CID_HYPERVISOR 0u
#define VSOCK_CID_LOCAL      1u
#define VSOCK_CID_HOST       2u
#define VSOCK_CID_ANY        UINT32_MAX

/* The partition that a hyperv endpoint names. */
enum hyperv_vm {
    HYPERV_VM_GUID,
    HYPERV_VM_NAME, /* name=... : looked up when it is opened */
    HYPERV_VM_WSL,  /* the utility VM of WSL 2, whose id changes at every start */
    HYPERV_VM_ANY,
    HYPERV_VM_CHILDREN,
    HYPERV_VM_PARENT,
    HYPERV_VM_LOOPBACK,
    HYPERV_VM_SILOHOST,
};

enum hyperv_service {
    HYPERV_SERVICE_GUID,
    HYPERV_SERVICE_PORT, /* a vsock port, by the Linux template */
    HYPERV_SERVICE_NAME, /* name=... : its registered ElementName */
};

enum {
    ENDPOINT_HOST = 254, /* sizes of the texts, with their NUL */
    ENDPOINT_PATH = 108,
    ENDPOINT_NAME = 128,
    ENDPOINT_TEXT = 320, /* of any formatted endpoint */
};

struct endpoint {
    enum family family;
    union {
        struct {
            char host[ENDPOINT_HOST]; /* name or address, without brackets; "*" is all addresses */
            uint16_t port;            /* 0: any free one */
        } tcp;
        struct {
            char path[ENDPOINT_PATH]; /* without the '@' where abstract */
            bool abstract;
        } local;
        struct {
            uint32_t cid, port; /* port 0: any free one */
            bool named;         /* the CID was given by name, and is formatted so */
        } vsock;
        struct {
            enum hyperv_vm vm_kind;
            enum hyperv_service service_kind;
            struct guid vm, service; /* where the kind is GUID, or PORT for the service */
            char vm_name[ENDPOINT_NAME], service_name[ENDPOINT_NAME];
        } hyperv;
        struct {
            char path[ENDPOINT_PATH];
            uint32_t port;
        } hybrid;
        char name[ENDPOINT_NAME]; /* npipe, systemd */
        int fd;
    } u;
};

enum endpoint_role { ENDPOINT_LISTEN, ENDPOINT_CONNECT };

/* Reads `text`, for use in the given role (nobody can connect to `tcp:*:80`, say). Returns 0, or
 * -1 and a message that quotes the text and shows what would be right. */
int endpoint_parse(const char *text, enum endpoint_role role, struct endpoint *out,
                   struct err *err);

/* Always fits ENDPOINT_TEXT. */
void endpoint_format(const struct endpoint *endpoint, char *out, size_t size);

/* Are they the same place, however each was written ("vsock:1:22", "vsock:local:22")? Nothing is
 * looked up. Endpoints that are equal have the same hash. */
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
uint32_t endpoint_hash(const struct endpoint *endpoint);

/* Is it TCP on an address that only this system reaches? By its text: names are not looked up, but
 * for "localhost". */
bool endpoint_is_loopback(const struct endpoint *endpoint);

/* Is it a path as on Windows, "C:/..." or "C:\..."? */
bool endpoint_path_has_drive(const char *path);

const char *family_name(enum family family);

/* A listener of these serves one single stream and is then done: standard input and output, and
 * descriptors. */
bool family_is_single(enum family family);

#endif
