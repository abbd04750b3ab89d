#include "memory.h"

#include <stdbool.h>
#include <sys/mman.h>

int memory_map(struct memory *memory, const struct memory_layout *layouts, const int *files,
               size_t count)
{
    memory_unmap(memory);
    if (count > MEMORY_REGIONS_MAX)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct memory_region *region = &memory->region[i];
        region->layout = layouts[i];
        region->mapping_size = layouts[i].size + layouts[i].file_offset;
        region->mapping =
            mmap(NULL, region->mapping_size, PROT_READ | PROT_WRITE, MAP_SHARED, files[i], 0);
        if (region->mapping == MAP_FAILED) {
            memory_unmap(memory);
            return -1;
        }
        memory->count = i + 1;
    }
    return 0;
}

void memory_unmap(struct memory *memory)
{
    for (size_t i = 0; i < memory->count; i++)
        munmap(memory->region[i].mapping, memory->region[i].mapping_size);
    memory->count = 0;
}

void *memory_region_start(const struct memory_region *region)
{
    return (char *)region->mapping + region->layout.file_offset;
}

/* Written so that no sum can wrap: the addresses come from a guest. */
static bool spans(uint64_t start, uint64_t length, uint64_t address, uint64_t size)
{
    return address >= start && size <= length && address - start <= length - size;
}

void *memory_at_guest(const struct memory *memory, uint64_t address, uint64_t size)
{
    for (size_t i = 0; i < memory->count; i++) {
        const struct memory_region *region = &memory->region[i];
        if (spans(region->layout.guest_address, region->layout.size, address, size))
            return (char *)memory_region_start(region) + (address - region->layout.guest_address);
    }
    return NULL;
}

void *memory_at_monitor(const struct memory *memory, uint64_t address, uint64_t size)
{
    for (size_t i = 0; i < memory->count; i++) {
        const struct memory_region *region = &memory->region[i];
        if (spans(region->layout.monitor_address, region->layout.size, address, size))
            return (char *)memory_region_start(region) + (address - region->layout.monitor_address);
    }
    return NULL;
}
