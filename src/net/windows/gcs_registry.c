#include "net/windows/gcs_registry.h"

#include "base/text.h"
#include "base/windows/wide.h"
#include "base/windows/winerr.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <windows.h>

static const wchar_t root_path[] =
    L"SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Virtualization\\GuestCommunicationServices";

/* Always the 64-bit view: a 32-bit program would be shown another key. */
static LSTATUS open_root(REGSAM access, HKEY *root)
{
    return RegOpenKeyExW(HKEY_LOCAL_MACHINE, root_path, 0, access | KEY_WOW64_64KEY, root);
}

static int set_registry_error(struct err *err, LSTATUS status, const char *what)
{
    err_windows(err, (unsigned long)status, "%s", what);
    if (status == ERROR_ACCESS_DENIED) {
        err_hint(err, "run it as an administrator");
        err->code = UV_EACCES;
    }
    return -1;
}

static void key_name(const struct guid *id, wchar_t out[GUID_TEXT])
{
    char text[GUID_TEXT];

    guid_format(id, text);
    wide_from_utf8(text, out, GUID_TEXT);
}

static void read_name(HKEY root, const wchar_t *key, char *out, size_t size)
{
    wchar_t wide[ENDPOINT_NAME];
    DWORD bytes = sizeof wide;

    out[0] = '\0';
    if (RegGetValueW(root, key, L"ElementName", RRF_RT_REG_SZ, NULL, wide, &bytes) == ERROR_SUCCESS)
        utf8_from_wide(wide, out, size);
}

/* Fills at most `room` entries; keys that are no GUID are somebody else's. */
static size_t read_services(HKEY root, struct gcs_service *out, size_t room)
{
    size_t count = 0;
    wchar_t key[64];

    for (DWORD i = 0; count < room; i++) {
        char text[64];
        DWORD length = sizeof key / sizeof *key;
        LSTATUS status = RegEnumKeyExW(root, i, key, &length, NULL, NULL, NULL, NULL);

        if (status == ERROR_NO_MORE_ITEMS)
            break;
        if (status != ERROR_SUCCESS || utf8_from_wide(key, text, sizeof text) != 0 ||
            guid_parse(text, &out[count].id) != 0)
            continue;
        read_name(root, key, out[count].name, sizeof out[count].name);
        count++;
    }
    return count;
}

int gcs_list(struct gcs_service **out, size_t *count, struct err *err)
{
    HKEY root;
    DWORD keys = 0;
    LSTATUS status = open_root(KEY_READ, &root);

    if (status == ERROR_FILE_NOT_FOUND) {
        err_set(err, UV_ENOENT, "this machine has no registry key for guest services");
        return err_hint(err, "is Hyper-V installed?");
    }
    if (status != ERROR_SUCCESS)
        return set_registry_error(err, status, "cannot read the registered guest services");
    RegQueryInfoKeyW(root, NULL, NULL, NULL, &keys, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    *out = calloc(keys + 1, sizeof **out);
    if (*out)
        *count = read_services(root, *out, keys);
    RegCloseKey(root);
    return *out ? 0 : err_system(err, UV_ENOMEM, "cannot read the registered guest services");
}

int gcs_find(const char *name, struct guid *id, struct err *err)
{
    struct gcs_service *services;
    size_t count, found = 0;

    if (gcs_list(&services, &count, err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (text_equal_nocase(services[i].name, name)) {
            *id = services[i].id;
            found++;
        }
    }
    free(services);
    if (found == 1)
        return 0;
    if (found > 1) {
        err_set(err, UV_EEXIST, "%zu guest services are called '%s'", found, name);
        return err_hint(err, "name the one you mean by its GUID");
    }
    err_set(err, UV_ENOENT, "no guest service is called '%s'", name);
    return err_hint(err, "'hvrelay registry list' shows them, 'hvrelay registry add' makes one");
}

int gcs_add(const struct guid *id, const char *name, struct err *err)
{
    wchar_t path[sizeof root_path / sizeof *root_path + GUID_TEXT], key[GUID_TEXT];
    wchar_t wide[ENDPOINT_NAME];
    HKEY service;
    LSTATUS status;

    if (wide_from_utf8(name, wide, ENDPOINT_NAME) != 0)
        return err_set(err, UV_EINVAL, "the name '%s' is too long or not UTF-8", name);
    key_name(id, key);
    swprintf(path, sizeof path / sizeof *path, L"%ls\\%ls", root_path, key);
    status = RegCreateKeyExW(HKEY_LOCAL_MACHINE, path, 0, NULL, 0, KEY_WRITE | KEY_WOW64_64KEY,
                             NULL, &service, NULL);
    if (status != ERROR_SUCCESS)
        return set_registry_error(err, status, "cannot register the guest service");
    status = RegSetValueExW(service, L"ElementName", 0, REG_SZ, (const BYTE *)wide,
                            (DWORD)((wcslen(wide) + 1) * sizeof *wide));
    RegCloseKey(service);
    return status == ERROR_SUCCESS
               ? 0
               : set_registry_error(err, status, "cannot name the guest service");
}

int gcs_remove(const struct guid *id, struct err *err)
{
    wchar_t key[GUID_TEXT];
    HKEY root;
    LSTATUS status = open_root(KEY_READ | KEY_WRITE, &root);

    if (status == ERROR_SUCCESS) {
        key_name(id, key);
        status = RegDeleteKeyExW(root, key, KEY_WOW64_64KEY, 0);
        RegCloseKey(root);
    }
    if (status == ERROR_FILE_NOT_FOUND)
        return err_set(err, UV_ENOENT, "this guest service is not registered");
    if (status != ERROR_SUCCESS)
        return set_registry_error(err, status, "cannot remove the guest service");
    return 0;
}
