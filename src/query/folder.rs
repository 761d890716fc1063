//! Answers folder queries: finds the show, season, artist, album or item for a folder, and
//! the pages of its listed files.

use std::cell::Cell;
use std::sync::Mutex;

use super::answer::Answer;
use super::ask::{Assessment, QueryContext, QueryKind, QueryState};
use super::explain::explain_folder;
use super::queries::Queries;
use crate::engine::{Selection, library_indexes};
use crate::error::{Result, Status};
use crate::matching::normal::unify_separators;
use crate::matching::{
    FolderFile, FolderIndex, FolderPosition, FolderResolution, FolderResolver, Form, FoundItem, LibraryIndex,
    MAX_CANDIDATES, Mappings, NormalPath, PathShape, Presence, QueriedSize, Resolution, Resolver, folder_positions,
};
use crate::model::{Confidence, FolderKind, MatchKind, Reason};
use crate::platform::clock::Deadline;
use crate::platform::files::{is_gone, path_from_bytes};
use crate::platform::fork::lock;
use crate::platform::thread::on_workers;
use crate::sync::{Call, FileSize, ItemToVerify, SearchTarget, segments_lost_error};

/// A query for the item that a folder belongs to.
struct FolderQuery<'p> {
    path: &'p NormalPath<'p>,
    /// The kind of item to find; `None` for the outermost item whose files are all below the folder.
    kind: Option<FolderKind>,
    /// Whether the query must not read the store, but only segments and memtables.
    at_once: bool,
}

/// The result of searching the snapshot for a folder.
#[derive(Default)]
struct FoundFolder<'t> {
    outcome: FolderResolution<'t>,
    /// Whether the path is a listed file, not a folder.
    is_file: bool,
    /// Whether the size of a file must be read, which can make the query wait.
    needs_size: bool,
}

impl Queries {
    /// Finds the item that a folder belongs to, in as many steps as necessary, and passes the answer to `then`.
    /// `kind`: the kind of item to find; with `None`, the outermost item whose files are all below the folder.
    pub fn match_folder<R>(
        &self,
        call: &Call<'_>,
        path: &[u8],
        kind: Option<FolderKind>,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        self.display.check_path(path)?;
        NormalPath::with(path, |path| {
            let query = FolderQuery {
                path,
                kind,
                at_once: false,
            };
            self.ask(&mut self.reading.eviction_pin(), call, &query, then)
        })
    }

    /// Finds the item that a folder belongs to in the current snapshot, without waiting. Returns `then` unused in `Err`
    /// if the files below the folder do not belong to a single item or show, or if the answer requires waiting.
    pub fn match_folder_at_once<R, F>(
        &self,
        call: &Call<'_>,
        path: &[u8],
        kind: Option<FolderKind>,
        then: F,
    ) -> std::result::Result<Result<R>, F>
    where
        F: FnOnce(&Answer<'_>) -> Result<R>,
    {
        let snapshot = self.reading.snapshot();
        let Some(scope) = snapshot.scope(call.library).ok().flatten() else {
            return Err(then);
        };
        if self.display.check_path(path).is_err() {
            return Err(then);
        }
        NormalPath::with(path, |path| {
            let query = FolderQuery {
                path,
                kind,
                at_once: true,
            };
            self.answer_at_once(call, &snapshot, scope, &query, then)
        })
    }
}

impl FolderQuery<'_> {
    fn positions(&self, context: &QueryContext<'_>) -> Vec<FolderPosition> {
        folder_positions(
            &context.snapshot.libraries,
            &context.queries.reading.mappings,
            self.path,
            self.kind,
        )
    }
}

/// Number of files of a folder whose sizes are compared.
const MAX_COMPARED: usize = 16;

impl FolderQuery<'_> {
    /// Raises the confidence of a folder under another root to high if a file in it has the name and the size of a listed
    /// file, and no file has another size. Lowers that of a folder whose files are listed only in another spelling if a file
    /// has another size.
    fn compare_sizes(&self, context: &QueryContext<'_>, found: &mut FoundFolder<'_>) {
        let outcome = &mut found.outcome;
        let [folder] = &outcome.folders[..] else { return };
        let is_listed = outcome.members.match_kind.is_by_plex();
        let has_other_root =
            !self.at_once && matches!(outcome.members.reason, Reason::OnlyRootDiffers | Reason::SameName);
        if outcome.members.total != 1 || !(is_listed || has_other_root) || context.call.file_size != FileSize::Read {
            return;
        }
        let (libraries, queries) = (&context.snapshot.libraries, context.queries);
        let mappings = &queries.reading.mappings;
        let resolver = Resolver::new(libraries, context.scope, mappings);
        let view = &libraries[folder.library];
        let depth = Form::from_folded(&folder.form).rev_components().count();
        let (mut is_spelled, mut is_confirmed, mut is_contradicted) = (false, false, false);
        let needs_size = Cell::new(false);
        let mut compared = 0;
        view.files_below(&folder.form, folder.is_host_path, None, &mut |file| {
            compared += 1;
            if compared > MAX_COMPARED {
                return false;
            }
            let below = file.form.rev_components().count().saturating_sub(depth);
            let host = mappings.to_host(file.found.path).filter(|_| folder.is_host_path);
            let listed = host.as_deref().unwrap_or(file.found.path);
            let mut path = [self.path.raw(), last_components(listed, below)].join(&b'/');
            if PathShape::of(listed).windows && !PathShape::of(self.path.raw()).windows {
                unify_separators(&mut path);
            }
            let size = Cell::new(None);
            let read = || {
                needs_size.set(self.at_once);
                size.set((!self.at_once).then(|| queries.size_of(&path, context.call.deadline)));
                size.get()
            };
            let mut resolution = Resolution::default();
            NormalPath::with(&path, |path| {
                resolver.resolve_normal(path, QueriedSize::Read(&read), None, false, &mut resolution);
            });
            let single = resolution.single();
            let is_at_path = resolution.match_kind.is_by_plex();
            let is_this_file = single.is_some_and(|single| single.path == file.found.path);
            let is_this_item = || single.is_some_and(|single| single.item.rating_key == file.found.item.rating_key);
            // Of a path that is recorded, listed or mapped in this spelling, no size is read.
            is_spelled |= size.get().is_none() && (is_at_path || is_this_item());
            is_confirmed |= is_this_file && resolution.is_by_size;
            is_contradicted |= resolution.reason == Reason::SizeDiffers;
            !is_spelled && !needs_size.get()
        });
        found.needs_size = needs_size.get();
        if is_spelled {
            // A disk may have another folder of another spelling, but this is not it.
        } else if is_contradicted {
            (outcome.members.reason, outcome.members.confidence) = (Reason::SizeDiffers, Confidence::Low);
        } else if is_confirmed && !is_listed {
            (outcome.members.reason, outcome.members.confidence) = (Reason::SameFile, Confidence::High);
        }
    }
}

/// Returns the last `count` components of a listed path, as the server spells them.
fn last_components(path: &[u8], count: usize) -> &[u8] {
    let windows = PathShape::of(path).windows;
    let mut separators = path.iter().enumerate().rev();
    let is_separator = |byte: u8| byte == b'/' || windows && byte == b'\\';
    let begin = separators
        .by_ref()
        .filter(|(_, byte)| is_separator(**byte))
        .nth(count.saturating_sub(1));
    begin.map_or(path, |(at, _)| &path[at + 1..])
}

impl QueryKind for FolderQuery<'_> {
    type Found<'t> = FoundFolder<'t>;
    const VERIFIES_FIRST: bool = false;

    /// Resolves the folder in the listings.
    fn find<'t>(&self, context: &QueryContext<'t>, found: &mut FoundFolder<'t>) -> Result<()> {
        let (libraries, mappings) = (&context.snapshot.libraries, &context.queries.reading.mappings);
        let resolver = FolderResolver::new(libraries, context.scope, mappings, self.path).of_kind(self.kind);
        found.outcome = resolver.resolve();
        self.compare_sizes(context, found);
        if self.at_once {
            return Ok(());
        }
        if found.outcome.members.match_kind == MatchKind::None {
            let mut file = Resolution::default();
            Resolver::new(libraries, context.scope, mappings).resolve_normal(
                self.path,
                QueriedSize::UNKNOWN,
                None,
                false,
                &mut file,
            );
            found.is_file = file.match_kind.is_by_plex();
        }
        Ok(())
    }

    /// Assesses the result. A folder is missing if no file is listed below the folder or the mapped folder.
    fn assess(&self, context: &QueryContext<'_>, found: &FoundFolder<'_>) -> Assessment {
        let is_listed = found.outcome.members.match_kind.is_by_plex();
        Assessment {
            needs_rebuild: found.outcome.members.is_broken || context.snapshot.is_incomplete,
            // A folder without listed files may be new.
            is_missing: !found.is_file && !is_listed,
            is_final_if_fresh: false,
            is_final_without_store: is_listed && found.outcome.members.total == 1 && !found.needs_size,
        }
    }

    fn each_found_library(found: &FoundFolder<'_>, each: &mut dyn FnMut(usize)) {
        found.outcome.folders.iter().for_each(|folder| each(folder.library));
    }

    /// Returns, for each library, whether the library has a location at, above or below the folder.
    fn owner_flags(&self, context: &QueryContext<'_>) -> Vec<bool> {
        let positions = self.positions(context).into_iter();
        positions.map(|position| position > FolderPosition::Elsewhere).collect()
    }

    /// Returns the invalidated items below the folder if the folder matches with high confidence. Returns at most
    /// [`MAX_CANDIDATES`] items, which one request can verify.
    fn unverified_items(&self, context: &QueryContext<'_>, found: &FoundFolder<'_>) -> Result<Vec<ItemToVerify>> {
        let outcome = &found.outcome;
        let mut unverified = Vec::new();
        let mappings = &context.queries.reading.mappings;
        let is_certain = outcome.members.match_kind.is_by_plex() || outcome.members.confidence == Confidence::High;
        for folder in outcome.folders.iter().filter(|_| is_certain) {
            let limit = MAX_CANDIDATES - unverified.len();
            let view = &context.snapshot.libraries[folder.library];
            for rating_key in view.invalidated_items(Some((&folder.form, folder.is_host_path)), mappings, limit) {
                unverified.push(ItemToVerify {
                    row: context.snapshot.rows[folder.library].clone(),
                    rating_key,
                });
            }
        }
        Ok(unverified)
    }

    /// Returns the folder, about which plexindex asks but for which it cannot search.
    fn search_target(&self) -> Option<SearchTarget<'_>> {
        Some(SearchTarget::Folder(self.path))
    }

    /// Returns whether any unfetched library may have the folder: `true` if no folder matches, as its root may differ.
    fn may_be_anywhere(&self, _: &QueryContext<'_>, found: &FoundFolder<'_>) -> bool {
        found.outcome.members.match_kind == MatchKind::None
    }

    /// Builds the answer, passes the answer to `then`, and updates the statistics.
    fn answer<R>(
        &self,
        context: &QueryContext<'_>,
        found: &FoundFolder<'_>,
        state: QueryState,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let (queries, snapshot, outcome) = (context.queries, context.snapshot, &found.outcome);
        let rows = snapshot.rows_in(context.scope);
        let status = match (outcome.members.total, state.timeout_status) {
            (0, Some(status)) => status,
            (0, None) => Status::NotFound,
            (1, _) => Status::Ok,
            _ => Status::Ambiguous,
        };
        if outcome.members.total == 0 {
            context.check_miss(state.failure.as_ref())?;
        }
        let mut answer = Answer::of_folder(queries.reading.kind, outcome, snapshot, status);
        if rows.is_empty() && state.timeout_status == Some(status) {
            // The deadline passed before the server returned the list of libraries.
            answer.reason = Reason::NotFetched;
        }
        answer.age_ms = context.age_of(&answer);
        if state.failure.is_none() && state.was_not_asked() {
            answer.mark_not_asked();
        }
        // Invalidated items that could not be verified may no longer exist, so the answer is stale.
        answer.stale = context.is_answer_stale(&state) || !self.unverified_items(context, found)?.is_empty();
        let message;
        if status != Status::Ok || answer.reason != Reason::None {
            let description = (
                self.path.raw(),
                self.kind,
                found.is_file,
                context.owner_out_of_scope(self),
            );
            message = explain_folder(queries, &answer, rows, description, state.failure.as_ref());
            answer.message = &message;
        }
        answer.mark_stale(state.failure.as_ref(), context.call.deadline.is_set());
        log::debug!(
            "folder '{}': {}, match kind {}, {} items",
            queries.display.path(self.path.raw()),
            status.name(),
            outcome.members.match_kind.name(),
            outcome.facts.items
        );
        let result = then(&answer);
        queries.count_answer(state.at_once, &answer, &result);
        result
    }
}

/// Maximum number of attempts to rebuild damaged segments before a page fails.
const MAX_REBUILDS: u32 = 3;
/// Maximum number of threads that look up files on disk, in addition to the caller's thread.
const WORKERS: usize = 3;
/// Number of files that a thread looks up in one batch.
const FILES_PER_BATCH: usize = 64;

impl Queries {
    /// Passes a page of the files listed below a folder to `then`, in the order of their normal forms. The page has
    /// about `limit` files, and starts after the listed path `after`. `not_on_disk`: only files that are not on this machine,
    /// files of items with several files, and the page's last file, which the host needs to request the next page; the
    /// answer says whether each file exists. Sends no request. [`Answer::folder`] counts the page's files before filtering.
    pub fn items_below<R>(
        &self,
        library: &Selection,
        path: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        not_on_disk: bool,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        self.display.check_path(path)?;
        for attempt in 0.. {
            self.reading.catch_up(Deadline::NONE)?;
            let snapshot = self.reading.snapshot();
            // An empty page means that no files remain, so return an error if the listing is missing or evicted.
            let scope = self.reading.fetched_scope(library, &snapshot)?;
            let mappings = &self.reading.mappings;
            let mut files = NormalPath::with(path, |path| {
                FolderResolver::new(&snapshot.libraries, scope, mappings, path).files(after, limit)
            });
            let is_broken =
                library_indexes(scope, snapshot.rows.len()).any(|index| snapshot.libraries[index].is_broken());
            if (is_broken || snapshot.is_incomplete) && attempt < MAX_REBUILDS {
                drop(files);
                drop(snapshot);
                self.reading.rebuild_broken(Deadline::NONE)?;
                continue;
            }
            if is_broken {
                break;
            }
            let page_files = files.len() as u64;
            if not_on_disk {
                retain_not_on_disk(&mut files, mappings);
            }
            let found: Vec<FoundItem<'_>> = files.iter().map(|file| file.found).collect();
            let mut answer = Answer::of_items(self.reading.kind, &found, found.len(), &snapshot.rows);
            answer.folder.files = page_files;
            if !found.is_empty() {
                // A page of several files is not ambiguous.
                answer.status = Status::Ok;
            }
            return then(&answer);
        }
        Err(segments_lost_error())
    }
}

/// Keeps only files that are not on this machine, files of items with several files, and the last file, which the host
/// needs to request the next page. Sets [`FoundItem::on_disk`] for each file. Several threads look up the files,
/// because network file systems are slow.
fn retain_not_on_disk(files: &mut Vec<FolderFile<'_>>, mappings: &Mappings) {
    let workers = WORKERS.min(files.len() / FILES_PER_BATCH);
    let batches = Mutex::new(files.chunks_mut(FILES_PER_BATCH));
    let next_batch = || lock(&batches).next();
    on_workers(workers, || {
        while let Some(batch) = next_batch() {
            for file in batch {
                // A listed path may end with a separator, which would require a folder.
                let path = path_from_bytes(mappings.host_path(file.found.path));
                file.found.on_disk = match path.components().as_path().metadata() {
                    Ok(_) => Presence::Assumed,
                    Err(error) if is_gone(&error) => Presence::Missing,
                    Err(_) => Presence::Unknown,
                };
            }
        }
    });
    let mut remaining = files.len();
    files.retain(|file| {
        remaining -= 1;
        file.found.on_disk != Presence::Assumed || file.item_has_other_files || remaining == 0
    });
}
