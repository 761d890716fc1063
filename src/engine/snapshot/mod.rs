//! The snapshot of the store that lookups read: keeps it current, looks up paths in it, and selects libraries.

mod catch_up;
mod data;
mod eviction_pin;
mod invalidate;
mod items;
mod loading;
mod lookup;
mod lost_segments;
mod reading;
mod selection;
mod telling;
mod viewer;

pub use data::{Snapshot, age, places};
pub use eviction_pin::EvictionPin;
pub use invalidate::{MAX_RETRIES, cleared_again};
pub use reading::Reading;
pub use selection::{Resolved, Selection, Selector, nothing_known};
