//! Calls of the host, which may end its thread during the call.
//!
//! A thread that is in such a call has a value in a slot of fiber-local storage. The system calls the slot's function when
//! a thread with a value ends. That function takes the stack away from the system, which frees it otherwise: work on other
//! threads borrows from the frames of the call. It does not sleep there, since no other thread could end meanwhile.

use std::ffi::c_void;
use std::sync::OnceLock;

use windows_sys::Win32::System::SystemServices::DLL_PROCESS_DETACH;
use windows_sys::Win32::System::Threading::{FLS_OUT_OF_INDEXES, FlsAlloc, FlsFree, FlsGetValue, FlsSetValue};

/// The slot; `None` if the process has used up all.
static SLOT: OnceLock<Option<u32>> = OnceLock::new();
/// The value of a thread that is in a call.
static IN_CALL: u8 = 0;

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

fn allocate() -> Option<u32> {
    // SAFETY: the function is there until the library is unloaded, which frees the slot.
    let slot = unsafe { FlsAlloc(Some(keep_stack)) };
    (slot != FLS_OUT_OF_INDEXES).then_some(slot)
}

/// Clears the address by which the system frees the stack of this thread: `DeallocationStack` in the thread's block, which
/// libraries for coroutines set, too. The memory is free when the process ends.
unsafe extern "system" fn keep_stack(_: *const c_void) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the thread ends, and its stack grows no more than the rest of its end needs.
    unsafe {
        std::arch::asm!("mov qword ptr gs:[0x1478], 0", options(nostack, preserves_flags));
    }
}

/// Frees the slot when the library is unloaded. When the process ends, `reserved` is set, and nothing is freed.
unsafe extern "system" fn on_unload(_: *mut c_void, reason: u32, reserved: *mut c_void) {
    if reason == DLL_PROCESS_DETACH
        && reserved.is_null()
        && let Some(&Some(slot)) = SLOT.get()
    {
        // SAFETY: no thread is in a call of a library that is unloaded.
        unsafe { FlsFree(slot) };
    }
}

// The linker lists what is in sections of this name for the loader, which calls it.
#[used]
#[unsafe(link_section = ".CRT$XLC")]
static ON_UNLOAD: unsafe extern "system" fn(*mut c_void, u32, *mut c_void) = on_unload;

#[cfg(test)]
#[path = "host_call_tests.rs"]
mod tests;
