//! Code for Windows 10 and later. Windows has no fork, so no fork handler ever runs.

use std::borrow::Cow;
use std::ffi::{OsString, c_void};
use std::fs::{self, File};
use std::io;
use std::net::TcpStream;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsRawHandle, AsRawSocket};
use std::path::{Path, PathBuf};
use std::ptr::null;
use std::sync::OnceLock;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{ERROR_OPERATION_ABORTED, HANDLE};
use windows_sys::Win32::System::IO::CancelIoEx;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};
use windows_sys::Win32::System::SystemInformation::GetTickCount64;
use windows_sys::Win32::System::SystemServices::DLL_PROCESS_DETACH;
use windows_sys::Win32::System::Threading::{FLS_OUT_OF_INDEXES, FlsAlloc, FlsFree, FlsGetValue, FlsSetValue};

use super::file_facts::Inode;

mod files;

pub use files::*;

/// Returns whether this process has the file open; always `false`, since Windows needs no check: its locks belong to
/// handles, so two copies of SQLite see each other's locks.
pub fn is_open(_: &Path, _: Inode) -> bool {
    false
}

/// Does nothing, since Windows has no call that starts writing a file to disk.
pub fn write_out(_: &File) {}

/// Cancels reads and writes on a connection, since shutting down the connection does not wake them on Windows.
pub fn wake_readers(stream: &TcpStream) {
    // SAFETY: the socket is open as long as the stream, and a socket is a handle.
    unsafe { CancelIoEx(stream.as_raw_socket() as HANDLE, null()) };
}

/// Returns whether [`wake_readers`] cancelled the failed operation. The standard library reports this error as a
/// timeout.
pub fn is_wake(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_OPERATION_ABORTED.cast_signed())
}

/// Length from which a path is treated as long, in UTF-16 units. The value is below the limit of 260, since SQLite
/// appends suffixes.
const LONG: usize = 200;

/// Converts a normalized path to the form in which users write paths, with `\` as the separator.
pub fn shown(path: &[u8]) -> Cow<'_, [u8]> {
    with_separator(without_prefix(path), b'\\').into()
}

/// Returns an existing file's absolute path, without resolving links, for a path that the system cannot canonicalize,
/// such as a path on a drive that the system's mount manager does not know. Returns `error`, the error from
/// canonicalizing the path, if the file does not exist.
pub fn absolute_if_exists(path: &Path, error: io::Error) -> io::Result<PathBuf> {
    if is_gone(&error) || fs::metadata(path).is_err() {
        return Err(error);
    }
    std::path::absolute(path)
}

/// Returns the path. Adds the prefix `\\?\` to a long path, since SQLite cannot open the path otherwise.
pub fn for_sqlite(path: &Path) -> Cow<'_, Path> {
    if path.as_os_str().encode_wide().count() < LONG {
        return path.into();
    }
    let Ok(mut long) = verbatim(path) else {
        return path.into();
    };
    long.pop(); // the NUL
    PathBuf::from(OsString::from_wide(&long)).into()
}

/// Removes the prefix `\\?\` (`\\?\UNC\` for a share), which Windows adds to long paths.
fn without_prefix(path: &[u8]) -> Cow<'_, [u8]> {
    match path.strip_prefix(br"\\?\") {
        Some([b'U' | b'u', b'N' | b'n', b'C' | b'c', b'\\', share @ ..]) => [br"\\", share].concat().into(),
        Some(drive_path @ [_, b':', ..]) => drive_path.into(),
        // Other paths with this prefix, such as volume paths, have no shorter form.
        _ => path.into(),
    }
}

/// Replaces all separators in a path with `separator`.
fn with_separator(path: Cow<'_, [u8]>, separator: u8) -> Vec<u8> {
    let mut path = path.into_owned();
    for byte in path.iter_mut().filter(|byte| matches!(byte, b'/' | b'\\')) {
        *byte = separator;
    }
    path
}

/// Length in bytes of the longest path of a database that SQLite opens; here, the system has the shorter limit.
pub const MAX_DATABASE_PATH: usize = usize::MAX;

/// Does nothing, since SQLite does not change the owner of files on Windows.
pub fn suppress_chown_while(_: fn() -> bool) {}

/// A thread of the standard library; `None` once it is joined or detached. On Windows, its thread-local values do not
/// prevent a host from unloading this library.
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

/// A slot of fiber-local storage, in which a thread has a value while it calls a host function; `None` if the process
/// has no free slot. When a thread with a value ends, the system calls the slot's callback. The callback keeps the
/// stack, which the system would otherwise free, because work on other threads borrows values from this stack. The
/// callback does not sleep instead, since no other thread could end during the sleep.
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

/// A file's handle as a number.
pub type Descriptor = usize;

/// Returns a file's handle as a number.
pub fn descriptor(file: &File) -> Descriptor {
    file.as_raw_handle() as usize
}

/// Does nothing, and is never called.
///
/// # Safety
/// None is needed.
pub unsafe fn close_descriptor(_: Descriptor) {}

/// Leaves a file open, and is never called.
pub fn forget(file: File) {
    std::mem::forget(file);
}

/// Does nothing, since Windows has no fork.
pub fn register_fork_handlers(_before: extern "C" fn(), _in_parent: extern "C" fn(), _in_child: extern "C" fn()) {}

/// Returns `None`, so that the caller uses the precise time of day.
pub fn coarse_unix_ms() -> Option<i64> {
    None
}

/// Returns the time since Windows started, in milliseconds. The time advances in steps of about 16 ms.
pub fn coarse_ms() -> u64 {
    // SAFETY: the call has no arguments, and only returns a number.
    unsafe { GetTickCount64() }
}

/// Returns the time since the first call, with the time in which the system slept.
pub fn steady() -> Duration {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
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

/// Always returns `false`, because Windows has no permission bits for other users. A secret file inherits the permissions
/// of its folder, for which the user is responsible.
#[must_use]
pub fn is_open_to_others(_: &File) -> bool {
    false
}
