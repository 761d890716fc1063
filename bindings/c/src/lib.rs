//! The C ABI: only conversions between C and `api`.
//!
//! Every exported function is one call of `guard::guard` or `guard::guard_value`: no panic leaves, and the thread's
//! last error message is stored. `bindings/c/tests/abi.rs` fails if an export lacks it. `functions` has a file for each
//! family, in the order of the header. Pointers are checked in `strings`, `handles`, `options`, `query` and `edit`;
//! answers are written by `answer`.

// The names of the C types and functions are the contract; Rust users have `api`.
#![allow(unsafe_code)]
// Comments of exported items become the header's: their readers write C and know no Markdown.
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
