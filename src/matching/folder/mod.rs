//! Folders: what one is, by what is listed below it, and the files that are.
//!
//! [`climb`] is the ladder, [`place`] where a folder stands to those of the libraries, [`below`] its files in pages.

mod asked;
mod below;
mod climb;
mod outcome;
mod place;

pub use asked::{Folders, Held, Invalidated, ListedFile, Place};
pub use below::{FileBelow, files_below};
pub use climb::{climb_by_one_file, climb_folder, climb_whole};
pub use outcome::FolderOutcome;
pub use place::{folder_form, place_among, places_of};
