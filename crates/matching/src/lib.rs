//! Resolves paths to items, in pure functions without I/O, clocks or locks. The trait [`LibraryIndex`] is the interface
//! to a library.
//!
//! [`normal`] computes normal forms, [`Form`] iterates over components, [`Mappings`] rewrites paths, [`Resolver`] finds
//! the item, and [`mapping_proposals`] suggests missing mappings.

// Only this repository calls these functions, so they need no `#[must_use]`.
#![allow(clippy::must_use_candidate)]

#[macro_use]
mod enum_names;

pub mod byte_string;
mod candidates;
pub mod error;
mod fast;
mod folder;
mod form;
mod guid;
mod library_index;
mod likeness;
mod lookalikes;
pub mod mapping_proposals;
mod mappings;
mod member;
pub mod model;
pub mod normal;
pub mod path_search;
mod path_shape;
mod redundant_components;
mod relation;
mod resolution;
mod resolver;
mod rewrite;
mod same_file;
pub mod text;
mod words;

pub use fast::{FoldBuffers, MAX_BATCH};
pub use folder::{
    FolderContents, FolderFile, FolderIndex, FolderPosition, FolderResolution, FolderResolver, folder_form,
    folder_positions, nearest_position,
};
pub use form::{FoldRule, Form, lies_at_or_under, lies_under};
pub use guid::{ACCEPTED_SPELLINGS, RequestedGuid};
pub use library_index::{EntryTime, FirstEntry, LibraryIndex, Scope};
pub use likeness::{likeness, name_hash};
pub use lookalikes::has_replaced_characters;
pub use mappings::{Mapping, MappingKind, Mappings, Pattern};
pub use member::{FolderMember, Season};
pub use normal::{ExactBytes, MAX_PATH, NormalPath};
pub use path_shape::PathShape;
pub use redundant_components::remove_redundant_components;
pub use relation::Relation;
pub use resolution::{FoundItem, GuidRef, HitDoubt, ItemRef, MAX_CANDIDATES, Presence, Resolution};
pub use resolver::Resolver;

#[cfg(test)]
mod tests;
