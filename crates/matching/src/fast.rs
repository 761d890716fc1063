//! Fast lookups. Most are answered by one entry of the index; the others go through [`Resolver`].

use std::ops::Deref;

use super::normal::{FoldBuffer, FoldedPath, Normal};
use super::resolution::LookupHit;
use super::resolver::{Resolver, Scope, first_entry};
use super::view::{FirstEntry, View};

/// Maximum number of paths per call of [`Resolver::fast_lookup_all`].
pub const GROUP: usize = 16;

/// Buffers for the folded paths of a group, reused between groups: clearing them is a measurable part of a lookup.
pub struct FoldBuffers([FoldBuffer; GROUP]);

impl Default for FoldBuffers {
    fn default() -> Self {
        Self([FoldBuffer::EMPTY; GROUP])
    }
}

impl<'v, L, V> Resolver<'v, '_, V>
where
    L: View + 'v,
    V: Deref<Target = L>,
{
    /// Returns the item of a path if it is the only match, has high confidence and is verified.
    #[inline]
    #[must_use]
    pub fn fast_lookup(&self, path: &[u8]) -> Option<LookupHit<'v>> {
        let mut buffer = FoldBuffer::EMPTY;
        let folded = FoldedPath::of(path, &mut buffer);
        let first = match (self.only_view(), folded.hash()) {
            (Some((_, view)), Some(hash)) => view.first(hash, folded.kept(path)),
            _ => FirstEntry::default(),
        };
        self.fast_lookup_folded(path, &folded, first)
    }

    /// [`Resolver::fast_lookup`] for up to [`GROUP`] paths; `each` gets the results in order. Prefetches the memory for
    /// all paths before it reads the first, so that the cache misses overlap.
    #[inline]
    pub fn fast_lookup_all(
        &self,
        paths: &[&[u8]],
        buffers: &mut FoldBuffers,
        mut each: impl FnMut(Option<LookupHit<'v>>),
    ) {
        let mut folded = [FoldedPath::Other; GROUP];
        let mut firsts = [FirstEntry::default(); GROUP];
        let view = self.only_view().map(|(_, view)| view);
        for ((path, buffer), folded) in paths.iter().zip(&mut buffers.0).zip(&mut folded) {
            *folded = FoldedPath::of(path, buffer);
            if let (Some(view), Some(hash)) = (view, folded.hash()) {
                view.prefetch(hash);
            }
        }
        for ((path, folded), first) in paths.iter().zip(&folded).zip(&mut firsts) {
            if let (Some(view), Some(hash)) = (view, folded.hash()) {
                *first = view.first(hash, folded.kept(path));
            }
        }
        for ((path, folded), first) in paths.iter().zip(&folded).zip(firsts) {
            let is_path = !path.is_empty();
            each(is_path.then(|| self.fast_lookup_folded(path, folded, first)).flatten());
        }
    }

    /// [`Resolver::fast_lookup`] for a folded path. `first`: first entry of its hash in the only view.
    #[inline]
    fn fast_lookup_folded(&self, path: &[u8], folded: &FoldedPath<'_>, first: FirstEntry) -> Option<LookupHit<'v>> {
        match folded {
            FoldedPath::Form(normal) => return self.fast_lookup_normal(normal, first),
            FoldedPath::Spelling(spelling) => {
                if let Some((library, view)) = self.only_view()
                    && let Some(hit) = view.unique_hit_spelled(spelling, first)
                {
                    return Some(LookupHit::new(library, hit));
                }
            }
            FoldedPath::Other => {}
        }
        Normal::with(path, |path| {
            let first = self.only_view().map(|(_, view)| first_entry(view, path));
            self.fast_lookup_normal(path, first.unwrap_or_default())
        })
    }

    #[inline]
    fn fast_lookup_normal(&self, path: &Normal<'_>, first: FirstEntry) -> Option<LookupHit<'v>> {
        if let Some((library, view)) = self.only_view()
            && let Some(hit) = view.unique_hit(path, first)
        {
            return Some(LookupHit::new(library, hit));
        }
        self.fast_lookup_resolved(path)
    }

    #[inline(never)]
    fn fast_lookup_resolved(&self, path: &Normal<'_>) -> Option<LookupHit<'v>> {
        // If a single library can own the path and lists it, its item is the answer.
        if self.scope == Scope::All && !self.mappings.has_host_rules() {
            let mut owners = (0..self.views.len()).filter(|library| self.views[*library].owns(path));
            if let (Some(library), None) = (owners.next(), owners.next())
                && let view = &*self.views[library]
                && let Some(hit) = view.unique_hit(path, first_entry(view, path))
            {
                return Some(LookupHit::new(library, hit));
            }
        }
        self.with_path(*path).fast_lookup()
    }
}
