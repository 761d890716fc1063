//! Path to item: pure, without I/O, clock or lock. What it asks of a library is the trait [`View`].
//!
//! [`normal`] makes spellings comparable, [`form`] walks them by component, [`Mappings`] rewrites them, and the ladder
//! ([`climb`], [`fast_lookup`]) finds the item; [`propose`] finds the mapping that is missing.

mod beside;
mod candidates;
mod fast;
mod folder;
mod form;
mod ladder;
mod lower_name;
mod mappings;
mod member;
pub mod normal;
mod numbered;
mod outcome;
pub mod point;
pub mod propose;
mod relation;
mod rewrite;
mod telling;
pub mod text;
mod view;
mod words;

pub use fast::{GROUP, Rooms, fast_lookup, fast_lookup_all};
pub use folder::{
    FileBelow, FolderOutcome, Folders, Held, Invalidated, ListedFile, Place, climb_by_one_file, climb_folder,
    climb_whole, files_below, folder_form, place_among, places_of,
};
pub use form::{Fold, Form, lies_under};
pub use ladder::{Scope, climb, climb_normal};
pub use lower_name::LowerName;
pub use mappings::Mappings;
pub use member::{Member, Season};
pub use normal::{Normal, Spelling};
pub use outcome::{Found, GuidRef, ItemRef, LIMIT, Outcome};
pub use relation::Relation;
pub use view::{First, Stamp, View};

#[cfg(test)]
mod tests;
