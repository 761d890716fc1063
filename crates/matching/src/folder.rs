//! Resolves a folder to the show, season, artist, album or item whose files are listed below the folder, and lists the
//! files below a folder.
//!
//! Folders have the same kinds of match as files, except confirmed matches: (2) files are listed below the folder, (3)
//! files are listed below the mapped folder, (4) a listed file's folder has the longest common suffix, of two or more
//! components, (5) a listed file's folder has the same name.
//!
//! The result combines all libraries in scope, since a folder can contain locations of several libraries. The resolver
//! searches only fetched libraries, because items missing from an incomplete listing might belong to another show.
//!
//! A suffix match has low confidence, unless the sizes of its files show that it is this folder.
//!
//! A folder's members are the shows, artists and single items with files below the folder. If the server does not
//! tell a show's or artist's rating key, each of its seasons or albums is a member. A query for a [`FolderKind`] has
//! only members of this kind.

use std::ops::Deref;

use crate::form::{PathBuffer, last_names, lies_at_or_under, lies_under, write_path_below};
use crate::mappings::{Mappings, split_last};
use crate::model::{Confidence, FolderKind, Item, ItemType, LibraryKind, MatchKind, Reason};
use crate::normal::{NormalPath, PathShape, normal_form};
use crate::resolution::{
    FoundItem, GuidRef, ItemRef, LibraryIndex, MAX_CANDIDATES, Scope, has_unfetched_of_kind, libraries_in_scope,
};

/// The listed contents of a folder.
#[derive(Debug, Default)]
pub struct FolderContents<'v> {
    /// Number of items with a file below the folder.
    pub items: u64,
    /// Number of files below the folder.
    pub files: u64,
    /// The shows, artists or items below the folder, at most [`MAX_CANDIDATES`](crate::MAX_CANDIDATES).
    pub members: Vec<FolderMember<'v>>,
    /// Number of members, including members beyond [`MAX_CANDIDATES`](crate::MAX_CANDIDATES).
    pub total: usize,
}

/// The relation of a folder to a library's locations. If several apply, the last of these variants is the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FolderPosition {
    /// Outside all locations.
    Elsewhere,
    /// Contains a location.
    Above,
    /// Inside a location.
    Within,
    /// Equal to a location.
    Own,
}

/// A file below a folder.
#[derive(Clone, Debug)]
pub struct FolderFile<'v> {
    /// Normal form of the path, translated by the server-to-host mappings if any apply; the sort key of pages.
    pub form: Vec<u8>,
    /// The file's item, and the path as listed.
    pub found: FoundItem<'v>,
    /// Whether the item has more than one file.
    pub item_has_other_files: bool,
}

/// A library with the methods for [`FolderResolver`](crate::FolderResolver). Folders are normal forms without a
/// trailing separator.
pub trait FolderIndex: LibraryIndex {
    /// Returns the listed contents of a folder. `is_host_path`: the folder is a host path, so server-to-host rules
    /// translate the listed paths before the comparison. `kind`: the members to return.
    fn folder_contents<'v>(&'v self, folder: &[u8], is_host_path: bool, kind: Option<FolderKind>)
    -> FolderContents<'v>;

    /// Returns the rating keys of at most `limit` items that are doubted, or withheld by a doubted path. `below`
    /// restricts the result to items with a file below a folder; its `bool` says whether server-to-host rules translate
    /// the listed paths. If `below` is `None`, the result includes items without files.
    fn invalidated_items(&self, below: Option<(&[u8], bool)>, mappings: &Mappings, limit: usize) -> Vec<String>;

    /// Finds the folders of listed files that share the longest suffix with `folder`, of at least `min_components`
    /// components (at least one). Calls `each` with the number of common components and a folder, for at most
    /// [`MAX_CANDIDATES`](crate::MAX_CANDIDATES) folders. Returns the total number of folders found.
    fn folder_suffix_matches(
        &self,
        folder: &[u8],
        min_components: usize,
        each: &mut dyn FnMut(usize, Vec<u8>),
    ) -> usize;

    /// Calls `each` for the files below a folder. The order is that of their normal forms, starting after the normal
    /// form `after`. Stops after `limit` files, but includes all files with the last normal form. `is_host_path`: the
    /// folder is a host path, so server-to-host rules translate the listed paths first. The caller sets each item's
    /// library.
    fn files_below<'v>(
        &'v self,
        folder: &[u8],
        is_host_path: bool,
        after: Option<&[u8]>,
        limit: usize,
        each: &mut dyn FnMut(FolderFile<'v>),
    );

    /// Returns the folder's position relative to the library's locations, both as the server reports the locations and
    /// as server-to-host rules translate them.
    fn folder_position(&self, folder: &[u8]) -> FolderPosition;
}

/// A matched folder of one library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFolder {
    /// Index of the library among the resolver's libraries.
    pub library: usize,
    /// Normal form of the folder.
    pub form: Vec<u8>,
    /// Whether `form` is a host path, translated by server-to-host rules.
    pub is_host_path: bool,
}

/// The answer for a folder.
#[derive(Debug)]
pub struct FolderResolution<'v> {
    /// The kind of match.
    pub match_kind: MatchKind,
    /// Confidence; `None` if there is no match.
    pub confidence: Confidence,
    /// The reason for a miss or for several items, or the evidence for a suffix match.
    pub reason: Reason,
    /// The shows, artists, seasons, albums or single items below the folder, at most
    /// [`MAX_CANDIDATES`](crate::MAX_CANDIDATES).
    pub found: Vec<FoundItem<'v>>,
    /// Number of shows, artists or items below the folder. If more than [`MAX_CANDIDATES`](crate::MAX_CANDIDATES)
    /// folders match by suffix, at least the number of folders.
    pub total: usize,
    /// Number of items with a file below the folder; 0 if several folders match by suffix.
    pub items: u64,
    /// Number of files below the folder; 0 if several folders match by suffix.
    pub files: u64,
    /// Type of the single match; otherwise [`ItemType::Other`].
    pub kind: ItemType,
    /// The matched folders.
    pub folders: Vec<FoundFolder>,
    /// Whether a segment is damaged, so that the caller must rebuild the segment and resolve the folder again.
    pub is_broken: bool,
}

impl Default for FolderResolution<'_> {
    fn default() -> Self {
        Self {
            match_kind: MatchKind::None,
            confidence: Confidence::None,
            reason: Reason::None,
            found: Vec::new(),
            total: 0,
            items: 0,
            files: 0,
            kind: ItemType::Other,
            folders: Vec::new(),
            is_broken: false,
        }
    }
}

/// Resolves one folder in a list of libraries.
pub struct FolderResolver<'v, 'p, V> {
    libraries: &'v [V],
    scope: Scope,
    mappings: &'p Mappings,
    path: &'p NormalPath<'p>,
    /// Normal form of the path, without trailing separators.
    folder: &'p [u8],
    /// The kind of item to find; `None` for the outermost item whose files are all below the folder.
    kind: Option<FolderKind>,
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
            kind: None,
        }
    }

    /// Makes the resolver find items of this kind.
    #[must_use]
    pub fn of_kind(mut self, kind: Option<FolderKind>) -> Self {
        self.kind = kind;
        self
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

    /// Iterates over the libraries in scope that can have the kind of item, with their indexes.
    fn libraries(&self) -> impl Iterator<Item = (usize, &'v V::Target)> {
        let kind = self.kind;
        libraries_in_scope(self.libraries, self.scope).filter(move |(_, view)| can_have(view.kind(), kind))
    }

    /// Iterates over those of these libraries that are fetched.
    fn fetched_libraries(&self) -> impl Iterator<Item = (usize, &'v V::Target)> {
        self.libraries().filter(|(_, view)| view.is_fetched())
    }

    /// Resolves the folder in the fetched libraries in scope, without checking for damaged segments.
    fn resolve_listed(&self) -> FolderResolution<'v> {
        let (totals, match_kind) = self.total_below(true);
        if !totals.is_empty() {
            return self.to_resolution(totals, match_kind, Reason::None);
        }
        let positions = folder_positions(self.libraries, self.mappings, self.path, self.kind);
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
        for (library, view) in self.libraries().filter(|(_, view)| view.is_fetched() == fetched) {
            let contents = view.folder_contents(folder, is_host_path, self.kind);
            if contents.total > 0 {
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
            .map(|folder| self.libraries[folder.library].folder_contents(&folder.form, false, self.kind));
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
        let evidence = if self
            .libraries()
            .any(|(library, view)| owns(library) && !view.is_fetched())
        {
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
            !lies_at_or_under(matched_form, &folder) && view.folder_contents(&folder, false, None).files > 0
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
        let nearest = self
            .libraries()
            .map(|(library, _)| positions[library])
            .max()
            .unwrap_or(FolderPosition::Elsewhere);
        let mut nearest_libraries = self.libraries().filter(|(library, _)| positions[*library] == nearest);
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
        self.total == 0
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

impl<'v, V: Deref<Target: FolderIndex + 'v>> FolderResolver<'v, '_, V> {
    /// Returns a page of the files below the folder, in the order of their normal forms. The page starts after the
    /// listed path `after`, or with the first file if `after` is `None`. The page has at most `limit` files; more only
    /// if several files share the last normal form. The page is empty unless the folder matches with high confidence.
    /// Check [`crate::LibraryIndex::is_broken`] afterwards: if a segment is damaged, the page is incomplete.
    #[must_use]
    pub fn files(&self, after: Option<&[u8]>, limit: usize) -> Vec<FolderFile<'v>> {
        let Some((folder, mapped)) = self.find_listed_folder() else {
            return Vec::new();
        };
        let after_form = after.map(|after| match self.mappings.to_host(after).filter(|_| mapped) {
            Some(host_path) => normal_form(&host_path),
            None => normal_form(after),
        });
        let mut files: Vec<FolderFile<'v>> = Vec::new();
        for (library, view) in self.fetched_libraries() {
            view.files_below(&folder, mapped, after_form.as_deref(), limit, &mut |mut file| {
                file.found.library = library;
                files.push(file);
            });
        }
        // Each library returned up to `limit` files, so only the first `limit` of all these files are complete.
        files.sort_by(|a, b| a.form.cmp(&b.form));
        if let Some(last_form) = files.get(limit.saturating_sub(1)).map(|file| file.form.clone()) {
            files.truncate(files.partition_point(|file| file.form <= last_form));
        }
        files
    }

    /// Returns the normal form of the folder in the listing, and whether this form is a host path, translated by
    /// server-to-host rules. `None` unless the folder matches with high confidence.
    fn find_listed_folder(&self) -> Option<(Vec<u8>, bool)> {
        // `mapped`: the folder is a host path, so server-to-host rules translate the listed paths first.
        let has_files = |folder: &[u8], mapped: bool| {
            self.fetched_libraries().any(|(_, view)| {
                let mut has_file = false;
                view.files_below(folder, mapped, None, 1, &mut |_| has_file = true);
                has_file
            })
        };
        if has_files(self.folder, false) {
            return Some((self.folder.to_vec(), false));
        }
        if self.mappings.has_server_to_host_rules() && has_files(self.folder, true) {
            return Some((self.folder.to_vec(), true));
        }
        let rewritten = rewrite_folder(self.mappings, self.folder, |folder| {
            has_files(folder, false).then(|| (folder.to_vec(), false))
        });
        rewritten.or_else(|| {
            let mut resolution = self.resolve_listed();
            let is_certain = resolution.confidence == Confidence::High;
            let folder = resolution.folders.pop().filter(|_| is_certain)?;
            Some((folder.form, folder.is_host_path))
        })
    }
}

/// Returns whether a library of this kind can have the kind of item.
#[must_use]
pub fn can_have(library: LibraryKind, kind: Option<FolderKind>) -> bool {
    kind.is_none_or(|kind| kind.library() == library)
}

/// Returns the normal form of a folder's path; an empty string for the root folder.
#[must_use]
pub fn folder_form<'p>(path: &NormalPath<'p>) -> &'p [u8] {
    path.form().strip_suffix(b"/").unwrap_or(path.form())
}

/// Returns, for each library in `libraries`, whether the folder equals a location of the library, lies in one, contains
/// one, or is outside all of them, as are the folders of libraries that cannot have the `kind` of item. If mappings
/// rewrite the folder, returns the nearest of the resulting positions.
#[must_use]
pub fn folder_positions<V: Deref<Target: FolderIndex>>(
    libraries: &[V],
    mappings: &Mappings,
    path: &NormalPath<'_>,
    kind: Option<FolderKind>,
) -> Vec<FolderPosition> {
    let folder = folder_form(path);
    let position_in = |view: &V, folder: &[u8]| {
        if can_have(view.kind(), kind) {
            view.folder_position(folder)
        } else {
            FolderPosition::Elsewhere
        }
    };
    let mut positions: Vec<FolderPosition> = libraries.iter().map(|view| position_in(view, folder)).collect();
    rewrite_folder(mappings, folder, |folder| {
        for (position, view) in positions.iter_mut().zip(libraries) {
            *position = (*position).max(position_in(view, folder));
        }
        None::<()>
    });
    positions
}

/// Rewrites a folder by each matching host-to-server rule in order, and calls `each` with each result. Returns the
/// first `Some` that `each` returns; `None` if `each` never returns `Some`. All folders are in normal form.
fn rewrite_folder<R>(mappings: &Mappings, folder: &[u8], mut each: impl FnMut(&[u8]) -> Option<R>) -> Option<R> {
    if !mappings.has_host_to_server_rules() {
        return None;
    }
    // Rules match paths below a folder, such as `^/mnt/tv/(.*)`, so this code appends a separator to the folder.
    NormalPath::with(&[folder, b"/"].concat(), |below| {
        mappings.to_server(below, |path| NormalPath::with(path, |path| each(folder_form(path))))
    })
}

/// Returns whether the folder equals a location, lies in one, contains one, or is outside all locations. The first of
/// these that applies to any location is the result. The folder and the locations are in normal form, and the folder
/// has no trailing separator.
#[must_use]
pub fn nearest_position<'f>(folder: &[u8], locations: impl Iterator<Item = &'f [u8]>) -> FolderPosition {
    // Without its trailing separator, the root folder is an empty string.
    let ancestor: &[u8] = if folder.is_empty() { b"/" } else { folder };
    let position = |location: &[u8]| {
        if lies_under(folder, location) {
            FolderPosition::Within
        } else if location == ancestor {
            FolderPosition::Own
        } else if lies_under(location, ancestor) {
            FolderPosition::Above
        } else {
            FolderPosition::Elsewhere
        }
    };
    locations.map(position).max().unwrap_or(FolderPosition::Elsewhere)
}

/// A season or album, with the fields that Plex repeats in each episode or track.
#[derive(Clone, Copy, Debug)]
pub struct Season<'v> {
    /// Season number; -1 for an album or for a season without a number.
    pub number: i32,
    /// Rating key; empty if unknown, as in shows with hidden seasons.
    pub rating_key: &'v str,
    /// Title.
    pub title: &'v str,
    /// GUID in Plex's `guid` attribute.
    pub guid: GuidRef<'v>,
}

impl<'v> Season<'v> {
    /// No season.
    pub const NONE: Self = Self {
        number: -1,
        rating_key: "",
        title: "",
        guid: GuidRef::NONE,
    };

    /// Returns an item's season or album. The number is -1, because [`FolderMember::new`] sets the number.
    #[must_use]
    pub fn of(item: &'v Item) -> Self {
        Self {
            number: -1,
            rating_key: &item.season_rating_key,
            title: &item.season_title,
            guid: GuidRef::Text(&item.season_guid),
        }
    }

    /// Returns whether two seasons of one show are the same. Compares the rating keys, or the numbers if both rating
    /// keys are empty.
    pub fn is_same(&self, other: &Self) -> bool {
        self.rating_key == other.rating_key && (!self.rating_key.is_empty() || self.number == other.number)
    }
}

/// A show or artist (or a season or album whose show or artist has no key) that has files below a folder, represented
/// by one of these files' items; or a single item without a show.
#[derive(Clone, Copy, Debug)]
pub struct FolderMember<'v> {
    /// The single item, or one of the show's items below the folder.
    pub item: ItemRef<'v>,
    /// The listed path of `item`.
    pub path: &'v [u8],
    /// Number of the path's components below the folder.
    pub components_below: usize,
    /// The rating key of the show or artist of `item`, or of its season or album; empty if the member is `item` itself.
    pub group_key: &'v str,
    /// The season or album of all the show's items below the folder, if it is part of the show; `None` if there are
    /// several seasons, or if the show has no other files, so that the show itself is the outermost item.
    pub season: Option<Season<'v>>,
}

impl<'v> FolderMember<'v> {
    /// Creates a member of this kind from an item and its season or album; `None` if the item has no such member.
    /// `path`: the item's listed path, which has `components_below` components below the folder.
    #[must_use]
    pub fn new(
        item: ItemRef<'v>,
        season: Season<'v>,
        path: &'v [u8],
        components_below: usize,
        kind: Option<FolderKind>,
    ) -> Option<Self> {
        // A track has the disc number in `item.season`, so only an episode has a season number.
        let number = if item.kind == ItemType::Episode {
            item.season
        } else {
            -1
        };
        let season = Season { number, ..season };
        let (group_key, season) = match kind {
            Some(FolderKind::Show | FolderKind::Artist) => (item.show_rating_key, None),
            Some(FolderKind::Season | FolderKind::Album) => (season.rating_key, Some(season)),
            Some(FolderKind::Movie) => ("", None),
            None if item.show_rating_key.is_empty() => (season.rating_key, Some(season)),
            None => (item.show_rating_key, Some(season)),
        };
        let is_member = kind.is_none_or(|kind| kind == FolderKind::Movie || !group_key.is_empty());
        is_member.then_some(Self {
            item,
            path,
            components_below,
            group_key,
            season,
        })
    }

    /// Adds the season of another item in the show. Sets `season` to `None` if the seasons differ.
    pub fn merge_season(&mut self, other: Option<Season<'v>>) {
        self.season = self
            .season
            .filter(|season| other.is_some_and(|other| season.is_same(&other)));
    }

    /// Returns whether two members are the same show or the same single item.
    pub fn is_same(&self, other: &Self) -> bool {
        self.group_key == other.group_key
            && (!self.group_key.is_empty() || self.item.rating_key == other.item.rating_key)
    }

    /// Returns the folder's path as the server spells it, extended by the next `extra` components of the member's path.
    fn folder_path(&self, extra: usize) -> &'v [u8] {
        let windows = PathShape::of(self.path).windows;
        let mut remaining = self.components_below.saturating_sub(extra);
        let mut folder = self.path;
        while remaining > 0 || folder.ends_with(b"/.") || (windows && folder.ends_with(br"\.")) {
            let (parent, name) = split_last(folder, windows);
            if name.is_empty() {
                break;
            }
            remaining -= usize::from(name != b".");
            folder = parent;
        }
        if !folder.is_empty() {
            return folder;
        }
        // The folder is the root folder, which consists only of separators.
        let is_separator = |byte: &&u8| **byte == b'/' || (windows && **byte == b'\\');
        &self.path[..self.path.iter().take_while(is_separator).count()]
    }

    /// Returns the item that represents the member in an answer, and its path; `library` is the index of its library. A
    /// single item represents itself. `has_whole_folder` means that the folder has no other member. Then returns the
    /// common season or album if there is one, with the folder's path. Otherwise returns the show or artist, or the
    /// season or album if the show or artist has no key, with the path of the file or folder, directly in the folder,
    /// that contains its files.
    pub fn found_item(&self, library: usize, has_whole_folder: bool) -> FoundItem<'v> {
        let is_season = |season: &Season<'_>| has_whole_folder || season.rating_key == self.group_key;
        let season = self.season.filter(is_season).unwrap_or(Season::NONE);
        let is_track = self.item.kind == ItemType::Track;
        let item = if self.group_key.is_empty() {
            self.item
        } else if season.rating_key.is_empty() {
            ItemRef {
                kind: if is_track { ItemType::Artist } else { ItemType::Show },
                title: self.item.show_title,
                guid: self.item.show_guid,
                season: season.number,
                key_only: false,
                ..ItemRef::key_only(self.group_key)
            }
        } else {
            ItemRef {
                kind: if is_track { ItemType::Album } else { ItemType::Season },
                title: season.title,
                guid: season.guid,
                show_title: self.item.show_title,
                show_rating_key: self.item.show_rating_key,
                show_guid: self.item.show_guid,
                season: season.number,
                key_only: false,
                ..ItemRef::key_only(season.rating_key)
            }
        };
        FoundItem::new(library, item, self.folder_path(usize::from(!has_whole_folder)))
    }
}
