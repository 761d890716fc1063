//! The snapshot of the store that lookups read: keeps it current, looks up paths in it, and selects libraries.

mod catch_up;
mod data;
mod invalidate;
mod items;
mod limit;
mod loading;
mod lookup;
mod reading;
mod rebuild;
mod selection;
mod telling;
mod viewer;

pub use data::{Snapshot, age, places};
pub use invalidate::{MAX_RETRIES, cleared_again};
pub use limit::EvictionPin;
pub use reading::Reading;
pub use selection::{Resolved, Selection, Selector, nothing_known};
