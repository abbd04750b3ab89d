#include "check.h"
#include "family.h"

#include <stdio.h>
#include <uv.h>

static char folder[80];

const char *scratch_folder(void)
{
    char base[56], template[80];
    size_t len = sizeof base;
    uv_fs_t made;

    if (folder[0] != '\0')
        return folder;
    if (uv_os_tmpdir(base, &len) != 0) /* too long for a socket address, or not there */
        snprintf(base, sizeof base, "/tmp");
    snprintf(template, sizeof template, "%s/hvrelay-XXXXXX", base);
    int error = uv_fs_mkdtemp(NULL, &made, template, NULL);
    if (error != 0)
        fail_msg("cannot make a folder like '%s': %s", template, uv_strerror(error));
    snprintf(folder, sizeof folder, "%s", made.path);
    uv_fs_req_cleanup(&made);
    return folder;
}

/* A relay that was killed leaves its socket files. */
static void remove_files(void)
{
    uv_fs_t list, removed;
    uv_dirent_t entry;
    char path[200];

    if (uv_fs_scandir(NULL, &list, folder, 0, NULL) >= 0)
        while (uv_fs_scandir_next(&list, &entry) == 0) {
            snprintf(path, sizeof path, "%s/%.100s", folder, entry.name);
            uv_fs_unlink(NULL, &removed, path, NULL);
            uv_fs_req_cleanup(&removed);
        }
    uv_fs_req_cleanup(&list);
}

void scratch_remove(void)
{
    uv_fs_t removed;
    if (folder[0] == '\0')
        return;
    remove_files();
    uv_fs_rmdir(NULL, &removed, folder, NULL);
    uv_fs_req_cleanup(&removed);
    folder[0] = '\0';
}
