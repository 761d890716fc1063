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

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Deref;

use smallvec::SmallVec;

use crate::form::{Form, PathBuffer, last_names, lies_at_or_under, lies_under, write_path_below};
use crate::mappings::{Mappings, split_last};
use crate::model::{Confidence, FolderKind, Item, ItemType, LibraryKind, MatchKind, Reason};
use crate::normal::{NormalPath, PathShape, normal_form};
use crate::resolution::{
    FoundItem, GuidRef, ItemRef, LibraryIndex, MAX_CANDIDATES, Resolution, Scope, has_unfetched_of_kind,
    libraries_in_scope,
};

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
#[derive(Clone, Copy, Debug)]
pub struct FolderFile<'v> {
    /// Normal form of the path, translated by the server-to-host mappings if any apply; the sort key of pages.
    pub form: Form<'v>,
    /// The file's item, and the path as listed.
    pub found: FoundItem<'v>,
    /// The item's season or album, without its number.
    pub season: Season<'v>,
    /// Whether the item has more than one file.
    pub item_has_other_files: bool,
}

/// A library with the methods for [`FolderResolver`](crate::FolderResolver). Folders are normal forms without a
/// trailing separator.
pub trait FolderIndex: LibraryIndex {
    /// Calls `each` for the files below a folder, until it returns `false`. The order is that of their normal forms,
    /// starting after the normal form `after`. `is_host_path`: the folder is a host path, so server-to-host rules translate
    /// the listed paths first. The caller sets each item's library.
    fn files_below<'v>(
        &'v self,
        folder: &[u8],
        is_host_path: bool,
        after: Option<&[u8]>,
        each: &mut dyn FnMut(FolderFile<'v>) -> bool,
    );

    /// Calls `each` for the folders of listed files whose last component is `name`, perhaps several times for one folder,
    /// and perhaps for others.
    fn each_folder_named(&self, name: &[u8], each: &mut dyn FnMut(Form<'_>));

    /// Returns whether `is_wanted` returns `true` for the rating key of one of the items with files of a show or artist.
    fn any_item_of_show(&self, show_rating_key: &str, is_wanted: &mut dyn FnMut(&str) -> bool) -> bool;

    /// Returns the folder's position relative to the library's locations, both as the server reports the locations and
    /// as server-to-host rules translate them.
    fn folder_position(&self, folder: &[u8]) -> FolderPosition;
}

/// Returns whether a file is listed below a folder.
pub fn has_files(view: &impl FolderIndex, folder: &[u8], is_host_path: bool) -> bool {
    let mut has_file = false;
    view.files_below(folder, is_host_path, None, &mut |_| {
        has_file = true;
        false
    });
    has_file
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
#[derive(Debug, Default)]
pub struct FolderResolution<'v> {
    /// The shows, artists, seasons, albums or single items below the folder. If more than
    /// [`MAX_CANDIDATES`](crate::MAX_CANDIDATES) folders match by suffix, its total is at least the number of folders.
    pub members: Resolution<'v>,
    /// What the folder contains.
    pub facts: FolderFacts,
    /// The matched folders.
    pub folders: Vec<FoundFolder>,
}

/// What a folder contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FolderFacts {
    /// Show, season, artist or album if the folder belongs to one, or the type of the only item; otherwise
    /// [`ItemType::Other`].
    pub kind: ItemType,
    /// Number of items with a file below the folder; 0 if several folders match by suffix.
    pub items: u64,
    /// Number of files below the folder; 0 if several folders match by suffix.
    pub files: u64,
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
        resolution.members.is_broken = libraries_in_scope(self.libraries, self.scope).any(|(_, view)| view.is_broken());
        resolution
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
        if let Some((totals, match_kind)) = self.find_below() {
            return self.to_resolution(totals, match_kind, Reason::None);
        }
        let positions = folder_positions(self.libraries, self.mappings, self.path, self.kind);
        // A path that is not UTF-8 has no suffix matches.
        let is_text = self.path.is_utf8();
        let by_suffix = is_text.then(|| self.resolve_by_suffix(&positions)).flatten();
        by_suffix.unwrap_or_else(|| {
            let mut missed = FolderResolution::default();
            missed.members.reason = self.miss_reason(&positions);
            missed
        })
    }

    /// Calls `each` with the folder as listed paths may have it, and with whether server-to-host rules translate these paths
    /// first: the folder itself, as a host path, and as each host-to-server rule rewrites it. Returns the first `Some` that
    /// `each` returns.
    fn find_spelling<R>(&self, mut each: impl FnMut(&[u8], bool) -> Option<R>) -> Option<R> {
        let mut found = each(self.folder, false);
        if found.is_none() && self.mappings.has_server_to_host_rules() {
            found = each(self.folder, true);
        }
        found.or_else(|| rewrite_folder(self.mappings, self.path, |folder| each(folder, false)))
    }

    /// Adds up the items below the folder, or below the mapped folder if the folder itself has no items. Also returns
    /// the kind of match.
    fn find_below(&self) -> Option<(FolderTotals<'v>, MatchKind)> {
        self.find_spelling(|folder, is_host_path| {
            let totals = self.total_of(folder, is_host_path, self.fetched_libraries());
            let is_listed = !is_host_path && folder == self.folder;
            let match_kind = if is_listed { MatchKind::Exact } else { MatchKind::Mapped };
            (totals.total() > 0).then_some((totals, match_kind))
        })
    }

    /// Adds up the items below one folder in these libraries. `is_host_path`: the folder is a host path, so server-to-host
    /// rules translate the listed paths.
    fn total_of(
        &self,
        folder: &[u8],
        is_host_path: bool,
        libraries: impl Iterator<Item = (usize, &'v V::Target)>,
    ) -> FolderTotals<'v> {
        let depth = Form::from_folded(folder).rev_components().count();
        let mut totals = FolderTotals::default();
        for (library, view) in libraries {
            let before = totals.total();
            view.files_below(folder, is_host_path, None, &mut |file| {
                totals.add_file(library, &file, depth, self.kind);
                true
            });
            if totals.total() > before {
                totals.folders.push(FoundFolder {
                    library,
                    form: folder.to_vec(),
                    is_host_path,
                });
            }
        }
        if totals.total() > 1 {
            // If the folder has several members, even in different libraries, no member has the whole folder.
            totals
                .members
                .iter_mut()
                .for_each(|found| found.has_whole_folder = false);
        } else if let ([found], None) = (&mut totals.members[..], self.kind)
            && let Some(season) = found.season
            && season.rating_key != found.group_key
        {
            // Without a kind, a season is an answer only if its show has other items elsewhere.
            let (view, mut below) = (&*self.libraries[found.library], HashSet::new());
            view.files_below(folder, is_host_path, None, &mut |file| {
                below.insert(file.found.item.rating_key);
                true
            });
            if !view.any_item_of_show(found.group_key, &mut |key| !below.contains(key)) {
                found.season = None;
            }
        }
        totals
    }

    /// Returns the listed folders with the longest common suffix, each with the index of its library, and the number of
    /// common components. `positions` contains the folder's position in each library. Like a file lookup,
    /// searches the libraries whose locations contain the folder first, and, if there is no match, the other libraries.
    fn longest_suffix(&self, positions: &[FolderPosition]) -> (BTreeSet<(usize, Vec<u8>)>, usize) {
        let (mut components, mut folders) = (0, BTreeSet::new());
        let wanted = Form::from_folded(self.folder);
        let name = wanted.rev_components().next();
        for owns in [true, false] {
            let is_searched = |library: usize| (positions[library] >= FolderPosition::Within) == owns;
            for (library, view) in self.fetched_libraries().filter(|(library, _)| is_searched(*library)) {
                view.each_folder_named(name.map_or(b"", Form::stored), &mut |folder| {
                    let common = folder.common_components(wanted);
                    if common > components {
                        components = common;
                        folders.clear();
                    }
                    if common == components && common > 0 {
                        folders.insert((library, folder.bytes().collect()));
                    }
                });
            }
            if components > 0 {
                break;
            }
        }
        (folders, components)
    }

    /// Resolves the folder by the listed folders with the longest common suffix; `None` if no folder matches.
    fn resolve_by_suffix(&self, positions: &[FolderPosition]) -> Option<FolderResolution<'v>> {
        let (mut folders, components) = self.longest_suffix(positions);
        let folder_count = folders.len();
        if let Some(first_omitted) = folders.iter().nth(MAX_CANDIDATES).cloned() {
            folders.split_off(&first_omitted);
        }
        let (_, matched_form) = folders.first()?;
        let mut totals = FolderTotals::default();
        // The same folder can be in several libraries.
        let forms: BTreeSet<&Vec<u8>> = folders.iter().map(|(_, form)| form).collect();
        for form in forms {
            let has_folder = |library: usize| folders.contains(&(library, form.clone()));
            let libraries = self.fetched_libraries().filter(|(library, _)| has_folder(*library));
            totals.merge(self.total_of(form, false, libraries));
        }
        // The list is one folder if all forms are equal and the list is complete.
        let is_one_folder = folders.iter().all(|(_, form)| form == matched_form) && folder_count == folders.len();
        let only_root_differs = |found: &FolderMember<'v>| {
            let view = &self.libraries[found.library];
            let below = NormalPath::with(matched_form, |form| view.components_below_location(form));
            below > 1 && components >= below
        };
        let is_unfetched_elsewhere = |found: &FolderMember<'v>| {
            has_unfetched_of_kind(self.libraries, self.scope, self.libraries[found.library].kind())
        };
        let member = totals.members.first().filter(|_| is_one_folder && totals.total() == 1);
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
            (totals.facts.items, totals.facts.files) = (0, 0);
        }
        let match_kind = if components > 1 {
            MatchKind::Suffix
        } else {
            MatchKind::FileName
        };
        let mut resolution = self.to_resolution(totals, match_kind, evidence);
        if folder_count > folders.len() {
            resolution.members.total = resolution.members.total.max(folder_count);
        }
        Some(resolution)
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
            !lies_at_or_under(matched_form, &folder) && has_files(view, &folder, false)
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
        let is_single = totals.total() == 1;
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
        let mut found: SmallVec<[FoundItem<'v>; MAX_CANDIDATES]> =
            totals.members.iter().map(FolderMember::found_item).collect();
        found.sort_by_key(|found| (found.library, found.path));
        let kind = match &found[..] {
            [only] if is_single => only.item.kind,
            _ => ItemType::Other,
        };
        let members = Resolution {
            match_kind,
            confidence: if is_certain { Confidence::High } else { Confidence::Low },
            reason,
            total: totals.total(),
            found,
            ..Resolution::default()
        };
        FolderResolution {
            members,
            facts: FolderFacts { kind, ..totals.facts },
            folders: totals.folders,
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

/// A member of a folder: its library, whether it is a show, artist, season or album, and its rating key.
type MemberId<'v> = (usize, bool, &'v str);

/// The items and files below a folder, added up across libraries or matching folders.
#[derive(Default)]
struct FolderTotals<'v> {
    /// The members, at most [`MAX_CANDIDATES`].
    members: Vec<FolderMember<'v>>,
    /// All members with their indexes in `members`; a greater index for members beyond [`MAX_CANDIDATES`].
    indexes: HashMap<MemberId<'v>, usize>,
    /// The items of several files.
    counted: HashSet<(usize, &'v str)>,
    /// The numbers of items and files.
    facts: FolderFacts,
    folders: Vec<FoundFolder>,
}

impl<'v> FolderTotals<'v> {
    /// Returns the number of members.
    fn total(&self) -> usize {
        self.indexes.len()
    }

    /// Adds a file. `depth`: the folder's number of components. `kind`: the members to add.
    fn add_file(&mut self, library: usize, file: &FolderFile<'v>, depth: usize, kind: Option<FolderKind>) {
        self.facts.files += 1;
        let item = &file.found.item;
        if file.item_has_other_files && !self.counted.insert((library, item.rating_key)) {
            return;
        }
        self.facts.items += 1;
        if let Some(member) = FolderMember::new(library, file, depth, kind) {
            self.add_member(member);
        }
    }

    /// Adds a member, or what is new about a known one.
    fn add_member(&mut self, found: FolderMember<'v>) {
        let index = *self.indexes.entry(found.id()).or_insert(self.members.len());
        if let Some(known) = self.members.get_mut(index) {
            known.merge_season(found.season);
            known.has_whole_folder &= found.has_whole_folder;
        } else if index < MAX_CANDIDATES {
            self.members.push(found);
        }
    }

    /// Adds the contents of another folder. If both folders contain a member, counts the member only once.
    fn merge(&mut self, other: Self) {
        self.facts.items += other.facts.items;
        self.facts.files += other.facts.files;
        self.folders.extend(other.folders);
        other.members.into_iter().for_each(|found| self.add_member(found));
        for id in other.indexes.into_keys() {
            self.indexes.entry(id).or_insert(usize::MAX);
        }
    }
}

impl<'v, V: Deref<Target: FolderIndex + 'v>> FolderResolver<'v, '_, V> {
    /// Returns a page of the files below the folder, in the order of their normal forms. The page starts after the
    /// listed path `after`, or with the first file if `after` is `None`. The page has at most `limit` files; more only
    /// if several files share the last normal form. The page is empty unless the folder is listed or mapped.
    /// Check [`crate::LibraryIndex::is_broken`] afterwards: if a segment is damaged, the page is incomplete.
    #[must_use]
    pub fn files(&self, after: Option<&[u8]>, limit: usize) -> Vec<FolderFile<'v>> {
        let folder = self.find_spelling(|folder, is_host_path| {
            let mut libraries = self.fetched_libraries();
            let has_file = libraries.any(|(_, view)| has_files(view, folder, is_host_path));
            has_file.then(|| (folder.to_vec(), is_host_path))
        });
        let Some((folder, mapped)) = folder else {
            return Vec::new();
        };
        let after_form = after.map(|after| match self.mappings.to_host(after).filter(|_| mapped) {
            Some(host_path) => normal_form(&host_path),
            None => normal_form(after),
        });
        let mut files: Vec<FolderFile<'v>> = Vec::new();
        for (library, view) in self.fetched_libraries() {
            let first = files.len();
            view.files_below(&folder, mapped, after_form.as_deref(), &mut |mut file| {
                file.found.library = library;
                let is_full = files.len() - first >= limit;
                if is_full && files.last().is_none_or(|last| last.form.compare(file.form).is_ne()) {
                    return false;
                }
                files.push(file);
                true
            });
        }
        // Each library returned up to `limit` files, so only the first `limit` of all these files are complete.
        files.sort_by(|a, b| a.form.compare(b.form));
        if let Some(last) = files.get(limit.saturating_sub(1)).map(|file| file.form) {
            files.truncate(files.partition_point(|file| file.form.compare(last).is_le()));
        }
        files
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
    rewrite_folder(mappings, path, |folder| {
        for (position, view) in positions.iter_mut().zip(libraries) {
            *position = (*position).max(position_in(view, folder));
        }
        None::<()>
    });
    positions
}

/// Rewrites a folder, as the host spells it, by each matching host-to-server rule in order, and calls `each` with the
/// normal form of each result. Returns the first `Some` that `each` returns; `None` if `each` never returns `Some`.
fn rewrite_folder<R>(
    mappings: &Mappings,
    folder: &NormalPath<'_>,
    mut each: impl FnMut(&[u8]) -> Option<R>,
) -> Option<R> {
    if !mappings.has_host_to_server_rules() {
        return None;
    }
    // Rules match paths below a folder, such as `^/mnt/tv/(.*)`, so this code appends a separator to the folder.
    let raw = folder.raw();
    let has_backslash = PathShape::of(raw).windows && raw.contains(&b'\\');
    let separator: &[u8] = if has_backslash { b"\\" } else { b"/" };
    let without_separator = raw.strip_suffix(separator).unwrap_or(raw);
    NormalPath::with(&[without_separator, separator].concat(), |below| {
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
struct FolderMember<'v> {
    /// Index of its library.
    library: usize,
    /// Whether the folder has no other member.
    has_whole_folder: bool,
    /// The single item, or one of the show's items below the folder.
    item: ItemRef<'v>,
    /// The listed path of `item`.
    path: &'v [u8],
    /// Number of the path's components below the folder.
    components_below: usize,
    /// The rating key of the show or artist of `item`, or of its season or album; empty if the member is `item` itself.
    group_key: &'v str,
    /// The season or album of all the show's items below the folder, if it is part of the show; `None` if there are
    /// several seasons, or if the show has no other files, so that the show itself is the outermost item.
    season: Option<Season<'v>>,
}

impl<'v> FolderMember<'v> {
    /// Creates a member of this kind from a file in a folder of `depth` components; `None` if the item has no such member.
    fn new(library: usize, file: &FolderFile<'v>, depth: usize, kind: Option<FolderKind>) -> Option<Self> {
        let (item, season) = (file.found.item, file.season);
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
        is_member.then(|| Self {
            library,
            has_whole_folder: true,
            item,
            path: file.found.path,
            components_below: file.form.rev_components().count().saturating_sub(depth),
            group_key,
            season,
        })
    }

    /// Returns the member's identity: that of its group, or of its item.
    fn id(&self) -> MemberId<'v> {
        let is_item = self.group_key.is_empty();
        let key = if is_item { self.item.rating_key } else { self.group_key };
        (self.library, !is_item, key)
    }

    /// Adds the season of another item in the show. Sets `season` to `None` if the seasons differ.
    fn merge_season(&mut self, other: Option<Season<'v>>) {
        self.season = self
            .season
            .filter(|season| other.is_some_and(|other| season.is_same(&other)));
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

    /// Returns the item that represents the member in an answer, and its path. A single item represents itself. If the folder
    /// has no other member, returns the common season or album if there is one, with the folder's path. Otherwise returns
    /// the show or artist, or the season or album if the show or artist has no key, with the path of the file or folder,
    /// directly in the folder, that contains its files.
    fn found_item(&self) -> FoundItem<'v> {
        let is_season = |season: &Season<'_>| self.has_whole_folder || season.rating_key == self.group_key;
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
        FoundItem::new(
            self.library,
            item,
            self.folder_path(usize::from(!self.has_whole_folder)),
        )
    }
}
