// python.exe: the wheel that has CPython's libraries for Windows lacks it.

#include <windows.h>

typedef int run_python(int count, wchar_t **words);

int wmain(int count, wchar_t **words) {
    HMODULE python = LoadLibraryW(L"python311.dll");
    run_python *run = python ? (run_python *)(void *)GetProcAddress(python, "Py_Main") : NULL;
    return run ? run(count, words) : 127;
}
