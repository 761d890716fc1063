//! The contents of a folder: pages of listed files.

use std::sync::Mutex;

use super::answer::Answer;
use super::queries::Queries;
use crate::engine::library_indexes;
use crate::error::{Result, Status};
use crate::matching::{FolderFile, FolderResolver, FoundItem, LibraryIndex, Mappings, NormalPath, Presence};
use crate::platform::clock::Deadline;
use crate::platform::files::{is_gone, path_from_bytes};
use crate::platform::fork::lock;
use crate::platform::thread::on_workers;
use crate::sync::{Selection, segments_lost_error};

/// Maximum number of attempts to rebuild damaged segments before a page fails.
const MAX_REBUILDS: u32 = 3;
/// Maximum number of threads that look up files on disk, in addition to the caller's thread.
const WORKERS: usize = 3;
/// Number of files that a thread looks up in one batch.
const FILES_PER_BATCH: usize = 64;

/// Filter for the listed files in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFilter {
    /// All files of the page.
    All,
    /// Files that are not on this machine, files of items with several files, and the page's last file, which the host
    /// needs to request the next page. The answer says whether each file exists.
    NotOnDisk,
}

impl Queries {
    /// Passes a page of the files listed below a folder to `then`, in the order of their normal forms. The page has
    /// about `limit` files, and starts after the listed path `after`. Sends no request. [`Answer::folder`] counts
    /// the page's files before filtering.
    pub fn items_below<R>(
        &self,
        library: &Selection,
        path: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        filter: FileFilter,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        self.display.check_path(path)?;
        for attempt in 0.. {
            self.reading.catch_up(Deadline::NONE)?;
            let snapshot = self.reading.snapshot();
            // An empty page means that no files remain, so return an error if the listing is missing or evicted.
            let scope = library.fetched_scope(&snapshot, &self.reading)?;
            let mappings = self.reading.mappings();
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
            if filter == FileFilter::NotOnDisk {
                retain_not_on_disk(&mut files, mappings);
            }
            let found: Vec<FoundItem<'_>> = files.iter().map(|file| file.found).collect();
            let mut answer = Answer::of_items(self.reading.kind(), &found, found.len(), &snapshot.rows);
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
