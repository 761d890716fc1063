//! Resolves a folder to the show, season, artist, album or item whose files are listed below the folder.
//!
//! Folders have the same kinds of match as files, except confirmed matches: (2) files are listed below the folder, (3)
//! files are listed below the mapped folder, (4) a listed file's folder has the longest common suffix, of two or more
//! components, (5) a listed file's folder has the same name.
//!
//! The result combines all libraries in scope, since a folder can contain locations of several libraries. The resolver
//! searches only fetched libraries, because items missing from an incomplete listing might belong to another show.
//!
//! A suffix match has low confidence, unless the sizes of its files show that it is this folder.

use std::ops::Deref;

use super::folder_index::{FolderContents, FolderIndex, FolderPosition};
use super::folder_resolution::{FolderResolution, FoundFolder};
use super::position::{folder_form, folder_positions, rewrite_folder};
use crate::form::{PathBuffer, last_names, lies_at_or_under, write_path_below};
use crate::library_index::{LibraryIndex, Scope, has_unfetched_of_kind, libraries_in_scope};
use crate::mappings::Mappings;
use crate::member::FolderMember;
use crate::model::{Confidence, ItemType, MatchKind, Reason};
use crate::normal::NormalPath;
use crate::resolution::MAX_CANDIDATES;

/// Resolves one folder in a list of libraries.
pub struct FolderResolver<'v, 'p, V> {
    libraries: &'v [V],
    scope: Scope,
    pub(super) mappings: &'p Mappings,
    path: &'p NormalPath<'p>,
    /// Normal form of the path, without trailing separators.
    pub(super) folder: &'p [u8],
}

impl<'v, 'p, V: Deref<Target: FolderIndex + 'v>> FolderResolver<'v, 'p, V> {
    /// Creates a resolver for the folder `path`. `libraries` has one entry per library; `scope` selects the libraries
    /// to search.
    #[must_use]
    pub fn new(libraries: &'v [V], scope: Scope, mappings: &'p Mappings, path: &'p NormalPath<'p>) -> Self {
        Self {
            libraries,
            scope,
            mappings,
            path,
            folder: folder_form(path),
        }
    }

    /// Resolves the folder in the fetched libraries in scope, and checks for damaged segments.
    #[must_use]
    pub fn resolve(&self) -> FolderResolution<'v> {
        let mut resolution = self.resolve_listed();
        resolution.is_broken = libraries_in_scope(self.libraries, self.scope).any(|(_, view)| view.is_broken());
        resolution
    }

    /// Resolves the folder in libraries that were never fetched; `None` if no known file is below the folder. The
    /// caller must first search the server for all files below the folder, because the index has too few of these
    /// libraries' items.
    #[must_use]
    pub fn resolve_unfetched(&self) -> Option<FolderResolution<'v>> {
        let (totals, match_kind) = self.total_below(false);
        (!totals.is_empty()).then(|| self.to_resolution(totals, match_kind, Reason::None))
    }

    /// Iterates over the fetched libraries in scope, with their indexes.
    pub(super) fn fetched_libraries(&self) -> impl Iterator<Item = (usize, &'v V::Target)> {
        libraries_in_scope(self.libraries, self.scope).filter(|(_, view)| view.is_fetched())
    }

    /// Resolves the folder in the fetched libraries in scope, without checking for damaged segments.
    pub(super) fn resolve_listed(&self) -> FolderResolution<'v> {
        let (totals, match_kind) = self.total_below(true);
        if !totals.is_empty() {
            return self.to_resolution(totals, match_kind, Reason::None);
        }
        let positions = folder_positions(self.libraries, self.mappings, self.path);
        // A path that is not UTF-8 has no suffix matches.
        let is_text = self.path.is_utf8();
        let by_suffix = is_text.then(|| self.resolve_by_suffix(&positions)).flatten();
        by_suffix.unwrap_or_else(|| FolderResolution {
            reason: self.miss_reason(&positions),
            ..FolderResolution::default()
        })
    }

    /// Adds up the items below the folder, or below the mapped folder if the folder itself has no items. Also returns
    /// the kind of match, which has no meaning if there are no items. Searches the fetched libraries if `is_fetched` is
    /// true, and otherwise the unfetched libraries.
    fn total_below(&self, is_fetched: bool) -> (FolderTotals<'v>, MatchKind) {
        // `false` compares with the listed paths, and `true` with the listed paths as server-to-host rules map them.
        let mut totals = FolderTotals::default();
        self.add_below(is_fetched, self.folder, false, &mut totals);
        if !totals.is_empty() {
            return (totals, MatchKind::Exact);
        }
        if self.mappings.has_server_to_host_rules() {
            self.add_below(is_fetched, self.folder, true, &mut totals);
        }
        if totals.is_empty() {
            rewrite_folder(self.mappings, self.folder, |folder| {
                self.add_below(is_fetched, folder, false, &mut totals);
                (!totals.is_empty()).then_some(())
            });
        }
        (totals, MatchKind::Mapped)
    }

    /// Adds the items below one folder to the totals. Searches the fetched libraries if `fetched` is true, and
    /// otherwise the unfetched libraries. `is_host_path`: the folder is a host path, so server-to-host rules translate
    /// the listed paths.
    fn add_below(&self, fetched: bool, folder: &[u8], is_host_path: bool, totals: &mut FolderTotals<'v>) {
        let libraries = libraries_in_scope(self.libraries, self.scope);
        for (library, view) in libraries.filter(|(_, view)| view.is_fetched() == fetched) {
            let contents = view.folder_contents(folder, is_host_path);
            if contents.files > 0 {
                totals.add(library, &contents, true);
                totals.folders.push(FoundFolder {
                    library,
                    form: folder.to_vec(),
                    is_host_path,
                });
            }
        }
        // If the folder has several members, even in different libraries, no member has the whole folder.
        if totals.total > 1 {
            totals
                .members
                .iter_mut()
                .for_each(|member| member.has_whole_folder = false);
        }
    }

    /// Returns the listed folders with the longest common suffix (at most [`MAX_CANDIDATES`]), their total number, and
    /// the number of common components. `positions` contains the folder's position in each library. Like a file lookup,
    /// searches the libraries whose locations contain the folder first, and, if there is no match, the other libraries.
    fn longest_suffix(&self, positions: &[FolderPosition]) -> (Vec<FoundFolder>, usize, usize) {
        let (mut components, mut total) = (0, 0);
        let mut folders: Vec<FoundFolder> = Vec::new();
        for owns in [true, false] {
            let is_owned = |library: usize| positions[library] >= FolderPosition::Within;
            for (library, view) in self
                .fetched_libraries()
                .filter(|(library, _)| is_owned(*library) == owns)
            {
                let mut view_components = 0;
                let count = view.folder_suffix_matches(self.folder, components.max(1), &mut |common, form| {
                    if common > components {
                        (components, total) = (common, 0);
                        folders.clear();
                    }
                    view_components = common;
                    folders.push(FoundFolder {
                        library,
                        form,
                        is_host_path: false,
                    });
                });
                if view_components == components {
                    total += count;
                }
            }
            if components > 0 {
                break;
            }
        }
        folders.truncate(MAX_CANDIDATES);
        (folders, total, components)
    }

    /// Resolves the folder by the listed folders with the longest common suffix; `None` if no folder matches.
    fn resolve_by_suffix(&self, positions: &[FolderPosition]) -> Option<FolderResolution<'v>> {
        let (folders, folder_count, components) = self.longest_suffix(positions);
        let matched_form = &folders.first()?.form;
        let contents = folders
            .iter()
            .map(|folder| self.libraries[folder.library].folder_contents(&folder.form, false));
        let contents: Vec<FolderContents<'v>> = contents.collect();
        let mut totals = FolderTotals::default();
        for (folder, folder_contents) in folders.iter().zip(&contents) {
            // A member has its whole folder if it is the folder's only member in all libraries.
            let same_form = folders
                .iter()
                .zip(&contents)
                .filter(|(other, _)| other.form == folder.form);
            let members: usize = same_form.map(|(_, contents)| contents.total).sum();
            totals.add(folder.library, folder_contents, members == 1);
        }
        // The list is one folder if all forms are equal and the list is complete.
        let is_one_folder = folders.iter().all(|folder| folder.form == *matched_form) && folder_count == folders.len();
        let only_root_differs = |found: &FoundMember<'v>| {
            let view = &self.libraries[found.library];
            let below = NormalPath::with(matched_form, |form| view.components_below_location(form));
            below > 1 && components >= below
        };
        let is_unfetched_elsewhere = |found: &FoundMember<'v>| {
            has_unfetched_of_kind(self.libraries, self.scope, self.libraries[found.library].kind())
        };
        let member = totals.members.first().filter(|_| is_one_folder && totals.total == 1);
        // Plex should list a folder in a location under its own path, so a suffix match for it is uncertain.
        let owns = |library: usize| positions[library] >= FolderPosition::Above;
        let mut in_scope = libraries_in_scope(self.libraries, self.scope);
        let evidence = if in_scope.any(|(library, view)| owns(library) && !view.is_fetched()) {
            Reason::NotFetched
        } else if (0..positions.len()).any(owns) {
            Reason::NotListed
        } else if !member.is_some_and(only_root_differs) || self.has_other_root(matched_form) {
            Reason::SameName
        } else if member.is_some_and(is_unfetched_elsewhere) {
            Reason::NotFetched
        } else {
            Reason::OnlyRootDiffers
        };
        if !is_one_folder {
            // The requested folder may be any one of the matching folders, so their total counts would be misleading.
            (totals.items, totals.files) = (0, 0);
            if folder_count > folders.len() {
                totals.total = totals.total.max(folder_count);
            }
        }
        totals.folders = folders;
        let match_kind = if components > 1 {
            MatchKind::Suffix
        } else {
            MatchKind::FileName
        };
        Some(self.to_resolution(totals, match_kind, evidence))
    }

    /// Returns whether files are listed below another folder that may differ from the requested folder only in the
    /// root: its path is that of a location, followed by last components of the requested folder. Searches all fetched
    /// libraries: one out of scope may have more components in common.
    fn has_other_root(&self, matched_form: &[u8]) -> bool {
        let names = last_names(self.folder, usize::MAX);
        let is_listed = |view: &V::Target, location: &[u8], count: usize| {
            let mut folder = PathBuffer::new();
            write_path_below(location, &names[..count], &mut folder);
            // A folder that contains the matched folder is not another one.
            !lies_at_or_under(matched_form, &folder) && view.folder_contents(&folder, false).files > 0
        };
        let mut libraries = self
            .libraries
            .iter()
            .map(|view| &**view)
            .filter(|view| view.is_fetched());
        libraries.any(|view| {
            view.locations()
                .any(|location| (1..=names.len()).any(|count| is_listed(view, location, count)))
        })
    }

    /// Builds the answer from the totals. For a single member, the reason is `evidence`, and confidence is high if the
    /// folder is listed or mapped. For several members, the reason explains why there are
    /// several.
    fn to_resolution(&self, totals: FolderTotals<'v>, match_kind: MatchKind, evidence: Reason) -> FolderResolution<'v> {
        let is_single = totals.total == 1;
        let mut libraries = totals.members.iter().map(|found| found.library);
        let first_library = libraries.next();
        let reason = if is_single {
            evidence
        } else if self.is_above_locations(&totals) {
            Reason::AboveLocations
        } else if libraries.all(|library| Some(library) == first_library) {
            Reason::SeveralItems
        } else {
            Reason::SeveralLibraries
        };
        let is_certain = is_single && evidence == Reason::None;
        let to_item = |found: &FoundMember<'v>| found.member.found_item(found.library, found.has_whole_folder);
        let mut items: Vec<_> = totals.members.iter().map(to_item).collect();
        items.sort_by_key(|found| (found.library, found.path));
        FolderResolution {
            match_kind,
            confidence: if is_certain { Confidence::High } else { Confidence::Low },
            reason,
            kind: match &items[..] {
                [only] if is_single => only.item.kind,
                _ => ItemType::Other,
            },
            found: items,
            total: totals.total,
            items: totals.items,
            files: totals.files,
            folders: totals.folders,
            ..FolderResolution::default()
        }
    }

    /// Returns whether each matched folder is above a location of its library; `false` if no folder matched.
    fn is_above_locations(&self, totals: &FolderTotals<'_>) -> bool {
        let is_above = |folder: &FoundFolder| {
            self.libraries[folder.library].folder_position(&folder.form) == FolderPosition::Above
        };
        !totals.folders.is_empty() && totals.folders.iter().all(is_above)
    }

    /// Returns why no listed folder matches, judged by the libraries with the nearest locations.
    fn miss_reason(&self, positions: &[FolderPosition]) -> Reason {
        let in_scope = || libraries_in_scope(self.libraries, self.scope);
        let nearest = in_scope()
            .map(|(library, _)| positions[library])
            .max()
            .unwrap_or(FolderPosition::Elsewhere);
        let mut nearest_libraries = in_scope().filter(|(library, _)| positions[*library] == nearest);
        if nearest_libraries.any(|(_, view)| !view.is_fetched()) {
            return Reason::NotFetched;
        }
        match nearest {
            FolderPosition::Elsewhere => Reason::NoLocation,
            FolderPosition::Above | FolderPosition::Own => Reason::Empty,
            FolderPosition::Within => Reason::NotListed,
        }
    }
}

/// A show, season, artist, album or item below a folder, with its library.
struct FoundMember<'v> {
    library: usize,
    member: FolderMember<'v>,
    /// Whether the folder has no other member.
    has_whole_folder: bool,
}

/// The items and files below a folder, added up across libraries or matching folders.
#[derive(Default)]
struct FolderTotals<'v> {
    /// The members, at most [`MAX_CANDIDATES`].
    members: Vec<FoundMember<'v>>,
    /// Number of members, including members beyond [`MAX_CANDIDATES`].
    total: usize,
    items: u64,
    files: u64,
    folders: Vec<FoundFolder>,
}

impl<'v> FolderTotals<'v> {
    fn is_empty(&self) -> bool {
        self.files == 0
    }

    /// Adds the contents of one folder. If several folders contain a member, counts the member only once.
    /// `has_whole_folder`: the folder has no other member.
    fn add(&mut self, library: usize, contents: &FolderContents<'v>, has_whole_folder: bool) {
        self.items += contents.items;
        self.files += contents.files;
        self.total += contents.total;
        for member in &contents.members {
            let is_same = |found: &&mut FoundMember<'_>| found.library == library && found.member.is_same(member);
            if let Some(found) = self.members.iter_mut().find(is_same) {
                found.member.merge_season(member.season);
                found.has_whole_folder &= has_whole_folder;
                self.total -= 1;
            } else if self.members.len() < MAX_CANDIDATES {
                self.members.push(FoundMember {
                    library,
                    member: *member,
                    has_whole_folder,
                });
            }
        }
    }
}
