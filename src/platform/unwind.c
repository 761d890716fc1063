/*
 * Calls the unwinder of the system, which is loaded by the first panic. So a process that loads our shared object and
 * sees no panic does not load libgcc_s. That saves the search for the file, its pages, and a constructor that asks the
 * processor for its features, which takes long in a virtual machine.
 *
 * The functions have the names by which compiled Rust calls them, and pass each call on. They are hidden, so a host
 * keeps its own. The process still has one unwinder: libgcc_s, which glibc itself loads to end a thread. This file is
 * linked into shared objects with glibc only (build.rs). A program has its own unwinder.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void function(void);

/* Returns the function of this name, looked up once. Aborts without libgcc_s, as no panic could be caught. */
static function *find(function **place, const char *name)
{
    function *known = __atomic_load_n(place, __ATOMIC_RELAXED);
    if (known == NULL) {
        void *library = dlopen("libgcc_s.so.1", RTLD_NOW);
        void *found = library == NULL ? NULL : dlsym(library, name);
        if (found == NULL)
            abort();
        memcpy(&known, &found, sizeof known);
        __atomic_store_n(place, known, __ATOMIC_RELAXED);
    }
    return known;
}

#define HAND_ON(give, result, name, parameters, arguments)        \
    __attribute__((visibility("hidden"))) result name parameters; \
    result name parameters                                        \
    {                                                             \
        static function *known;                                   \
        give((result(*) parameters)find(&known, #name))arguments; \
    }

/* Contexts and exceptions are pointers here, and reasons are integers, as C's enums are. */
HAND_ON(return, int, _Unwind_RaiseException, (void *exception), (exception))
HAND_ON(return, int, _Unwind_Backtrace, (void *each, void *argument), (each, argument))
HAND_ON(return, uintptr_t, _Unwind_GetLanguageSpecificData, (void *context), (context))
HAND_ON(return, uintptr_t, _Unwind_GetRegionStart, (void *context), (context))
HAND_ON(return, uintptr_t, _Unwind_GetTextRelBase, (void *context), (context))
HAND_ON(return, uintptr_t, _Unwind_GetDataRelBase, (void *context), (context))
HAND_ON(return, uintptr_t, _Unwind_GetIP, (void *context), (context))
HAND_ON(return, uintptr_t, _Unwind_GetIPInfo, (void *context, int *before), (context, before))
HAND_ON(return, uintptr_t, _Unwind_GetCFA, (void *context), (context))
HAND_ON(return, void *, _Unwind_FindEnclosingFunction, (void *address), (address))
HAND_ON(, void, _Unwind_SetGR, (void *context, int place, uintptr_t value), (context, place, value))
HAND_ON(, void, _Unwind_SetIP, (void *context, uintptr_t value), (context, value))
HAND_ON(, void, _Unwind_DeleteException, (void *exception), (exception))
/* Continues unwinding from the calling frame. The frame of this file between the two needs no cleanup. */
HAND_ON(, void, _Unwind_Resume, (void *exception), (exception))
