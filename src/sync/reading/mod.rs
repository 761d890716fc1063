//! One handle's access to its user's data: lookups, selection of libraries by name, and invalidation.

mod invalidate;
mod lookup;
mod reading_state;
mod selection;
mod viewpoint;

pub use invalidate::{MAX_RETRIES, cleared_repeatedly_error};
pub use lookup::segments_lost_error;
pub use reading_state::{EvictionPin, IndexReader};
pub use selection::{Resolved, Selection, Selector, never_fetched_error};
