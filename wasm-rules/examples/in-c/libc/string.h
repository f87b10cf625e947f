// What the bindings need of it.
#pragma once
#include <stddef.h>

void *memcpy(void *to, const void *from, size_t size);
size_t strlen(const char *text);
