//! Shared by tests of behaviour: a stand-in server, an index over it, and a clock that stands still.
#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    clippy::should_implement_trait
)] // for tests alone

pub mod hooked;
pub mod index;
pub mod memory;
pub mod plex_database;
pub mod vfs;
pub mod warnings;
pub mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::index::{Index, Library as Handle, ManualClock, Query};
use crate::worker::Worker;
use plexindex::error::Result;
use plexindex::model::{Library, Token};
use plexindex::options::{Options, Ttl};
use plexindex::source::plex::PlexHttp;
use plexindex::source::{Bounds, Deadline, PageRequest, Source, WantedPath};
use plexindex::tables::TableLimits;
use plexindex_standin::{ItemSpec, Kind, LibrarySpec, Standin};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// A moment long after every clock of the stand-in server.
pub const NOW_MS: i64 = 4_000_000_000_000;
/// An hour.
pub const HOUR_MS: i64 = 3_600_000;

/// A value without an expiry.
pub const KEEP: TableLimits = TableLimits {
    ttl: Ttl::Forever,
    limit: None,
};

/// The bounds of a call that may be stopped.
pub fn stopped_by(aborted: &(dyn Fn() -> bool + Sync)) -> Bounds<'_> {
    Bounds {
        aborted,
        ..Bounds::NONE
    }
}

/// The bounds of a call with so much time.
pub fn within(time: Duration) -> Bounds<'static> {
    Bounds {
        deadline: Deadline::after(time),
        ..Bounds::NONE
    }
}

/// A path that is looked for.
pub fn wanted<'w>(paths: &'w [Vec<u8>], name: &'w str, title: Option<&'w str>) -> WantedPath<'w> {
    WantedPath {
        candidate_paths: paths,
        name,
        title,
    }
}

/// So many rows of a partition of a library.
pub fn rows_of(library: &Library, partition: usize, position: u64, size: u32) -> PageRequest<'_> {
    PageRequest {
        library,
        partition,
        position,
        size,
    }
}

/// A file or folder of the repository.
pub fn repository(path: impl AsRef<Path>) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

/// A number that the environment gives a test.
pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is '{text}': give a number")),
    )
}

/// A server with one movie library of this many plain items.
pub fn movies(items: u32) -> Standin {
    Standin::builder().library(LibrarySpec::movies(items).plain()).serve()
}

/// Options for this server.
pub fn options(server: &Standin, folder: &Path) -> Options {
    Options {
        cache_dir: folder.to_owned(),
        server_url: Some(server.url()),
        token: Token::new(&server.token()),
        ..Options::default()
    }
}

/// An index over real HTTP, with a clock that stands still.
pub fn try_open(options: Options, clock: &Arc<ManualClock>) -> Result<Index> {
    Index::open_with(options, Arc::clone(clock) as _, |options, id, counters| {
        Ok(Arc::new(PlexHttp::new(options, id, counters)?) as Arc<dyn Source>)
    })
}

/// The same, which must be possible.
pub fn open(options: Options, clock: &Arc<ManualClock>) -> Index {
    try_open(options, clock).expect("the index opens")
}

/// A clock.
pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(NOW_MS))
}

/// Requests by kind since the last reset: identity, sections, listing, search, metadata, all.
pub fn requests(server: &Standin) -> [u64; 6] {
    let stats = server.stats();
    [
        stats.of(Kind::Identity),
        stats.of(Kind::Sections),
        stats.of(Kind::Listing),
        stats.of(Kind::Search),
        stats.of(Kind::Metadata),
        Kind::ALL.iter().map(|kind| stats.of(*kind)).sum(),
    ]
}

/// The path and rating key of the nth item that has a file.
pub fn path_of(server: &Standin, library: u32, nth: usize) -> (String, String) {
    let paths = server.paths(library).into_iter();
    let mut paths = paths.filter_map(|(key, path)| Some((path?, key.to_string())));
    paths.nth(nth).expect("so many items")
}

/// A movie with one file.
pub fn movie(title: &str, path: &str) -> ItemSpec {
    ItemSpec::file(title, path)
}

/// Adds movies with these files to the first library.
pub fn add(server: &Standin, paths: &[impl AsRef<str>]) {
    let specs = paths.iter().map(|path| movie("A new one", path.as_ref())).collect();
    server.alter(|state| state.add_items(1, specs, true));
}

/// Removes items from the server.
pub fn remove(server: &Standin, keys: &[u64]) {
    server.alter(|state| state.remove_items(keys, true));
}

/// A library of films below a folder of this name.
pub fn films(title: &str) -> LibrarySpec {
    let spec = LibrarySpec::movies(0).plain().title(title);
    spec.locations([format!("/data/{title}")])
}

/// A query that sends no request.
pub fn offline(library: &Handle) -> Query<'_> {
    library.query().offline()
}

/// A server, a clock that stands still, and a folder for the store.
pub struct Scene {
    pub server: Standin,
    pub clock: Arc<ManualClock>,
    /// Options of indexes opened from now on.
    pub options: Options,
    folder: TempDir,
}

impl Scene {
    pub fn of(server: Standin) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            options: options(&server, folder.path()),
            server,
            clock: clock(),
            folder,
        }
    }

    /// One movie library of this many plain items.
    pub fn movies(items: u32) -> Self {
        Self::of(movies(items))
    }

    /// The same with other options.
    pub fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts another process with this folder, this server, and more words.
    pub fn worker(&self, role: &str, more: &[&str]) -> Worker {
        Worker::at(role, self.folder(), &self.server, more)
    }

    /// Opens a new index.
    pub fn open(&self) -> Index {
        open(self.options.clone(), &self.clock)
    }

    /// The options, changed.
    pub fn options_with(&self, change: impl FnOnce(&mut Options)) -> Options {
        let mut options = self.options.clone();
        change(&mut options);
        options
    }

    /// The same with other options.
    pub fn open_with(&self, change: impl FnOnce(&mut Options)) -> Index {
        open(self.options_with(change), &self.clock)
    }

    /// The same with another token.
    pub fn with_token(&self, token: &str) -> Index {
        self.open_with(|options| options.token = Token::new(token))
    }

    /// The same, and the library of movies.
    pub fn opened(&self) -> (Index, Handle) {
        let index = self.open();
        let library = index.library("Movies").expect("a handle");
        (index, library)
    }

    /// The same, listed. Resets the count of requests.
    pub fn listed(&self) -> (Index, Handle) {
        let (index, library) = self.opened();
        self.list(&index);
        (index, library)
    }

    /// The scene with an index and the library of movies.
    pub fn and_opened(self) -> (Self, Index, Handle) {
        let (index, library) = self.opened();
        (self, index, library)
    }

    /// The same, listed.
    pub fn and_listed(self) -> (Self, Index, Handle) {
        let (index, library) = self.listed();
        (self, index, library)
    }

    /// Lists all libraries. Resets the count of requests.
    pub fn list(&self, index: &Index) {
        index.list();
        self.server.reset();
    }
}

/// Copies the files of a folder over those of another folder, which may be missing.
pub fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for file in files_in(from) {
        std::fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("copied");
    }
}

/// A new folder with copies of the files of `folder`.
pub fn copy_of(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    copy_files(folder, copy.path());
    copy
}

/// The files of an archive, `.tar.gz`: a block with name and size, the content, zeros up to the next block of 512.
pub fn files_of(archive: &Path) -> Vec<(String, Vec<u8>)> {
    let packed = std::fs::read(archive).unwrap_or_else(|error| panic!("{}: {error}", archive.display()));
    let mut all = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut all).expect("gzip");
    let (mut files, mut rest) = (Vec::new(), &all[..]);
    while rest[0] != 0 {
        let field = |from, to| {
            str::from_utf8(&rest[from..to])
                .expect("text")
                .trim_end_matches(['\0', ' '])
        };
        let size = usize::from_str_radix(field(124, 136), 8).expect("a size");
        files.push((field(0, 100).to_owned(), rest[512..512 + size].to_vec()));
        rest = &rest[512 + size.next_multiple_of(512)..];
    }
    files
}

/// What `build.rs` has unpacked.
pub fn unpacked(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("OUT_DIR")).join(path)
}

/// A folder with the store of a format.
pub fn store_of(format: i64) -> tempfile::TempDir {
    copy_of(&unpacked(format!("stores/{format}")))
}

/// The port of the server with which the stores were made. Nothing listens there while a test reads a store.
pub const STORE_PORT: u16 = 32_499;
pub const STORE_TOKEN: &str = "a-token-of-stores";

/// The options with which the stores were made.
pub fn store_options(folder: &Path) -> Options {
    Options {
        server_url: Some(format!("http://127.0.0.1:{STORE_PORT}")),
        token: Token::new(STORE_TOKEN),
        ..Options::new(folder)
    }
}

/// An authority for certificates. Two of one name would be told apart by their signatures only.
pub fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("valid");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed")
}

/// What is in a folder, by name.
pub fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// The segments in a folder, by name.
pub fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut segments = files_in(folder);
    segments.retain(|path| path.extension().is_some_and(|end| end == "segment"));
    segments
}

/// Makes files older, so that no other process might be about to announce them.
pub fn age(files: &[PathBuf]) {
    let hours_ago = SystemTime::now() - Duration::from_secs(7_200);
    for path in files {
        let file = std::fs::File::open(path).expect("opened");
        file.set_modified(hours_ago).expect("dated");
    }
}

/// Debounce intervals for tests: short, so that an event is written at once.
pub fn quick() -> index::DebounceIntervals {
    index::DebounceIntervals {
        quiet_ms: 20,
        min_interval_ms: 0,
        ..index::DebounceIntervals::default()
    }
}
