/* The virtual machines of this Hyper-V host, and their ids, which Hyper-V sockets speak of. */
#ifndef HVRELAY_NET_WINDOWS_VMS_H
#define HVRELAY_NET_WINDOWS_VMS_H

#include "base/err.h"
#include "net/endpoint.h"

enum vm_state { VM_RUNNING, VM_OFF, VM_PAUSED, VM_OTHER };

struct vm {
    struct guid id;
    enum vm_state state;
    char name[ENDPOINT_NAME]; /* as Hyper-V Manager shows it, cut at a whole character */
};

/* All virtual machines that this user may see: an array for free() and its length. An empty answer
 * is no error: Hyper-V shows nothing at all to who is neither an administrator nor a member of
 * "Hyper-V Administrators". Takes from milliseconds to seconds: never on a loop's thread, and COM
 * must not be initialised on the thread as an apartment of another kind. Returns 0 or -1. */
int vms_list(struct vm **out, size_t *count, struct err *err);

/* The id of the only virtual machine of that name (upper and lower case are the same). As
 * vms_list otherwise; err->code is UV_ENOENT where there is none, UV_EEXIST where there are
 * several. */
int vms_find(const char *name, struct guid *id, struct err *err);

/* The id of the virtual machine that runs this user's WSL 2 distributions. It changes at every
 * start of WSL; asking starts it. Blocks for up to 30 s. Returns 0 or -1. */
int vms_find_wsl(struct guid *id, struct err *err);

/* As vms_find, or, where `name` is NULL, vms_find_wsl, with an answer that is up to two seconds
 * old: for every stream that is to reach a VM by its name. */
int vms_find_recent(const char *name, struct guid *id, struct err *err);

/* No VM has the id that vms_find_recent gave: it will ask again. False where it has just asked, or
 * remembers nothing. Never blocks. */
bool vms_forget(const char *name);

/* "running", "off", ... */
const char *vm_state_name(enum vm_state state);

#endif
