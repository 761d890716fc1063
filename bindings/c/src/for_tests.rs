//! Indexes over a hostile source, for tests.

use std::ptr::{null, null_mut};
use std::sync::Arc;

use crate::constants as c;
use crate::functions::{plexindex_close, plexindex_get_library, plexindex_get_table, plexindex_match_path};
use crate::guard::Opened;
use crate::guard::tests::message;
use crate::types::{Buffer, Bytes, Handle, LibraryHandle, QueryRecord, TableHandle};
use plexindex::Index;
use plexindex::error::{Result, Status};
use plexindex::inside::SystemClock;
use plexindex::model::{self, Item, Server};
use plexindex::options;
use plexindex::source::{Abilities, Bounds, LocatedItem, PageEnd, PageRequest, Source, SourceKind, plex};

/// A source of these items.
struct Items(Vec<Item>);

impl Source for Items {
    fn kind(&self) -> &'static SourceKind {
        &plex::KIND
    }

    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    fn server(&self, _: Bounds<'_>) -> Result<Server> {
        Ok(Server {
            machine_identifier: "m".into(),
            version: "1".into(),
        })
    }

    fn libraries(&self, _: Bounds<'_>) -> Result<Vec<model::Library>> {
        Ok(vec![model::Library {
            section: "1".into(),
            uuid: "u".into(),
            title: "Movies".into(),
            kind: model::LibraryKind::Movie,
            ..model::Library::default()
        }])
    }

    fn page(&self, _: &PageRequest<'_>, _: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        items.extend_from_slice(&self.0);
        Ok(PageEnd {
            rows: self.0.len() as u64,
            total: Some(self.0.len() as u64),
            ..PageEnd::default()
        })
    }

    fn items(&self, _: &[&str], _: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        Ok(Vec::new())
    }
}

/// An item with a file.
pub fn item(rating_key: &str, part: &str) -> Item {
    Item {
        rating_key: rating_key.into(),
        parts: vec![part.into()],
        ..Item::default()
    }
}

/// An index over a source with an item whose key contains a NUL, between two valid ones.
pub fn hostile(folder: &std::path::Path) -> Index {
    mapped(folder, Vec::new())
}

/// [`hostile`] with mappings.
pub fn mapped(folder: &std::path::Path, mappings: Vec<options::Mapping>) -> Index {
    let items = [("1", "/a"), ("2\0/library/metadata/3", "/b"), ("4", "/c")];
    index_of(folder, mappings, items.map(|(key, part)| item(key, part)).into())
}

/// An index over a source of these items.
pub fn index_of(folder: &std::path::Path, mappings: Vec<options::Mapping>, items: Vec<Item>) -> Index {
    let options = options::Options {
        cache_dir: folder.to_owned(),
        server_url: Some("http://127.0.0.1:9".into()),
        mappings,
        ..options::Options::default()
    };
    let source = Arc::new(Items(items));
    Index::open_with(options, Arc::new(SystemClock), |_, _, _| Ok(source as _)).expect("opens")
}

/// A query with this text, without a timeout of its own.
pub fn query(library: *const LibraryHandle, text: Bytes) -> QueryRecord {
    QueryRecord {
        size: size_of::<QueryRecord>(),
        library,
        text,
        timeout_ms: 0,
        flags: 0,
        reserved: 0,
        progress: None,
        progress_user: null_mut(),
        file_size: 0,
    }
}

/// Text for a call.
pub const fn text(text: &'static str) -> Bytes {
    let (data, length) = (text.as_ptr().cast(), text.len());
    Bytes { data, length }
}

/// An empty buffer over this memory.
pub fn buffer<T>(data: *mut T, capacity: usize) -> Buffer {
    let (data, length) = (data.cast(), 0);
    Buffer { data, capacity, length }
}

/// Returns the result of a check in a forked child, which then ends at once. An alarm ends a child that hangs.
#[cfg(unix)]
pub fn is_true_in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child has only this thread, and the library is made for that.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0, "forked");
        if child == 0 {
            libc::alarm(10);
            libc::_exit(i32::from(!check()));
        }
        let mut state = 0;
        assert_eq!(libc::waitpid(child, &raw mut state, 0), child);
        state == 0
    }
}

/// An open index with a library and a table.
pub struct Scene {
    pub handle: *mut Handle,
    pub library: *const LibraryHandle,
    pub table: *const TableHandle,
    _folder: tempfile::TempDir,
}

impl Scene {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let handle = Opened::wrap(hostile(folder.path())).into_handle();
        let mut at = Self {
            handle,
            library: null(),
            table: null(),
            _folder: folder,
        };
        at.library = at.library(c::PLEXINDEX_SELECT_TITLE, text("Movies")).expect("a handle");
        // SAFETY: all of it is there.
        let got = unsafe { plexindex_get_table(handle, c"t".as_ptr(), 1, 0, &raw mut at.table, null_mut()) };
        assert_eq!(got, Status::Ok as i32);
        at
    }

    pub fn library(&self, kind: i32, name: Bytes) -> Result<*const LibraryHandle, i32> {
        let mut library = null();
        let place = &raw mut library;
        // SAFETY: all of it is there.
        match unsafe { plexindex_get_library(self.handle, kind, name.data, name.length, place, null_mut()) } {
            0 => Ok(library),
            status => Err(status),
        }
    }
}

impl Drop for Scene {
    /// However it was misused, the index answers.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let mut memory = [0_u64; 1_024];
            let mut answer = buffer(memory.as_mut_ptr(), 8_000);
            let query = query(self.library, text("/a"));
            // SAFETY: it is open, and not used again.
            unsafe {
                let matched = plexindex_match_path(self.handle, &raw const query, &raw mut answer, null_mut());
                assert_eq!(matched, Status::Ok as i32, "{}", message());
                assert_eq!(plexindex_close(self.handle, null_mut()), Status::Ok as i32);
            }
        }
    }
}
