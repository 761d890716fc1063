//! What answers are made of: a snapshot of the store, kept up to date; the fast lookups in it; which library is meant.

mod asked;
mod catch_up;
mod invalidate;
mod items;
mod limit;
mod loading;
mod lookup;
mod selection;
mod snapshot;

pub use catch_up::Reading;
pub use invalidate::{PERSISTENCE, cleared_again};
pub use limit::Wanted;
pub use selection::{Resolved, Selection, Selector};
pub use snapshot::{Snapshot, age, places};
