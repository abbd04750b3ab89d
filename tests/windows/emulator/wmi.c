/* As much of WMI as it takes to look up virtual machines: the locator, one name space, the query
 * for all of Msvm_ComputerSystem, and the properties Name, ElementName and EnabledState. The
 * entries of the tables that are left out are never to be called. As on a real host the first row
 * is the host itself, whose Name is no GUID. */
#define COBJMACROS
#include "hooks.h"

#include "map.h"

#include <rpc.h>
#include <stdlib.h>
#include <wbemcli.h>

struct object {
    const void *vtable;
    LONG references;
};

struct row {
    struct object o;
    wchar_t name[64];
    wchar_t element_name[64];
    LONG enabled_state; /* 2 is running, 3 is off */
};

struct rows {
    struct object o;
    int next; /* -1 is the host */
};

static void *make(size_t size, const void *vtable)
{
    struct object *o = calloc(1, size);
    if (!o)
        abort();
    o->vtable = vtable;
    o->references = 1;
    return o;
}

static ULONG retain(void *this)
{
    return (ULONG)InterlockedIncrement(&((struct object *)this)->references);
}

static ULONG release(void *this)
{
    LONG left = InterlockedDecrement(&((struct object *)this)->references);
    if (left == 0)
        free(this);
    return (ULONG)left;
}

/* --- a row --- */

static ULONG STDMETHODCALLTYPE row_retain(IWbemClassObject *this)
{
    return retain(this);
}

static ULONG STDMETHODCALLTYPE row_release(IWbemClassObject *this)
{
    return release(this);
}

static HRESULT STDMETHODCALLTYPE row_get(IWbemClassObject *this, LPCWSTR property, LONG flags,
                                         VARIANT *value, CIMTYPE *type, LONG *flavor)
{
    const struct row *row = (const void *)this;
    (void)flags, (void)type, (void)flavor;
    VariantInit(value);
    if (_wcsicmp(property, L"EnabledState") == 0) {
        V_VT(value) = VT_I4;
        V_I4(value) = row->enabled_state;
        return WBEM_S_NO_ERROR;
    }
    bool is_name = _wcsicmp(property, L"Name") == 0;
    if (!is_name && _wcsicmp(property, L"ElementName") != 0)
        return WBEM_E_NOT_FOUND;
    V_VT(value) = VT_BSTR;
    V_BSTR(value) = SysAllocString(is_name ? row->name : row->element_name);
    return WBEM_S_NO_ERROR;
}

static const IWbemClassObjectVtbl row_vtable = {
    .AddRef = row_retain,
    .Release = row_release,
    .Get = row_get,
};

/* --- the rows of an answer --- */

static bool next_row(struct rows *rows, struct row *row)
{
    struct vm vm;
    if (rows->next == -1) {
        DWORD n = ARRAYSIZE(row->name);
        rows->next = 0;
        GetComputerNameW(row->name, &n);
        wcscpy(row->element_name, row->name);
        row->enabled_state = 2;
        return true;
    }
    if (!map_vm_at(rows->next++, &vm))
        return false;
    wchar_t braced[40];
    StringFromGUID2(&vm.id, braced, ARRAYSIZE(braced));
    braced[37] = L'\0';
    wcscpy(row->name, braced + 1);
    wcscpy(row->element_name, vm.name);
    row->enabled_state = vm.off ? 3 : 2;
    return true;
}

static ULONG STDMETHODCALLTYPE rows_retain(IEnumWbemClassObject *this)
{
    return retain(this);
}

static ULONG STDMETHODCALLTYPE rows_release(IEnumWbemClassObject *this)
{
    return release(this);
}

static HRESULT STDMETHODCALLTYPE rows_next(IEnumWbemClassObject *this, LONG timeout, ULONG count,
                                           IWbemClassObject **objects, ULONG *returned)
{
    struct row *row = make(sizeof *row, &row_vtable);
    (void)timeout, (void)count;
    *returned = 0;
    while (next_row((struct rows *)this, row)) {
        if (!row->element_name[0])
            continue;
        objects[0] = (IWbemClassObject *)row;
        *returned = 1;
        return WBEM_S_NO_ERROR;
    }
    release(row);
    return WBEM_S_FALSE;
}

static const IEnumWbemClassObjectVtbl rows_vtable = {
    .AddRef = rows_retain,
    .Release = rows_release,
    .Next = rows_next,
};

/* --- the name space --- */

static ULONG STDMETHODCALLTYPE space_retain(IWbemServices *this)
{
    return retain(this);
}

static ULONG STDMETHODCALLTYPE space_release(IWbemServices *this)
{
    return release(this);
}

static HRESULT STDMETHODCALLTYPE space_query(IWbemServices *this, const BSTR language,
                                             const BSTR query, LONG flags, IWbemContext *context,
                                             IEnumWbemClassObject **answer)
{
    struct rows *rows;
    (void)this, (void)language, (void)flags, (void)context;
    if (!wcsstr(query, L"FROM Msvm_ComputerSystem") || wcsstr(query, L"WHERE"))
        return WBEM_E_INVALID_QUERY;
    rows = make(sizeof *rows, &rows_vtable);
    rows->next = -1;
    *answer = (IEnumWbemClassObject *)rows;
    return WBEM_S_NO_ERROR;
}

static const IWbemServicesVtbl space_vtable = {
    .AddRef = space_retain,
    .Release = space_release,
    .ExecQuery = space_query,
};

/* --- the locator --- */

static ULONG STDMETHODCALLTYPE locator_retain(IWbemLocator *this)
{
    return retain(this);
}

static ULONG STDMETHODCALLTYPE locator_release(IWbemLocator *this)
{
    return release(this);
}

static HRESULT STDMETHODCALLTYPE locator_connect(IWbemLocator *this, const BSTR name,
                                                 const BSTR user, const BSTR password,
                                                 const BSTR locale, LONG flags,
                                                 const BSTR authority, IWbemContext *context,
                                                 IWbemServices **services)
{
    (void)this, (void)user, (void)password, (void)locale, (void)flags, (void)authority;
    (void)context;
    if (_wcsicmp(name, L"ROOT\\virtualization\\v2") != 0)
        return WBEM_E_INVALID_NAMESPACE;
    *services = make(sizeof(struct object), &space_vtable);
    return WBEM_S_NO_ERROR;
}

static const IWbemLocatorVtbl locator_vtable = {
    .AddRef = locator_retain,
    .Release = locator_release,
    .ConnectServer = locator_connect,
};

HRESULT WINAPI hook_CoCreateInstance(REFCLSID class, LPUNKNOWN outer, DWORD context, REFIID iid,
                                     LPVOID *object)
{
    if (!IsEqualGUID(class, &CLSID_WbemLocator))
        return CoCreateInstance(class, outer, context, iid, object);
    *object = make(sizeof(struct object), &locator_vtable);
    return S_OK;
}

HRESULT WINAPI hook_CoSetProxyBlanket(IUnknown *proxy, DWORD authn, DWORD authz, OLECHAR *principal,
                                      DWORD level, DWORD imp, RPC_AUTH_IDENTITY_HANDLE identity,
                                      DWORD capabilities)
{
    (void)proxy, (void)authn, (void)authz, (void)principal, (void)level, (void)imp;
    (void)identity, (void)capabilities;
    return S_OK; /* ours are no proxies, and the program has no others */
}
