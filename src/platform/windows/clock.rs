//! The clocks of Windows. `GetTickCount64` advances in steps of about 16 ms.

use windows_sys::Win32::System::SystemInformation::GetTickCount64;

/// Returns `None`, so that the caller uses the precise time of day.
pub fn coarse_unix_ms() -> Option<i64> {
    None
}

/// Returns the time since Windows started, in milliseconds.
pub fn coarse_ms() -> u64 {
    // SAFETY: the call has no arguments, and only returns a number.
    unsafe { GetTickCount64() }
}
