//! Resolves paths to items, in pure functions without I/O, clocks or locks. The trait [`LibraryIndex`] is the interface
//! to a library.
//!
//! [`normal`] computes normal forms, [`Form`] iterates over components, [`Mappings`] rewrites paths, [`Resolver`] finds
//! the item, and [`Samples`] suggest missing mappings.

// Only this repository calls these functions, so they need no `#[must_use]`.
#![allow(clippy::must_use_candidate)]

#[macro_use]
pub mod error;

pub mod byte_string;
mod candidates;
mod folder;
mod form;
mod guid;
mod mappings;
pub mod model;
pub mod normal;
pub mod path_search;
mod resolution;
mod resolver;
mod same_file;
mod words;

pub use folder::{
    FolderFacts, FolderFile, FolderIndex, FolderPosition, FolderResolution, FolderResolver, Season, can_have,
    folder_form, folder_positions, has_files, nearest_position,
};
pub use form::{FoldRule, Form, Relation, lies_at_or_under, lies_under};
pub use guid::{ACCEPTED_SPELLINGS, RequestedGuid};
pub use mappings::{Mapping, MappingKind, Mappings, Pattern, ProposedMapping, Samples, SizeEvidence};
pub use normal::{ExactBytes, MAX_PATH, NormalPath, PathShape, remove_redundant_components};
pub use resolution::{
    EntryTime, FoundItem, GuidRef, HitDoubt, ItemRef, LibraryIndex, MAX_CANDIDATES, OnlyEntry, Presence, Resolution,
    Scope,
};
pub use resolver::{FoldBuffers, MAX_BATCH, QueriedSize, Resolver, owns};
pub use same_file::has_replaced_characters;
pub use words::{fold_title, has_all_words, likeness, name_hash};

#[cfg(test)]
mod tests;
