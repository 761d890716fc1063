/* A host in C: loads a shared object that panics. The unwinder comes with the first panic, and not before. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static int is_mapped(const char *name)
{
    char line[4096];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        found |= strstr(line, name) != NULL;
    if (maps != NULL)
        fclose(maps);
    return found;
}

int main(int count, char **arguments)
{
    int (*planted)(void);
    void *object = count > 1 ? dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    void *found = object == NULL ? NULL : dlsym(object, "planted");
    if (found == NULL)
        return printf("not loaded: %s\n", dlerror());
    memcpy(&planted, &found, sizeof planted);
    if (is_mapped("libgcc_s"))
        return printf("the unwinder was loaded before it was needed\n");
    for (int turn = 0; turn < 3; turn++) {
        int dropped = planted();
        if (dropped != 5)
            return printf("%d values were dropped, and not 5\n", dropped);
    }
    return is_mapped("libgcc_s") ? 0 : printf("another unwinder was used\n");
}
