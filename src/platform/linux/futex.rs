//! Waits for changes to a word in a shared page, with futex(2).

use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Waits while the 64-bit word has this value, but no longer than the timeout. Returns whether the system supports the
/// wait. A futex has only 32 bits, so the function waits for a change to the word's low half.
pub fn wait(word: &AtomicU64, value: u64, timeout: Duration) -> bool {
    // Use the kernel's own struct, since the C library's struct may differ on 32-bit systems.
    #[allow(clippy::cast_lossless, clippy::cast_possible_wrap)] // less than a billion
    let relative_timeout: [libc::c_long; 2] = [
        timeout.as_secs().try_into().unwrap_or(libc::c_long::MAX),
        timeout.subsec_nanos() as libc::c_long,
    ];
    // SAFETY: the kernel reads four bytes of a mapped word, and a time on the stack. Without FUTEX_PRIVATE_FLAG, the
    // kernel identifies the word by its file, so all processes that have mapped the page use the same futex.
    let status = unsafe {
        libc::syscall(
            libc::SYS_futex,
            low_half(word),
            libc::FUTEX_WAIT,
            low_half_of(value),
            &raw const relative_timeout,
        )
    };
    let error = std::io::Error::last_os_error().raw_os_error();
    status == 0 || matches!(error, Some(libc::EAGAIN | libc::EINTR | libc::ETIMEDOUT))
}

/// Wakes all threads and processes that wait for a change to the word.
pub fn wake(word: &AtomicU64) {
    // SAFETY: the kernel uses only the address. If the call fails, no waiter wakes up now, but each waiter checks the
    // word again after its timeout.
    unsafe {
        libc::syscall(libc::SYS_futex, low_half(word), libc::FUTEX_WAKE, libc::c_int::MAX);
    }
}

/// Returns the address of a word's low half. Each increment of the word changes this half.
fn low_half(word: &AtomicU64) -> *const u32 {
    let half = usize::from(cfg!(target_endian = "big")); // big-endian systems store the high half first
    word.as_ptr().cast::<u32>().wrapping_add(half)
}

/// Returns the low half of a value, for comparison with the futex.
#[allow(clippy::cast_possible_truncation)] // that is meant
fn low_half_of(value: u64) -> u32 {
    value as u32
}
