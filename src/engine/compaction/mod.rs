//! What keeps a store small and quick: images made, opened and compacted, matches recorded, dead rows and files swept; the limit
//! on its folder.

mod images;
mod in_memory;
mod limit;
mod upkeep;

pub use images::ListingSegments;
pub use limit::Limit;
pub use upkeep::Maintenance;
