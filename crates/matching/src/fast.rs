//! Fast lookups, most of which need only a single index entry. All other lookups use the full [`Resolver`].

use std::ops::Deref;

use super::library_index::{FirstEntry, LibraryIndex, Scope};
use super::normal::{FoldBuffer, FoldedPath, NormalPath};
use super::redundant_components::may_have_redundant_components;
use super::resolution::LookupHit;
use super::resolver::{Resolver, first_entry_of};

/// Maximum number of paths per call of [`Resolver::fast_lookup_batch`].
pub const MAX_BATCH: usize = 16;

/// Buffers for the folded paths in one call of [`Resolver::fast_lookup_batch`]. Callers reuse the buffers, because
/// zeroing new buffers would slow down lookups measurably.
pub struct FoldBuffers([FoldBuffer; MAX_BATCH]);

impl Default for FoldBuffers {
    fn default() -> Self {
        Self([FoldBuffer::ZEROED; MAX_BATCH])
    }
}

impl<'v, V: Deref<Target: LibraryIndex + 'v>> Resolver<'v, '_, V> {
    /// Returns the item for a path if the item is the only match, has high confidence and is verified; otherwise
    /// `None`.
    #[inline]
    #[must_use]
    pub fn fast_lookup(&self, path: &[u8]) -> Option<LookupHit<'v>> {
        let mut buffer = FoldBuffer::ZEROED;
        let folded = FoldedPath::of(path, &mut buffer);
        let entry = match (self.only_library(), folded.hash()) {
            (Some((_, view)), Some(hash)) => view.first_entry(hash, folded.stored_length(path)),
            _ => FirstEntry::default(),
        };
        self.fast_lookup_folded(path, &folded, entry)
    }

    /// Looks up at most [`MAX_BATCH`] paths. Passes each path's item to `each`, in order, if the item is the only
    /// match, has high confidence and is verified; otherwise `None`. Prefetches the memory for all paths first, so that
    /// cache misses overlap.
    #[inline]
    pub fn fast_lookup_batch(
        &self,
        paths: &[&[u8]],
        buffers: &mut FoldBuffers,
        mut each: impl FnMut(Option<LookupHit<'v>>),
    ) {
        let mut folded_paths = [FoldedPath::NotFolded; MAX_BATCH];
        let mut entries = [FirstEntry::default(); MAX_BATCH];
        let view = self.only_library().map(|(_, view)| view);
        for ((path, buffer), folded) in paths.iter().zip(&mut buffers.0).zip(&mut folded_paths) {
            *folded = FoldedPath::of(path, buffer);
            if let (Some(view), Some(hash)) = (view, folded.hash()) {
                view.prefetch(hash);
            }
        }
        for ((path, folded), entry) in paths.iter().zip(&folded_paths).zip(&mut entries) {
            if let (Some(view), Some(hash)) = (view, folded.hash()) {
                *entry = view.first_entry(hash, folded.stored_length(path));
            }
        }
        for ((path, folded), entry) in paths.iter().zip(&folded_paths).zip(entries) {
            let is_valid = !path.is_empty();
            each(is_valid.then(|| self.fast_lookup_folded(path, folded, entry)).flatten());
        }
    }

    /// Looks up a folded path; `None` unless the only match has high confidence and is verified. `entry` is the first
    /// entry with the path's hash in the only library in scope; a default entry if several libraries are in scope.
    #[inline]
    fn fast_lookup_folded(&self, path: &[u8], folded: &FoldedPath<'_>, entry: FirstEntry) -> Option<LookupHit<'v>> {
        match folded {
            FoldedPath::Ascii(normal) => {
                if let Some((library, view)) = self.only_library()
                    && let Some(hit) = view.unique_hit(normal, entry)
                {
                    return Some(LookupHit::new(library, hit));
                }
                if !may_have_redundant_components(path) {
                    return self.fast_lookup_by_all_kinds(normal);
                }
            }
            FoldedPath::ExactBytes(spelling) => {
                if let Some((library, view)) = self.only_library()
                    && let Some(hit) = view.unique_hit_by_bytes(spelling, entry)
                {
                    return Some(LookupHit::new(library, hit));
                }
            }
            FoldedPath::NotFolded => {}
        }
        NormalPath::with(path, |path| {
            if let Some((library, view)) = self.only_library()
                && let Some(hit) = view.unique_hit(path, first_entry_of(view, path))
            {
                return Some(LookupHit::new(library, hit));
            }
            self.fast_lookup_by_all_kinds(path)
        })
    }

    /// Looks up a path that a single index entry cannot answer, such as one whose hash several entries have, by all
    /// kinds of match in all libraries in scope. `None` unless the only match has high confidence and is verified.
    /// Never inlined, so that the fast path stays small.
    #[inline(never)]
    fn fast_lookup_by_all_kinds(&self, path: &NormalPath<'_>) -> Option<LookupHit<'v>> {
        // If the path is in the locations of only one library, and this library lists the path, its item is the answer.
        if self.scope == Scope::All && !self.mappings.has_host_to_server_rules() {
            let mut owners = (0..self.libraries.len()).filter(|library| self.libraries[*library].owns(path));
            if let (Some(library), None) = (owners.next(), owners.next())
                && let view = &*self.libraries[library]
                && let Some(hit) = view.unique_hit(path, first_entry_of(view, path))
            {
                return Some(LookupHit::new(library, hit));
            }
        }
        self.path_resolver(*path).fast_lookup()
    }
}
