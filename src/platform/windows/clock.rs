//! The clocks. That of the milliseconds since the start moves in steps of 16.

use std::time::{SystemTime, UNIX_EPOCH};

use windows_sys::Win32::System::SystemInformation::GetTickCount64;

pub fn coarse_unix_ms() -> Option<i64> {
    None
}

pub fn coarse_ms() -> u64 {
    // SAFETY: a plain call.
    unsafe { GetTickCount64() }
}

pub fn file_clock() -> (i64, i64) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    (seconds, since.subsec_nanos().into())
}

pub fn coarse_file_clock() -> Option<(i64, i64)> {
    None
}
