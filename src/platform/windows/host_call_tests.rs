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
