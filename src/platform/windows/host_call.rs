//! Calls of the host, which may end its thread during the call.
//!
//! During such a call, the thread has a value in a slot of fiber-local storage. When a thread with a value ends, the
//! system calls the slot's function. That function keeps the stack, which the system would free, because work on other
//! threads borrows from it. It does not sleep instead, since no other thread could end meanwhile.

use std::ffi::c_void;
use std::sync::OnceLock;

use windows_sys::Win32::System::SystemServices::DLL_PROCESS_DETACH;
use windows_sys::Win32::System::Threading::{FLS_OUT_OF_INDEXES, FlsAlloc, FlsFree, FlsGetValue, FlsSetValue};

/// The slot; `None` if the process has no free one.
static SLOT: OnceLock<Option<u32>> = OnceLock::new();
/// The value of the slot during a call.
static IN_CALL: u8 = 0;

/// Calls a function of the host. If that function ends the thread, the stack of the thread stays.
pub fn call_host<R>(call: impl FnOnce() -> R) -> R {
    let Some(slot) = *SLOT.get_or_init(allocate) else {
        return call();
    };
    // SAFETY: the slot is this module's, and nobody reads through its value.
    let before = unsafe { FlsGetValue(slot) };
    // SAFETY: the same. The function of the host may call the library, which calls another one.
    unsafe { FlsSetValue(slot, (&raw const IN_CALL).cast()) };
    let answer = call();
    // SAFETY: the same.
    unsafe { FlsSetValue(slot, before) };
    answer
}

/// Allocates the slot; `None` if the process has no free one.
fn allocate() -> Option<u32> {
    // SAFETY: the function is there until the library is unloaded, which frees the slot.
    let slot = unsafe { FlsAlloc(Some(keep_stack)) };
    (slot != FLS_OUT_OF_INDEXES).then_some(slot)
}

/// Clears `DeallocationStack` (offset 0x1478 of the thread environment block), so that the system does not free the
/// stack of this thread before the process ends. Libraries for coroutines set the same field.
unsafe extern "system" fn keep_stack(_: *const c_void) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the thread ends, and its stack grows no more than the rest of its end needs.
    unsafe {
        std::arch::asm!("mov qword ptr gs:[0x1478], 0", options(nostack, preserves_flags));
    }
}

/// Frees the slot when the library is unloaded. At the end of the process, `reserved` is set, and nothing needs to be
/// freed.
unsafe extern "system" fn on_unload(_: *mut c_void, reason: u32, reserved: *mut c_void) {
    if reason == DLL_PROCESS_DETACH
        && reserved.is_null()
        && let Some(&Some(slot)) = SLOT.get()
    {
        // SAFETY: no thread is in a call of a library that is unloaded.
        unsafe { FlsFree(slot) };
    }
}

// The loader calls the functions in sections with this name.
#[used]
#[unsafe(link_section = ".CRT$XLC")]
static ON_UNLOAD: unsafe extern "system" fn(*mut c_void, u32, *mut c_void) = on_unload;

#[cfg(test)]
#[path = "host_call_tests.rs"]
mod tests;
