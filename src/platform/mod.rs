//! Features of the operating system. Besides `capi`, the only module with `unsafe`; each block says why it is
//! sound. Nothing here knows Plex.

#![allow(unsafe_code)]

/// Calls the hook that a test installed before this step; nothing without the feature `testing`.
macro_rules! reach {
    ($step:ident $(($($path:expr),+))?) => {
        #[cfg(feature = "testing")]
        crate::platform::testing::reach(crate::platform::testing::FileStep::$step $(($($path),+))?)?;
        $(let _ = ($($path),+);)?
    };
}

pub mod bytes;
pub mod clock;
pub mod deadline;
pub mod exclusive_open;
mod file_facts;
pub mod files;
pub mod foreign;
pub mod fork;
pub mod interrupt;
pub mod local_path;
pub mod lock;
pub mod log_sync;
pub mod map;
pub mod mutex;
pub mod names;
pub mod open_files;
pub mod stamp;
#[cfg(test)]
pub mod statements;
pub mod swap;
#[cfg(feature = "testing")]
pub mod testing;
pub mod thread;
pub mod write_out;

// The one place where a system is chosen. What a function promises is said in the modules above; the module of a system has
// its body.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
mod macos;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod polled;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(any(target_os = "linux", target_os = "android"))]
use linux as system;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
use macos as system;
#[cfg(windows)]
use windows as system;

pub use rusqlite::ffi::SQLITE_VERSION;
