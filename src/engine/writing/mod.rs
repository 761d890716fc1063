//! Maintains a store: builds, opens and compacts segments, records matches, removes dead rows and unused files, and
//! limits the folder's size.

mod folder_limit;
mod listing_segments;
mod store_writer;

pub use folder_limit::FolderLimit;
pub use listing_segments::{ListingDraft, ListingSegments};
pub use store_writer::StoreWriter;
