//! What only the operating system can do, and the other place with `unsafe` beside `capi`: each block says why it is
//! sound. Nothing here knows of Plex.

#![allow(unsafe_code)]

pub mod bytes;
pub mod clock;
pub mod exclusive_open;
pub mod files;
pub mod foreign;
pub mod fork;
pub mod lock;
pub mod map;
pub mod mutex;
pub mod names;
pub mod stamp;
#[cfg(test)]
pub mod statements;
pub mod swap;
pub mod thread;
mod walk;
pub mod witness;
