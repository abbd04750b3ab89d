/* The memory of one guest, as its virtual machine monitor shared it over vhost-user.
 *
 * The monitor names every address in one of two ways: ring addresses are its own virtual ones,
 * buffer addresses inside the rings are guest-physical. Both become plain pointers here. */
#ifndef GUEST_MEMORY_H
#define GUEST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum { MEMORY_REGIONS_MAX = 8 };

/* One region as the vhost-user message SET_MEM_TABLE carries it; all in bytes. */
struct memory_layout {
    uint64_t guest_address;
    uint64_t size;
    uint64_t monitor_address;
    uint64_t file_offset;
};

struct memory_region {
    struct memory_layout layout;
    void *mapping; /* from offset 0 of the file, so that any offset can be mapped */
    size_t mapping_size;
};

struct memory {
    struct memory_region region[MEMORY_REGIONS_MAX];
    size_t count;
};

/* Replaces what is mapped by `count` regions, one per descriptor in `files` (not closed).
 * 0, or -1 with nothing mapped. */
int memory_map(struct memory *memory, const struct memory_layout *layouts, const int *files,
               size_t count);

void memory_unmap(struct memory *memory);

/* Where the region starts in this process. */
void *memory_region_start(const struct memory_region *region);

/* Pointers to `size` bytes, or NULL when they do not lie inside one region. */
void *memory_at_guest(const struct memory *memory, uint64_t address, uint64_t size);
void *memory_at_monitor(const struct memory *memory, uint64_t address, uint64_t size);

#endif
