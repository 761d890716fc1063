//! Exported functions, in one file per topic. The header contains their comments, so they address C programmers.

#[cfg(test)]
mod all_tests;
mod blocks;
mod call;
mod events;
mod library;
mod log;
mod lookup;
mod matching;
#[cfg(test)]
mod misuse_tests;
mod open;
mod record;
mod refresh;
mod stats;
mod tables;

pub use blocks::*;
pub use call::*;
pub use events::*;
pub use library::*;
pub use log::*;
pub use lookup::*;
pub use matching::*;
pub use open::*;
pub use record::*;
pub use refresh::*;
pub use stats::*;
pub use tables::*;
