//! Resolves a folder to its show, season, artist, album or item, by the files that are listed below it.
//!
//! The kinds of match are those of files: (2) files are listed below the folder, (3) they are after mappings, (4) a
//! folder of listed files has the longest common suffix, of two or more components, (5) it has the same name. Confirmed
//! matches are for single files and do not apply.
//!
//! All libraries in scope count together, since a folder may lie above the locations of several. Only fetched libraries
//! count: items missing from an incomplete listing might belong to another show.
//!
//! A suffix match has high confidence only if the folder is the listed one below another root and its name identifies
//! the item ([`folder_root_differs`]).

use std::ops::Deref;

use super::position::{folder_form, folder_positions, rewrite_folder};
use super::resolution::{FolderResolution, FoundFolder};
use super::view::{FolderContents, FolderPosition, Folders};
use crate::mappings::Mappings;
use crate::member::FolderMember;
use crate::model::{Confidence, ItemType, MatchKind, Reason};
use crate::normal::Normal;
use crate::resolution::MAX_CANDIDATES;
use crate::resolver::{Scope, views_in_scope};
use crate::title_evidence::folder_root_differs;

/// Resolves one folder in these views.
pub struct FolderResolver<'v, 'p, V> {
    views: &'v [V],
    scope: Scope,
    pub(super) mappings: &'p Mappings,
    path: &'p Normal<'p>,
    /// The path's folder form.
    pub(super) folder: &'p [u8],
}

impl<'v, 'p, L, V> FolderResolver<'v, 'p, V>
where
    L: Folders + 'v,
    V: Deref<Target = L>,
{
    /// Creates a resolver for `path` with these mappings.
    #[must_use]
    pub fn new(views: &'v [V], scope: Scope, mappings: &'p Mappings, path: &'p Normal<'p>) -> Self {
        Self {
            views,
            scope,
            mappings,
            path,
            folder: folder_form(path),
        }
    }

    /// Resolves the folder by the listings of the fetched libraries.
    #[must_use]
    pub fn resolve(&self) -> FolderResolution<'v> {
        let mut resolution = self.resolve_listed();
        resolution.broken = views_in_scope(self.views, self.scope).any(|(_, view)| view.broken());
        resolution
    }

    /// Resolves the folder in libraries that were never fetched. Valid only if all files below the folder were looked
    /// up.
    #[must_use]
    pub fn resolve_unfetched(&self) -> Option<FolderResolution<'v>> {
        let (sum, match_kind) = self.sum_below(false);
        (!sum.is_empty()).then(|| self.to_resolution(sum, match_kind, Reason::None))
    }

    /// The fetched views in scope, with their indexes.
    pub(super) fn fetched(&self) -> impl Iterator<Item = (usize, &'v L)> {
        views_in_scope(self.views, self.scope).filter(|(_, view)| view.fetched())
    }

    pub(super) fn resolve_listed(&self) -> FolderResolution<'v> {
        let (sum, match_kind) = self.sum_below(true);
        if !sum.is_empty() {
            return self.to_resolution(sum, match_kind, Reason::None);
        }
        let positions = folder_positions(self.views, self.mappings, self.path);
        let resolve_by_suffix = self
            .path
            .is_text()
            .then(|| self.resolve_by_suffix(&positions))
            .flatten();
        resolve_by_suffix.unwrap_or_else(|| FolderResolution {
            reason: self.reason_of_miss(&positions),
            ..FolderResolution::default()
        })
    }

    /// Sums the known content below the folder, or else below the mapped folder. `fetched`: of the fetched libraries,
    /// or of the others.
    fn sum_below(&self, fetched: bool) -> (FolderTotals<'v>, MatchKind) {
        let mut sum = FolderTotals::default();
        self.add_below(fetched, self.folder, false, &mut sum);
        if !sum.is_empty() {
            return (sum, MatchKind::Exact);
        }
        if self.mappings.digest() != 0 {
            self.add_below(fetched, self.folder, true, &mut sum);
        }
        if sum.is_empty() {
            rewrite_folder(self.mappings, self.folder, |folder| {
                self.add_below(fetched, folder, false, &mut sum);
                (!sum.is_empty()).then_some(())
            });
        }
        (sum, MatchKind::Mapped)
    }

    fn add_below(&self, fetched: bool, folder: &[u8], mapped: bool, sum: &mut FolderTotals<'v>) {
        let views = views_in_scope(self.views, self.scope);
        for (library, view) in views.filter(|(_, view)| view.fetched() == fetched) {
            let contents = view.contents(folder, mapped);
            if contents.files > 0 {
                sum.add(library, &contents, true);
                sum.folders.push(FoundFolder {
                    library,
                    form: folder.to_vec(),
                    mapped,
                });
            }
        }
        // With several members, none owns the folder alone, even across libraries.
        if sum.total > 1 {
            sum.members.iter_mut().for_each(|known| known.is_folder = false);
        }
    }

    /// Returns the listed folders with the longest common suffix, their number, and the number of common components.
    /// Libraries that own the folder come before the others, as for files.
    fn longest_suffix(&self, positions: &[FolderPosition]) -> (Vec<FoundFolder>, usize, usize) {
        let (mut rank, mut total) = (0, 0);
        let mut folders: Vec<FoundFolder> = Vec::new();
        for owns in [true, false] {
            let owned = |at: usize| positions[at] >= FolderPosition::Within;
            for (library, view) in self.fetched().filter(|(at, _)| owned(*at) == owns) {
                let mut reached = 0;
                let count = view.folder_suffix_matches(self.folder, rank.max(1), &mut |common, form| {
                    if common > rank {
                        (rank, total) = (common, 0);
                        folders.clear();
                    }
                    reached = common;
                    folders.push(FoundFolder {
                        library,
                        form,
                        mapped: false,
                    });
                });
                if reached == rank {
                    total += count;
                }
            }
            if rank > 0 {
                break;
            }
        }
        folders.truncate(MAX_CANDIDATES);
        (folders, total, rank)
    }

    fn resolve_by_suffix(&self, positions: &[FolderPosition]) -> Option<FolderResolution<'v>> {
        let (folders, total, rank) = self.longest_suffix(positions);
        let first = folders.first()?;
        let contents = folders
            .iter()
            .map(|one| self.views[one.library].contents(&one.form, false));
        let contents: Vec<FolderContents<'v>> = contents.collect();
        let mut sum = FolderTotals::default();
        for (folder, own) in folders.iter().zip(&contents) {
            let same = folders.iter().zip(&contents).filter(|(one, _)| one.form == folder.form);
            let members: usize = same.map(|(_, contents)| contents.total).sum();
            sum.add(folder.library, own, members == 1);
        }
        let is_one = folders.iter().all(|folder| folder.form == first.form) && total == folders.len();
        let only_root_differs = |known: &KnownMember<'v>| {
            let below = Normal::with(&first.form, |form| self.views[known.library].below(form));
            folder_root_differs(&known.member.item, self.folder, &first.form, rank, below)
        };
        let evidence = if positions.iter().any(|position| *position >= FolderPosition::Above) {
            Reason::NotListed
        } else if is_one && sum.total == 1 && sum.members.first().is_some_and(only_root_differs) {
            Reason::OnlyRootDiffers
        } else {
            Reason::NoEvidence
        };
        if !is_one {
            // Any of these folders may be the right one, so their counts would mislead.
            (sum.items, sum.files) = (0, 0);
            if total > folders.len() {
                sum.total = sum.total.max(total);
            }
        }
        sum.folders = folders;
        let match_kind = if rank > 1 {
            MatchKind::Suffix
        } else {
            MatchKind::FileName
        };
        Some(self.to_resolution(sum, match_kind, evidence))
    }

    /// Builds the answer. `evidence` says how well a single member fits, and is then the reason; with several members
    /// the reason says why there are several.
    fn to_resolution(&self, sum: FolderTotals<'v>, match_kind: MatchKind, evidence: Reason) -> FolderResolution<'v> {
        let is_single = sum.total == 1;
        let mut libraries = sum.members.iter().map(|known| known.library);
        let first = libraries.next();
        let reason = if is_single {
            evidence
        } else if self.is_above_locations(&sum) {
            Reason::AboveLocations
        } else if libraries.all(|library| Some(library) == first) {
            Reason::SeveralItems
        } else {
            Reason::SeveralLibraries
        };
        let is_sure = is_single && matches!(evidence, Reason::None | Reason::OnlyRootDiffers);
        let shown = |known: &KnownMember<'v>| known.member.found_item(known.library, known.is_folder);
        let mut found: Vec<_> = sum.members.iter().map(shown).collect();
        found.sort_by_key(|found| (found.library, found.path));
        FolderResolution {
            match_kind,
            confidence: if is_sure { Confidence::High } else { Confidence::Low },
            reason,
            kind: match &found[..] {
                [one] if is_single => one.item.kind,
                _ => ItemType::Other,
            },
            found,
            total: sum.total,
            items: sum.items,
            files: sum.files,
            folders: sum.folders,
            ..FolderResolution::default()
        }
    }

    /// Returns whether all matched folders are above the libraries' locations.
    fn is_above_locations(&self, sum: &FolderTotals<'_>) -> bool {
        let is_above =
            |folder: &FoundFolder| self.views[folder.library].position(&folder.form) == FolderPosition::Above;
        !sum.folders.is_empty() && sum.folders.iter().all(is_above)
    }

    fn reason_of_miss(&self, positions: &[FolderPosition]) -> Reason {
        let views_in_scope = || views_in_scope(self.views, self.scope);
        let best = views_in_scope()
            .map(|(at, _)| positions[at])
            .max()
            .unwrap_or(FolderPosition::Elsewhere);
        let mut theirs = views_in_scope().filter(|(at, _)| positions[*at] == best);
        if theirs.any(|(_, view)| !view.fetched()) {
            return Reason::NotFetched;
        }
        match best {
            FolderPosition::Elsewhere => Reason::NoLocation,
            FolderPosition::Above | FolderPosition::Own => Reason::Empty,
            FolderPosition::Within => Reason::NotListed,
        }
    }
}

/// A show, season, artist, album or item found below a folder, with its library.
struct KnownMember<'v> {
    library: usize,
    member: FolderMember<'v>,
    /// The folder holds nothing else.
    is_folder: bool,
}

/// Sums over several libraries or folders.
#[derive(Default)]
struct FolderTotals<'v> {
    members: Vec<KnownMember<'v>>,
    total: usize,
    items: u64,
    files: u64,
    folders: Vec<FoundFolder>,
}

impl<'v> FolderTotals<'v> {
    fn is_empty(&self) -> bool {
        self.files == 0
    }

    fn add(&mut self, library: usize, contents: &FolderContents<'v>, is_folder: bool) {
        self.items += contents.items;
        self.files += contents.files;
        self.total += contents.total;
        for member in &contents.members {
            let is_same = |known: &&mut KnownMember<'_>| known.library == library && known.member.is_same(member);
            if let Some(known) = self.members.iter_mut().find(is_same) {
                known.member.merge_season(member.season);
                known.is_folder &= is_folder;
                self.total -= 1;
            } else if self.members.len() < MAX_CANDIDATES {
                self.members.push(KnownMember {
                    library,
                    member: *member,
                    is_folder,
                });
            }
        }
    }
}
