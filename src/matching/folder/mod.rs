//! Folders: what one is, by what is listed below it, and the files that are.
//!
//! [`resolver`] finds it, [`position`] compares folders with those of the libraries, [`files`] gives pages of files.

mod files;
mod position;
mod resolution;
mod resolver;
mod view;

pub use files::FolderFile;
pub use position::{folder_form, place_among, places_of};
pub use resolution::FolderResolution;
pub use resolver::FolderResolver;
pub use view::{FolderContents, FolderPosition, Folders, Invalidated, ListedFile};
