use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::*;

#[test]
fn a_thread_ended_by_the_host_runs_no_destructors() {
    unsafe extern "C-unwind" {
        fn pthread_exit(value: *mut c_void) -> !;
    }
    struct Owned(std::sync::mpsc::Sender<&'static str>);
    impl Drop for Owned {
        fn drop(&mut self) {
            self.0.send("destroyed").expect("a listener");
        }
    }
    let (say, hear) = std::sync::mpsc::channel();
    let told = say.clone();
    std::thread::spawn(move || {
        let owned = Owned(say);
        let _ = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: a host does the same, and this frame owns nothing.
            call_host(|| unsafe { pthread_exit(std::ptr::null_mut()) });
        }));
        drop(owned);
    });
    // The thread must not end: nothing arrives on the channel.
    let heard = hear.recv_timeout(Duration::from_millis(100));
    assert_eq!(heard, Err(std::sync::mpsc::RecvTimeoutError::Timeout));
    drop(told);
    assert_eq!(call_host(|| 4), 4);
}
