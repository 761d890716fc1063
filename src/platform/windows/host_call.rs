//! Calls host functions, which may end the calling thread during the call.
//!
//! During the call, the thread has a value in a slot of fiber-local storage. When a thread with a value ends, the
//! system calls the slot's callback. The callback keeps the stack, which the system would otherwise free, because work
//! on other threads borrows values from this stack. The callback does not sleep instead, since no other thread could
//! end during the sleep.

use std::ffi::c_void;
use std::sync::OnceLock;

use windows_sys::Win32::System::SystemServices::DLL_PROCESS_DETACH;
use windows_sys::Win32::System::Threading::{FLS_OUT_OF_INDEXES, FlsAlloc, FlsFree, FlsGetValue, FlsSetValue};

/// The slot; `None` if the process has no free slot.
static SLOT: OnceLock<Option<u32>> = OnceLock::new();
/// The value of the slot during a call.
static IN_CALL: u8 = 0;

/// Calls a host function, which may end this thread. Sets the slot's value during the call, so that [`keep_stack`] runs
/// if the thread ends: work on other threads may still borrow values from this thread's stack.
pub fn call_host<R>(call: impl FnOnce() -> R) -> R {
    let Some(slot) = *SLOT.get_or_init(allocate) else {
        return call();
    };
    // SAFETY: the slot belongs to this module, and no code dereferences its value.
    let previous_value = unsafe { FlsGetValue(slot) };
    // SAFETY: the slot belongs to this module. Calls can be nested: a host function can call this library, which calls
    // a host function. Only the outermost call clears the value.
    unsafe { FlsSetValue(slot, (&raw const IN_CALL).cast()) };
    let answer = call();
    // SAFETY: the slot belongs to this module.
    unsafe { FlsSetValue(slot, previous_value) };
    answer
}

/// Allocates the slot; `None` if the process has no free slot.
fn allocate() -> Option<u32> {
    // SAFETY: the callback stays loaded until the library is unloaded, and unloading frees the slot.
    let slot = unsafe { FlsAlloc(Some(keep_stack)) };
    (slot != FLS_OUT_OF_INDEXES).then_some(slot)
}

/// Clears `DeallocationStack` (offset 0x1478 of the thread environment block), so that the system does not free this
/// thread's stack before the process ends. Coroutine libraries set the same field.
unsafe extern "system" fn keep_stack(_: *const c_void) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the thread is ending, and its stack grows only as far as the remaining steps need.
    unsafe {
        std::arch::asm!("mov qword ptr gs:[0x1478], 0", options(nostack, preserves_flags));
    }
}

/// Frees the slot when the host unloads the library. Does nothing if the process ends, when `reserved` is not null.
unsafe extern "system" fn on_unload(_: *mut c_void, reason: u32, reserved: *mut c_void) {
    if reason == DLL_PROCESS_DETACH
        && reserved.is_null()
        && let Some(&Some(slot)) = SLOT.get()
    {
        // SAFETY: no thread is inside a call to a library that is being unloaded.
        unsafe { FlsFree(slot) };
    }
}

// The loader calls the functions in sections with this name.
#[used]
#[unsafe(link_section = ".CRT$XLC")]
static ON_UNLOAD: unsafe extern "system" fn(*mut c_void, u32, *mut c_void) = on_unload;

#[cfg(test)]
mod tests {
    use std::os::windows::io::AsRawHandle;

    use windows_sys::Win32::Foundation::WAIT_OBJECT_0;
    use windows_sys::Win32::System::Threading::{ExitThread, INFINITE, WaitForSingleObject};

    use super::*;

    #[test]
    fn a_thread_ended_by_the_host_keeps_its_stack() {
        let (say, hear) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let value = [7_u8; 64];
            say.send((&raw const value).expose_provenance()).expect("a listener");
            // A call within a call is as it was afterwards.
            call_host(|| {
                assert_eq!(call_host(|| 4), 4);
                // SAFETY: a host does the same, and this frame owns nothing.
                unsafe { ExitThread(0) }
            });
        });
        let value = hear.recv().expect("an address");
        // SAFETY: the handle is open as long as `thread`.
        let waited = unsafe { WaitForSingleObject(thread.as_raw_handle(), INFINITE) };
        assert_eq!(waited, WAIT_OBJECT_0);
        // Wine frees the stack when the next thread ends.
        for _ in 0..2 {
            std::thread::spawn(|| ()).join().expect("an end");
        }
        // SAFETY: the stack is never freed.
        assert_eq!(
            unsafe { *std::ptr::with_exposed_provenance::<[u8; 64]>(value) },
            [7; 64]
        );
    }
}
