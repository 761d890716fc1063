//! Folder lookups: the item that a folder belongs to, and the files below a folder.

mod files;
mod folder_index;
mod folder_resolution;
mod folder_resolver;
mod position;

pub use folder_index::{FolderContents, FolderFile, FolderIndex, FolderPosition};
pub use folder_resolution::FolderResolution;
pub use folder_resolver::FolderResolver;
pub use position::{folder_form, folder_positions, nearest_position};
