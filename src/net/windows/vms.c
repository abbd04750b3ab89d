#define COBJMACROS
#include "net/windows/vms.h"

#include "base/text.h"
#include "base/windows/wide.h"
#include "base/windows/winerr.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <windows.h>

#include <wbemcli.h>

#define ONLY_ADMINISTRATORS                                                                        \
    "Hyper-V shows its VMs to administrators and to members of 'Hyper-V Administrators' only"

const char *vm_state_name(enum vm_state state)
{
    static const char *const names[] = {"running", "off", "paused", "other"};
    return names[state];
}

/* Msvm_ComputerSystem.EnabledState */
static enum vm_state state_from_wmi(LONG enabled_state)
{
    switch (enabled_state) {
    case 2:
        return VM_RUNNING;
    case 3:
        return VM_OFF;
    case 9: /* "Quiesce" */
        return VM_PAUSED;
    default:
        return VM_OTHER;
    }
}

static int set_wmi_error(struct err *err, HRESULT hr)
{
    if (hr == (HRESULT)WBEM_E_INVALID_NAMESPACE) {
        err_windows(err, (unsigned long)hr, "cannot ask for the VMs of this machine");
        err_hint(err, "is Hyper-V installed and is this its host?");
        err->code = UV_ENOTSUP;
        return -1;
    }
    if (hr == (HRESULT)WBEM_E_ACCESS_DENIED || hr == E_ACCESSDENIED) {
        err_windows(err, (unsigned long)hr, "cannot ask for the VMs of this machine");
        err_hint(err, ONLY_ADMINISTRATORS);
        err->code = UV_EACCES;
        return -1;
    }
    return err_windows(err, (unsigned long)hr, "cannot ask for the VMs of this machine");
}

/* --- the answer of WMI --- */

struct list_of_vms {
    struct vm *vms;
    size_t count, room;
};

static int append(struct list_of_vms *list, const struct vm *vm)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 16;
        struct vm *more = realloc(list->vms, room * sizeof *more);

        if (!more)
            return -1;
        list->vms = more;
        list->room = room;
    }
    list->vms[list->count++] = *vm;
    return 0;
}

static int get_text(IWbemClassObject *row, const wchar_t *property, char *out, size_t size)
{
    VARIANT value;
    int status = -1;

    VariantInit(&value);
    if (SUCCEEDED(IWbemClassObject_Get(row, property, 0, &value, NULL, NULL)) &&
        V_VT(&value) == VT_BSTR)
        status = utf8_from_wide(V_BSTR(&value), out, size);
    VariantClear(&value);
    return status;
}

static LONG get_number(IWbemClassObject *row, const wchar_t *property)
{
    VARIANT value;
    LONG number = 0;

    VariantInit(&value);
    if (SUCCEEDED(IWbemClassObject_Get(row, property, 0, &value, NULL, NULL)) &&
        V_VT(&value) == VT_I4)
        number = V_I4(&value);
    VariantClear(&value);
    return number;
}

/* One row. The host has a row too; its Name is no GUID. */
static bool read_vm(IWbemClassObject *row, struct vm *vm)
{
    char id[64];

    if (get_text(row, L"Name", id, sizeof id) != 0 || guid_parse(id, &vm->id) != 0 ||
        get_text(row, L"ElementName", vm->name, sizeof vm->name) != 0)
        return false;
    vm->state = state_from_wmi(get_number(row, L"EnabledState"));
    return true;
}

static HRESULT read_rows(IEnumWbemClassObject *rows, struct list_of_vms *list)
{
    for (;;) {
        IWbemClassObject *row = NULL;
        struct vm vm;
        ULONG count = 0;
        int full = 0;
        HRESULT hr = IEnumWbemClassObject_Next(rows, WBEM_INFINITE, 1, &row, &count);

        if (hr != WBEM_S_NO_ERROR || count == 0)
            return FAILED(hr) ? hr : S_OK;
        if (read_vm(row, &vm))
            full = append(list, &vm);
        IWbemClassObject_Release(row);
        if (full)
            return E_OUTOFMEMORY;
    }
}

/* --- the question --- */

/* WMI asks as the caller: each of its objects has to be told so, the enumerator as well. */
static HRESULT allow_calls(IUnknown *proxy)
{
    return CoSetProxyBlanket(proxy, RPC_C_AUTHN_WINNT, RPC_C_AUTHZ_NONE, NULL,
                             RPC_C_AUTHN_LEVEL_CALL, RPC_C_IMP_LEVEL_IMPERSONATE, NULL, EOAC_NONE);
}

static HRESULT query(IWbemServices *services, struct list_of_vms *list)
{
    BSTR language = SysAllocString(L"WQL");
    BSTR text = SysAllocString(L"SELECT Name, ElementName, EnabledState FROM Msvm_ComputerSystem");
    IEnumWbemClassObject *rows = NULL;
    HRESULT hr =
        IWbemServices_ExecQuery(services, language, text,
                                WBEM_FLAG_FORWARD_ONLY | WBEM_FLAG_RETURN_IMMEDIATELY, NULL, &rows);

    SysFreeString(text);
    SysFreeString(language);
    if (FAILED(hr))
        return hr;
    hr = allow_calls((IUnknown *)rows);
    if (SUCCEEDED(hr))
        hr = read_rows(rows, list);
    IEnumWbemClassObject_Release(rows);
    return hr;
}

static HRESULT connect_and_query(IWbemLocator *locator, struct list_of_vms *list)
{
    BSTR space = SysAllocString(L"ROOT\\virtualization\\v2");
    IWbemServices *services = NULL;
    HRESULT hr =
        IWbemLocator_ConnectServer(locator, space, NULL, NULL, NULL, 0, NULL, NULL, &services);

    SysFreeString(space);
    if (FAILED(hr))
        return hr;
    hr = allow_calls((IUnknown *)services);
    if (SUCCEEDED(hr))
        hr = query(services, list);
    IWbemServices_Release(services);
    return hr;
}

static HRESULT ask(struct list_of_vms *list)
{
    IWbemLocator *locator = NULL;
    HRESULT hr = CoCreateInstance(&CLSID_WbemLocator, NULL, CLSCTX_INPROC_SERVER, &IID_IWbemLocator,
                                  (void **)&locator);

    if (FAILED(hr))
        return hr;
    hr = connect_and_query(locator, list);
    IWbemLocator_Release(locator);
    return hr;
}

int vms_list(struct vm **out, size_t *count, struct err *err)
{
    struct list_of_vms list = {NULL, 0, 0};
    HRESULT hr = CoInitializeEx(NULL, COINIT_MULTITHREADED);

    if (FAILED(hr))
        return err_windows(err, (unsigned long)hr, "cannot initialise COM");
    hr = ask(&list);
    CoUninitialize();
    if (FAILED(hr)) {
        free(list.vms);
        return set_wmi_error(err, hr);
    }
    *out = list.vms;
    *count = list.count;
    return 0;
}

int vms_find(const char *name, struct guid *id, struct err *err)
{
    struct vm *vms;
    size_t count, found = 0;

    if (vms_list(&vms, &count, err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (text_equal_nocase(vms[i].name, name)) {
            *id = vms[i].id;
            found++;
        }
    }
    free(vms);
    if (found == 1)
        return 0;
    if (found > 1)
        return err_set(err, UV_EEXIST,
                       "%zu VMs are called '%s': name the one you mean by its GUID, which "
                       "'hvrelay vms' shows",
                       found, name);
    err_set(err, UV_ENOENT, "no VM is called '%s'", name);
    return err_hint(err, count > 0 ? "'hvrelay vms' shows their names" : ONLY_ADMINISTRATORS);
}
