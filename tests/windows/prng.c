// A stand-in for bcryptprimitives.dll, which wine 8 lacks and every program in Rust needs: random bytes of the system.

#include <windows.h>

BOOLEAN NTAPI SystemFunction036(void *buffer, ULONG length); // RtlGenRandom of advapi32

__declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE *bytes, SIZE_T length) {
    const SIZE_T most = 1 << 16;
    for (SIZE_T done = 0; done < length;) {
        SIZE_T piece = length - done < most ? length - done : most;
        if (!SystemFunction036(bytes + done, (ULONG)piece)) {
            return FALSE;
        }
        done += piece;
    }
    return TRUE;
}
