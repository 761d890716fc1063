//! Wrappers of operating system features. Besides `capi`, the only module with `unsafe`; each block says why it is
//! sound. Nothing here knows Plex.

#![allow(unsafe_code)]

pub mod bytes;
pub mod clock;
pub mod deadline;
pub mod exclusive_open;
pub mod failpoint;
pub mod files;
pub mod foreign;
pub mod fork;
pub mod lock;
pub mod log_sync;
pub mod map;
pub mod mutex;
pub mod names;
pub mod open_files;
#[cfg(feature = "shared")]
pub mod secret_file;
pub mod stamp;
#[cfg(test)]
pub mod statements;
pub mod swap;
pub mod thread;
#[cfg(feature = "shared")]
pub mod wake;
mod walk;
pub mod write_out;

pub use rusqlite::ffi::SQLITE_VERSION;
