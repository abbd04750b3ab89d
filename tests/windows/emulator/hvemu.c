/*
 * TEST ONLY. hvemu.dll: Hyper-V and UNIX sockets on loopback TCP, and the WMI that names virtual
 * machines, for one unmodified program. hvrun.exe loads it before the program's first instruction;
 * it then points the program's own imports at the functions of hooks.h. Other modules keep the
 * originals, this one included. A thread reads the map (map.h) again when it changes.
 *
 * What it cannot show: how the real provider treats zero-byte reads, its timing, permissions, and
 * a paused VM. `hvrelay selftest` on a Windows host does.
 */
#include "hooks.h"
#include "log.h"
#include "map.h"
#include "sock.h"

#include <string.h>

/* Microsoft's import library names the old Winsock functions by number. */
static const struct hook {
    const char *name;
    WORD ordinal;
    void *function;
} hooks[] = {
    {"bind", 2, hook_bind},
    {"closesocket", 3, hook_closesocket},
    {"connect", 4, hook_connect},
    {"getpeername", 5, hook_getpeername},
    {"getsockname", 6, hook_getsockname},
    {"getsockopt", 7, hook_getsockopt},
    {"setsockopt", 21, hook_setsockopt},
    {"shutdown", 22, hook_shutdown},
    {"socket", 23, hook_socket},
    {"WSAGetOverlappedResult", 0, hook_WSAGetOverlappedResult},
    {"WSAIoctl", 0, hook_WSAIoctl},
    {"WSARecv", 0, hook_WSARecv},
    {"WSASend", 0, hook_WSASend},
    {"WSASocketW", 0, hook_WSASocketW},
    {"CancelIoEx", 0, hook_CancelIoEx},
    {"CloseHandle", 0, hook_CloseHandle},
    {"GetFileInformationByHandleEx", 0, hook_GetFileInformationByHandleEx},
    {"CoCreateInstance", 0, hook_CoCreateInstance},
    {"CoSetProxyBlanket", 0, hook_CoSetProxyBlanket},
};

static void *at(HMODULE module, DWORD offset)
{
    return (BYTE *)module + offset;
}

static const struct hook *hook_for(HMODULE module, const IMAGE_THUNK_DATA *import, bool winsock)
{
    bool by_number = IMAGE_SNAP_BY_ORDINAL(import->u1.Ordinal);
    for (size_t i = 0; i < ARRAYSIZE(hooks); i++) {
        const IMAGE_IMPORT_BY_NAME *by_name = at(module, (DWORD)import->u1.AddressOfData);
        if (by_number ? winsock && hooks[i].ordinal == IMAGE_ORDINAL(import->u1.Ordinal)
                      : strcmp((const char *)by_name->Name, hooks[i].name) == 0)
            return &hooks[i];
    }
    return NULL;
}

static void point_at(IMAGE_THUNK_DATA *slot, void *function)
{
    DWORD protection;
    VirtualProtect(slot, sizeof *slot, PAGE_READWRITE, &protection);
    slot->u1.Function = (ULONGLONG)(ULONG_PTR)function;
    VirtualProtect(slot, sizeof *slot, protection, &protection);
}

static int patch_dll(HMODULE module, const IMAGE_IMPORT_DESCRIPTOR *dll)
{
    const IMAGE_THUNK_DATA *import = at(module, dll->OriginalFirstThunk);
    IMAGE_THUNK_DATA *slot = at(module, dll->FirstThunk);
    bool winsock = _stricmp(at(module, dll->Name), "ws2_32.dll") == 0;
    int patched = 0;
    for (; import->u1.AddressOfData; import++, slot++) {
        const struct hook *hook = hook_for(module, import, winsock);
        if (!hook)
            continue;
        point_at(slot, hook->function);
        patched++;
    }
    return patched;
}

static int patch_imports(HMODULE module)
{
    const IMAGE_DOS_HEADER *dos = (const void *)module;
    const IMAGE_NT_HEADERS *nt = at(module, (DWORD)dos->e_lfanew);
    IMAGE_DATA_DIRECTORY dir = nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT];
    int patched = 0;
    if (!dir.Size)
        return 0;
    for (const IMAGE_IMPORT_DESCRIPTOR *dll = at(module, dir.VirtualAddress); dll->Name; dll++)
        patched += patch_dll(module, dll);
    return patched;
}

static DWORD WINAPI watch_map(void *arg)
{
    (void)arg;
    for (;; Sleep(20)) {
        if (!map_refresh())
            continue;
        break_streams();
        note("the map was read again"); /* tests wait for this line */
    }
    return 0;
}

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, LPVOID reserved)
{
    (void)module, (void)reserved;
    if (reason != DLL_PROCESS_ATTACH)
        return TRUE;
    socks_init();
    if (!map_refresh())
        violation("cannot read the map that HVEMU_MAP names");
    trace("%d imports replaced", patch_imports(GetModuleHandleW(NULL)));
    HANDLE watcher = CreateThread(NULL, 0, watch_map, NULL, 0, NULL);
    return watcher && CloseHandle(watcher);
}
