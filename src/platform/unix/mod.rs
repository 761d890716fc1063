//! What POSIX systems have in common.

pub mod clock;
pub mod files;
pub mod fork;
pub mod local_path;
#[cfg(feature = "shared")]
pub mod socket;
pub mod sqlite;
pub mod thread;
