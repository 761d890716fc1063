//! The snapshot that lookups read, and the code that keeps the snapshot current.

mod data;
mod live;

pub use data::{Snapshot, library_indexes};
pub use live::{LiveSnapshot, MAX_QUESTIONS};
