//! The exported functions: a file a family, in the order of the header. Comments are written for C readers.

#[cfg(test)]
mod all_tests;
mod blocks;
mod call;
mod disk;
mod edit;
mod events;
mod facts;
mod feed;
mod items;
mod library;
mod log;
mod lookup;
mod matching;
mod open;
mod paths;
mod record;
mod refresh;
mod shared;
mod stats;
mod tables;

pub use blocks::*;
pub use call::*;
pub use disk::*;
pub use edit::*;
pub use events::*;
pub use facts::*;
pub use feed::*;
pub use items::*;
pub use library::*;
pub use log::*;
pub use lookup::*;
pub use matching::*;
pub use open::*;
pub use paths::*;
pub use record::*;
pub use refresh::*;
pub use shared::*;
pub use stats::*;
pub use tables::*;
