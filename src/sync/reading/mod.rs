//! One handle's access to its user's data: lookups, selection of libraries by name, and invalidation.

mod eviction_pin;
mod invalidate;
mod lookup;
mod read_items;
mod reading_state;
mod selection;
mod viewpoint;

pub use eviction_pin::EvictionPin;
pub use invalidate::{MAX_RETRIES, cleared_repeatedly_error};
pub use read_items::segments_lost_error;
pub use reading_state::IndexReader;
pub use selection::{Resolved, Selection, Selector, never_fetched_error};
