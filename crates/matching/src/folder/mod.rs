//! Folders: which item a folder belongs to, and pages of the files below it.
//!
//! [`resolver`] resolves a folder, [`position`] compares it with library locations, [`files`] lists pages of files.

mod files;
mod position;
mod resolution;
mod resolver;
mod view;

pub use files::FolderFile;
pub use position::{folder_form, folder_positions, position_among};
pub use resolution::FolderResolution;
pub use resolver::FolderResolver;
pub use view::{FolderContents, FolderPosition, Folders, Invalidated, ListedFile};
