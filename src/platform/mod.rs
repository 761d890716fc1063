//! Wraps the operating system. Besides `bindings/c`, only this module contains `unsafe` code. A comment at each block
//! explains why the block is sound. Nothing in this module depends on Plex.

#![allow(unsafe_code)]

/// Calls the failpoint that a test has installed, before a file operation. Does nothing without the feature `testing`.
macro_rules! failpoint {
    ($step:ident $(($($path:expr),+))?) => {
        #[cfg(feature = "testing")]
        crate::platform::failpoints::run_failpoint(crate::platform::failpoints::FileStep::$step $(($($path),+))?)?;
        $(let _ = ($($path),+);)?
    };
}

pub mod bytes;
pub mod clock;
#[cfg(feature = "testing")]
pub mod failpoints;
mod file_facts;
pub mod files;
pub mod fork;
pub mod lock;
pub mod map;
pub mod size_reader;
pub mod sqlite;
pub mod swap;
pub mod thread;

// Only this file selects the operating system. The modules above document the functions, and each system's module
// implements them.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
mod macos;
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
pub use system::MAX_DATABASE_PATH;
