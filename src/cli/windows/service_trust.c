#include "cli/windows/service_trust.h"

#include "app/process.h"
#include "base/windows/wide.h"
#include "base/windows/winerr.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <windows.h>

#include <aclapi.h>
#include <sddl.h>

/* The owner is named, for a process that is not elevated by default owns what it makes itself. */
#define FOLDER_ACCESS L"O:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)"

#define TRUSTED_INSTALLER L"S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"

#define HOW_TO_MEND                                                                                \
    "as an administrator: move it away and run 'hvrelay service install', or use icacls with "     \
    "/setowner Administrators and /inheritance:r /grant SYSTEM:F Administrators:F"

enum {
    WRITES = FILE_WRITE_DATA | FILE_APPEND_DATA | FILE_DELETE_CHILD | DELETE | WRITE_DAC |
             WRITE_OWNER | GENERIC_WRITE,
};

/* --- accounts --- */

static bool is_text_sid(PSID sid, const wchar_t *text)
{
    PSID other;
    bool same;

    if (!ConvertStringSidToSidW(text, &other))
        return false;
    same = EqualSid(sid, other);
    LocalFree(other);
    return same;
}

static bool is_own_account(PSID sid)
{
    union {
        TOKEN_USER user;
        BYTE room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
    } u;
    HANDLE token;
    DWORD length;
    bool same = false;

    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return false;
    if (GetTokenInformation(token, TokenUser, &u, sizeof u, &length))
        same = EqualSid(sid, u.user.User.Sid);
    CloseHandle(token);
    return same;
}

/* The owner's rights are the owner's, who is looked at on his own. */
static bool is_trusted(PSID sid)
{
    return IsWellKnownSid(sid, WinLocalSystemSid) ||
           IsWellKnownSid(sid, WinBuiltinAdministratorsSid) ||
           IsWellKnownSid(sid, WinCreatorOwnerRightsSid) || is_text_sid(sid, TRUSTED_INSTALLER) ||
           is_own_account(sid);
}

static void format_account(PSID sid, char *out, size_t size)
{
    wchar_t name[128], domain[128], *text;
    DWORD names = 128, domains = 128;
    SID_NAME_USE use;

    snprintf(out, size, "an unknown account");
    if (LookupAccountSidW(NULL, sid, name, &names, domain, &domains, &use)) {
        utf8_from_wide(name, out, size);
    } else if (ConvertSidToStringSidW(sid, &text)) {
        utf8_from_wide(text, out, size);
        LocalFree(text);
    }
}

/* --- what they may do --- */

static int refuse(const char *what, PSID sid, const char *problem, struct err *err)
{
    char account[256];

    format_account(sid, account, sizeof account);
    err_set(err, UV_EACCES, problem, what, account);
    return err_hint(err, HOW_TO_MEND);
}

/* Entries that only what is made inside inherits say nothing of the folder; what is inside is
 * looked at by itself. */
static bool gives_write(const ACCESS_ALLOWED_ACE *ace)
{
    return ace->Header.AceType == ACCESS_ALLOWED_ACE_TYPE &&
           !(ace->Header.AceFlags & INHERIT_ONLY_ACE) && (ace->Mask & (WRITES | GENERIC_ALL)) != 0;
}

static int check_access(PACL acl, const char *what, struct err *err)
{
    if (!acl) {
        err_set(err, UV_EACCES, "everybody may change %s", what);
        return err_hint(err, HOW_TO_MEND);
    }
    for (DWORD i = 0; i < acl->AceCount; i++) {
        ACCESS_ALLOWED_ACE *ace;

        if (GetAce(acl, i, (void **)&ace) && gives_write(ace) && !is_trusted(&ace->SidStart))
            return refuse(what, &ace->SidStart, "%s may be changed by '%s'", err);
    }
    return 0;
}

int trust_check_descriptor(void *descriptor, const char *what, struct err *err)
{
    BOOL present = FALSE, defaulted;
    PSID owner = NULL;
    PACL acl = NULL;

    if (!GetSecurityDescriptorOwner(descriptor, &owner, &defaulted) ||
        !GetSecurityDescriptorDacl(descriptor, &present, &acl, &defaulted))
        return err_windows(err, GetLastError(), "cannot read the owner of %s", what);
    if (owner && !is_trusted(owner))
        return refuse(what, owner, "%s belongs to '%s'", err);
    return check_access(present ? acl : NULL, what, err);
}

/* --- files --- */

static int check_path(wchar_t *path, const char *kind, struct err *err)
{
    PSECURITY_DESCRIPTOR descriptor;
    char text[3 * MAX_PATH], what[3 * MAX_PATH + 32];
    DWORD error;
    int status;

    utf8_from_wide(path, text, sizeof text);
    snprintf(what, sizeof what, "the %s '%s'", kind, text);
    error = GetNamedSecurityInfoW(path, SE_FILE_OBJECT,
                                  OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, NULL,
                                  NULL, NULL, NULL, &descriptor);
    if (error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND)
        return 0;
    if (error != ERROR_SUCCESS)
        return err_windows(err, error, "cannot read the owner of %s", what);
    status = trust_check_descriptor(descriptor, what, err);
    LocalFree(descriptor);
    return status;
}

int trust_check_config(const char *path, struct err *err)
{
    wchar_t wide[MAX_PATH], *end;

    if (wide_from_utf8(path, wide, MAX_PATH) != 0)
        return err_set(err, UV_EINVAL, "'%s' cannot be the path of a file", path);
    if (check_path(wide, "configuration", err) != 0)
        return -1;
    end = wcsrchr(wide, L'\\');
    if (!end)
        return err_set(err, UV_EINVAL, "'%s' is not an absolute path", path);
    *end = L'\0';
    return check_path(wide, "folder", err);
}

int trust_make_folder(struct err *err)
{
    SECURITY_ATTRIBUTES attributes = {.nLength = sizeof attributes};
    wchar_t path[MAX_PATH];
    DWORD error = ERROR_SUCCESS;

    if (wide_from_utf8(process_default_config(), path, MAX_PATH) != 0)
        return err_set(err, UV_EINVAL, "%%ProgramData%% is too long");
    *wcsrchr(path, L'\\') = L'\0';
    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(
            FOLDER_ACCESS, SDDL_REVISION_1, &attributes.lpSecurityDescriptor, NULL))
        return err_windows(err, GetLastError(), "cannot make the access list of the folder");
    if (!CreateDirectoryW(path, &attributes))
        error = GetLastError();
    LocalFree(attributes.lpSecurityDescriptor);
    if (error != ERROR_SUCCESS && error != ERROR_ALREADY_EXISTS)
        return err_windows(err, error, "cannot make the folder of the configuration");
    return 0;
}
