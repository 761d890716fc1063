//! The snapshot that lookups read, and the code that keeps the snapshot current.

mod catch_up;
mod data;
mod live;
mod loading;
mod lost_segments;

pub use data::{Snapshot, age, places};
pub use live::LiveSnapshot;
