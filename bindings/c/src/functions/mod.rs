//! Exported functions, in one file per topic. The header contains their comments, so they address C programmers.

#[cfg(test)]
mod all_tests;
mod index;
mod lookup;
#[cfg(test)]
mod misuse_tests;
mod open;
mod record;
mod tables;

pub use index::*;
pub use lookup::*;
pub use open::*;
pub use record::*;
pub use tables::*;
