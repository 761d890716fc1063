//! The data that one handle reads: the libraries of its user. Selects libraries by name, and invalidates their content.

mod eviction_pin;
mod invalidate;
mod items;
mod lookup;
mod selection;
mod state;
mod viewpoint;

pub use eviction_pin::EvictionPin;
pub use invalidate::{MAX_RETRIES, cleared_again};
pub use items::segments_lost;
pub use selection::{Resolved, Selection, Selector, nothing_known};
pub use state::Reading;
