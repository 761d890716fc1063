//! The C ABI, which converts between C and the Rust API.
//!
//! The body of each exported function is one call of a function in `guard`, so that no panic crosses the boundary;
//! `bindings/c/tests/abi.rs` checks this rule. `functions` contains the exported functions, and `methods` the methods of
//! plexindex_call(). `guard`, `strings` and `options` check pointers; `functions/lookup` writes answers.

#![allow(unsafe_code)]
// The comments of exported items become part of the header, where Markdown has no meaning.
#![allow(clippy::doc_markdown)]

pub mod constants;
#[cfg(test)]
mod for_tests;
mod functions;
mod guard;
mod log_ring;
pub mod methods;
mod options;
mod strings;
pub mod types;

pub use functions::*;
