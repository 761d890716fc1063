//! Waits for a word of a shared page.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Waits while the word has this value, at most for the timeout. Returns whether the system can wait for it: there are
/// futexes of 32 bits only, so a processor needs both halves side by side.
#[cfg(target_pointer_width = "64")]
pub fn wait(word: &AtomicU64, value: u64, timeout: Duration) -> bool {
    let relative_timeout = libc::timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // SAFETY: the kernel reads four bytes of a mapped word and a time on the stack. Without FUTEX_PRIVATE_FLAG the word
    // is known by its file, so all processes that have the page mapped mean the same one.
    let done = unsafe {
        libc::syscall(
            libc::SYS_futex,
            low_half(word),
            libc::FUTEX_WAIT,
            low_half_of(value),
            &raw const relative_timeout,
        )
    };
    let error = std::io::Error::last_os_error().raw_os_error();
    done == 0 || matches!(error, Some(libc::EAGAIN | libc::EINTR | libc::ETIMEDOUT))
}

#[cfg(not(target_pointer_width = "64"))]
pub fn wait(_: &AtomicU64, _: u64, _: Duration) -> bool {
    false
}

pub fn wake(word: &AtomicU64) {
    // SAFETY: the kernel uses only the address. If the call fails, no waiter wakes now, but each checks again at its
    // timeout.
    unsafe {
        libc::syscall(libc::SYS_futex, low_half(word), libc::FUTEX_WAKE, libc::c_int::MAX);
    }
}

/// The address of the low half of a word, which changes with each increment.
fn low_half(word: &AtomicU64) -> *const u32 {
    let half = usize::from(cfg!(target_endian = "big"));
    word.as_ptr().cast::<u32>().wrapping_add(half)
}

#[cfg(target_pointer_width = "64")]
#[allow(clippy::cast_possible_truncation)] // that is meant
fn low_half_of(value: u64) -> u32 {
    value as u32
}
