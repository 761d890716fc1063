//! Code for all POSIX systems.

pub mod clock;
pub mod files;
pub mod fork;
pub mod local_path;
pub mod sqlite;
pub mod thread;
