//! Maintenance of a store: builds, opens and compacts segments, records matches, sweeps dead rows and files, and limits
//! the size of the folder.

mod limit;
mod listings;
mod upkeep;

pub use limit::FolderLimit;
pub use listings::ListingSegments;
pub use upkeep::Maintenance;
