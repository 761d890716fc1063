//! The C ABI: conversions between C and the Rust API.
//!
//! The body of every exported function is one call of a guard of `guard`, so that no panic crosses the boundary;
//! `bindings/c/tests/abi.rs` checks this. `functions` has a file for each family of functions, and `door` the methods
//! of plexindex_call(). `strings`, `handles`, `options` and `query` check pointers; `answer` writes answers.

#![allow(unsafe_code)]
// The header contains the comments of exported items, and Markdown has no meaning there.
#![allow(clippy::doc_markdown)]

mod answer;
mod callbacks;
pub mod constants;
pub mod door;
#[cfg(test)]
mod for_tests;
mod functions;
mod guard;
mod handles;
mod log_ring;
mod options;
mod query;
mod strings;
mod table_handles;
pub mod types;

pub use functions::*;
