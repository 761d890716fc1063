//! What keeps a store small and quick: images made, opened and compacted, matches recorded, dead rows and files swept.

mod images;
mod in_memory;
mod upkeep;

pub use images::Images;
pub use upkeep::Maintenance;
