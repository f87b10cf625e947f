// A C library as small as a module needs: there is no system under it.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 65536u
#define ALIGNED(size) (((size) + 15u) & ~(size_t)15u)

// Where the linker's data end.
extern unsigned char __heap_base;

// Blocks lie one behind the other, each with its size before it. When the last one is given back, all is free: between two
// calls of the sensor nothing lives.
static uintptr_t next;
static size_t live;

void *malloc(size_t size) {
    uintptr_t start = ALIGNED((uintptr_t)&__heap_base);
    if (live == 0) next = start;
    if (size > SIZE_MAX - 64 - next) return NULL;
    uintptr_t block = next + 16, end = ALIGNED(block + size);
    uintptr_t memory = (uintptr_t)__builtin_wasm_memory_size(0) * PAGE;
    if (end > memory && __builtin_wasm_memory_grow(0, (end - memory + PAGE - 1) / PAGE) == SIZE_MAX) return NULL;
    *(size_t *)next = size;
    next = end;
    live++;
    return (void *)block;
}

void free(void *block) {
    // The declaration is constant, and given back, too.
    if ((uintptr_t)block > (uintptr_t)&__heap_base && live > 0) live--;
}

void *realloc(void *old, size_t size) {
    if (old == NULL) return malloc(size);
    size_t before = *(size_t *)((uintptr_t)old - 16);
    void *block = malloc(size);
    if (block != NULL) {
        memcpy(block, old, before < size ? before : size);
        free(old);
    }
    return block;
}

void abort(void) { __builtin_trap(); }

void *memcpy(void *to, const void *from, size_t size) {
    unsigned char *out = to;
    const unsigned char *in = from;
    // Volatile, or the compiler makes a call of memcpy of it.
    for (volatile size_t at = 0; at < size; at++) out[at] = in[at];
    return to;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length] != 0) length++;
    return length;
}

// The compiler's description of the world would be linked in here; `weir rules build` puts it in itself.
void __component_type_object_force_link_rules(void) {}
