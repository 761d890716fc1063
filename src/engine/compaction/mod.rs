//! What keeps a store small and quick: segments made, opened and compacted, matches recorded, dead rows and files swept; the limit
//! on its folder.

mod in_memory;
mod limit;
mod listings;
mod upkeep;

pub use limit::FolderLimit;
pub use listings::ListingSegments;
pub use upkeep::Maintenance;
