//! What answers are made of: a snapshot of the store, kept up to date; the fast lookups in it; which library is meant.

mod asked;
mod catch_up;
mod data;
mod invalidate;
mod items;
mod limit;
mod loading;
mod lookup;
mod selection;

pub use catch_up::Reading;
pub use data::{Snapshot, age, places};
pub use invalidate::{MAX_RETRIES, cleared_again};
pub use limit::EvictionPin;
pub use selection::{Resolved, Selection, Selector};
