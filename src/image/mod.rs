//! What a hit reads: the immutable [`Image`] of a listing, the [`Overlay`] of what changed since, the [`LibraryView`] that
//! joins them for `matching`, and the [`CounterPage`] that tells whether all of that is still current.

mod chains;
mod counters;
mod entry_overlay;
mod file;
mod folders;
mod log;
mod overlay;
mod page;
mod view;

pub use counters::State;
pub use entry_overlay::{EntryOverlay, Overlaid};
pub use file::{
    Entries, EntriesBuilder, FirstEntry, Image, ImageBuilder, ImageKind, ImageMeta, Kept, log_unusable, put_varint,
    varint,
};
pub use overlay::{CAPACITY as OVERLAY_CAPACITY, Change};
pub use page::{CounterPage, HOLDS_MS};
pub use view::{LibraryFacts, LibraryView};

#[cfg(test)]
mod tests;
