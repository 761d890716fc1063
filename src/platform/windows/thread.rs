//! Threads of the standard library. On Windows, their thread-local values do not prevent a host from unloading this
//! library.

use std::ffi::c_void;
use std::thread::{Builder, JoinHandle};

use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};

pub use super::host_call::call_host;

/// A thread; `None` once it is joined or detached.
pub struct Thread(Option<JoinHandle<()>>);

struct ThreadArgument(*mut c_void);

// SAFETY: `Thread::start` requires that the new thread can use the argument.
unsafe impl Send for ThreadArgument {}

impl Thread {
    /// Starts a thread that calls `run` with `argument`, with a stack of `stack` bytes; `None` if no thread can be
    /// started.
    ///
    /// # Safety
    /// `argument` must be valid for as long as `run` runs.
    pub unsafe fn start(
        stack: usize,
        run: extern "C" fn(*mut c_void) -> *mut c_void,
        argument: *mut c_void,
    ) -> Option<Self> {
        let argument = ThreadArgument(argument);
        let work = move || {
            let ThreadArgument(argument) = { argument };
            run(argument);
        };
        let thread = Builder::new().stack_size(stack).spawn(work).ok()?;
        Some(Self(Some(thread)))
    }

    /// Returns whether the thread is neither joined nor detached.
    pub fn is_in_this_process(&self) -> bool {
        self.0.is_some()
    }

    /// Detaches the thread. The library stays in memory, since the thread runs its code.
    pub fn detach(&mut self) {
        keep_library();
        self.0 = None;
    }

    /// Waits until the thread has ended.
    pub fn join(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

/// Keeps this library in memory until the process ends, even if the host unloads it.
fn keep_library() {
    let code: fn() = keep_library;
    let flags = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
    let mut library = std::ptr::null_mut();
    // SAFETY: with this flag, the name argument is an address, here of a function in this library.
    unsafe { GetModuleHandleExW(flags, code as *const u16, &raw mut library) };
}
