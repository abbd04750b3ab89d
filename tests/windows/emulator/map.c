#include "map.h"

#include "log.h"

#include <rpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINES 128

struct service {
    GUID id;
    int port;
};

struct fault {
    enum operation op;
    bool any_vm, any_service;
    GUID vm, service;
    int code;
    DWORD delay_ms;
};

struct map {
    struct vm self;
    struct vm vm[MAX_LINES];
    struct service service[MAX_LINES];
    struct fault fault[MAX_LINES];
    int vms, services, faults;
};

static SRWLOCK lock = SRWLOCK_INIT;
static struct map map;
static struct map fresh; /* being read; only map_refresh() touches it, under refresh_lock */
static SRWLOCK refresh_lock = SRWLOCK_INIT;
static FILETIME read_at;

static bool parse_guid(const char *text, GUID *id)
{
    return UuidFromStringA((RPC_CSTR)text, id) == RPC_S_OK;
}

static bool parse_guid_or_any(const char *text, GUID *id, bool *any)
{
    *any = strcmp(text, "*") == 0;
    return *any || parse_guid(text, id);
}

static bool parse_operation(const char *text, enum operation *op)
{
    static const char *const names[] = {"socket", "bind", "connect", "accept", "stream"};
    for (int i = 0; i < (int)ARRAYSIZE(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *op = (enum operation)i;
            return true;
        }
    }
    return false;
}

static bool parse_vm(const char *rest, struct vm *vm)
{
    char id[40], addr[16];
    int name_at = 0;
    memset(vm, 0, sizeof *vm);
    if (sscanf(rest, "%39s %15s %n", id, addr, &name_at) < 2 || !parse_guid(id, &vm->id))
        return false;
    vm->addr.s_addr = inet_addr(addr);
    if (name_at)
        MultiByteToWideChar(CP_UTF8, 0, rest + name_at, -1, vm->name, ARRAYSIZE(vm->name));
    return vm->addr.s_addr != INADDR_NONE;
}

static bool parse_off(const char *rest, struct map *m)
{
    char id[40];
    GUID guid;
    if (sscanf(rest, "%39s", id) != 1 || !parse_guid(id, &guid))
        return false;
    for (int i = 0; i < m->vms; i++) {
        if (IsEqualGUID(&m->vm[i].id, &guid))
            m->vm[i].off = true;
    }
    return true;
}

static bool parse_service(const char *rest, struct service *service)
{
    char id[40];
    return sscanf(rest, "%39s %d", id, &service->port) == 2 && parse_guid(id, &service->id);
}

static bool parse_fault(const char *rest, struct fault *f)
{
    char op[16], vm[40], service[40], delay[16] = "0";
    memset(f, 0, sizeof *f);
    if (sscanf(rest, "%15s %39s %39s %d %15s", op, vm, service, &f->code, delay) < 4)
        return false;
    f->delay_ms = strcmp(delay, "timeout") == 0 ? DELAY_TIMEOUT : strtoul(delay, NULL, 10);
    return parse_operation(op, &f->op) && parse_guid_or_any(vm, &f->vm, &f->any_vm) &&
           parse_guid_or_any(service, &f->service, &f->any_service);
}

static bool parse_line(const char *line, struct map *m)
{
    char word[16] = "";
    int at = 0;
    if (sscanf(line, "%15s %n", word, &at) < 1 || word[0] == '#')
        return true;
    const char *rest = line + at;
    if (strcmp(word, "self") == 0)
        return parse_vm(rest, &m->self);
    if (strcmp(word, "off") == 0)
        return parse_off(rest, m);
    if (m->vms == MAX_LINES || m->services == MAX_LINES || m->faults == MAX_LINES)
        return false;
    if (strcmp(word, "vm") == 0)
        return parse_vm(rest, &m->vm[m->vms++]);
    if (strcmp(word, "service") == 0)
        return parse_service(rest, &m->service[m->services++]);
    if (strcmp(word, "fault") == 0)
        return parse_fault(rest, &m->fault[m->faults++]);
    return false;
}

/* A map with a mistake in it would make a test pass for the wrong reason: stop at once. */
static void parse(FILE *f, struct map *m)
{
    char line[512];
    memset(m, 0, sizeof *m);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (!parse_line(line, m))
            violation("the map has a line that is not understood: '%s'", line);
    }
}

static bool refresh(void)
{
    wchar_t path[MAX_PATH];
    WIN32_FILE_ATTRIBUTE_DATA attr;
    DWORD n = GetEnvironmentVariableW(L"HVEMU_MAP", path, MAX_PATH);
    if (n == 0 || n >= MAX_PATH)
        violation("HVEMU_MAP does not name a file");
    if (!GetFileAttributesExW(path, GetFileExInfoStandard, &attr) ||
        CompareFileTime(&attr.ftLastWriteTime, &read_at) == 0)
        return false;
    FILE *f = _wfopen(path, L"r");
    if (!f)
        return false; /* it is being replaced: next time */
    read_at = attr.ftLastWriteTime;
    parse(f, &fresh);
    fclose(f);

    AcquireSRWLockExclusive(&lock);
    map = fresh;
    ReleaseSRWLockExclusive(&lock);
    return true;
}

bool map_refresh(void)
{
    AcquireSRWLockExclusive(&refresh_lock);
    bool done = refresh();
    ReleaseSRWLockExclusive(&refresh_lock);
    return done;
}

struct vm map_self(void)
{
    AcquireSRWLockShared(&lock);
    struct vm self = map.self;
    ReleaseSRWLockShared(&lock);
    return self;
}

bool map_vm_at(int n, struct vm *vm)
{
    AcquireSRWLockShared(&lock);
    bool found = n < map.vms;
    if (found)
        *vm = map.vm[n];
    ReleaseSRWLockShared(&lock);
    return found;
}

bool map_vm(const GUID *id, struct vm *vm)
{
    *vm = map_self();
    for (int i = 0; !IsEqualGUID(&vm->id, id); i++) {
        if (!map_vm_at(i, vm))
            return false;
    }
    return true;
}

bool map_vm_by_addr(struct in_addr addr, struct vm *vm)
{
    *vm = map_self();
    for (int i = 0; vm->addr.s_addr != addr.s_addr; i++) {
        if (!map_vm_at(i, vm))
            return false;
    }
    return true;
}

int map_port(const GUID *service)
{
    int port = 0;
    AcquireSRWLockShared(&lock);
    for (int i = 0; i < map.services && !port; i++) {
        if (IsEqualGUID(&map.service[i].id, service))
            port = map.service[i].port;
    }
    ReleaseSRWLockShared(&lock);
    return port;
}

static bool matches(const struct fault *f, enum operation op, const GUID *vm, const GUID *service)
{
    return f->op == op && (f->any_vm || IsEqualGUID(&f->vm, vm)) &&
           (f->any_service || IsEqualGUID(&f->service, service));
}

int map_fault(enum operation op, const GUID *vm, const GUID *service, DWORD *delay_ms)
{
    int code = 0;
    AcquireSRWLockShared(&lock);
    for (int i = 0; i < map.faults && !code; i++) {
        if (!matches(&map.fault[i], op, vm, service))
            continue;
        code = map.fault[i].code;
        if (delay_ms)
            *delay_ms = map.fault[i].delay_ms;
    }
    ReleaseSRWLockShared(&lock);
    return code;
}
