//! The snapshot that lookups read, and the code that keeps the snapshot current.

mod catch_up;
mod data;
mod live;
mod loading;
mod lost_segments;

pub use data::{Snapshot, library_indexes, listing_age};
pub use live::LiveSnapshot;
