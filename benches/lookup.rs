//! Warm lookups of the Rust API and of the C functions, by match kind and by size: `cargo bench`.
//!
//! The index is the real thing: fetched over HTTP from a stand-in server in this process. Every path is a fresh copy, in
//! random order, and every query is verified before it is timed. Sizes: `PLEXINDEX_BENCH_SIZES`, by default 10,000
//! and 100,000. Side by side with other stores: `make bench`.
#![allow(unsafe_code)] // calls the C functions as a C program would

use std::collections::{BTreeMap, HashMap};
use std::ffi::{CStr, CString, c_char};
use std::hint::black_box;
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

use divan::Bencher;
use plexindex::model::{MatchKind, Token};
use plexindex::options::{Mapping, Options};
use plexindex_abi as capi;
use plexindex_standin::{LibrarySpec, Standin};
use plexindex_tests::index::{Index, Library, QueryOptions};
use tempfile::TempDir;

fn main() {
    divan::main();
}

/// Questions of each kind.
const SAMPLE: usize = 100_000;

/// An index of one size, open in Rust and in C.
struct World {
    index: Index,
    library: Library,
    handle: *const capi::types::LibraryHandle,
    questions: HashMap<&'static str, Vec<(CString, String)>>,
    _folder: TempDir,
}

// SAFETY: handles of plexindex may be used from any thread.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

fn sizes() -> Vec<usize> {
    let named = std::env::var("PLEXINDEX_BENCH_SIZES").unwrap_or_default();
    let sizes: Vec<usize> = named.split_whitespace().filter_map(|size| size.parse().ok()).collect();
    if sizes.is_empty() { vec![10_000, 100_000] } else { sizes }
}

/// The world of a size: made once, and kept for the program's life.
fn world(size: usize) -> &'static World {
    static WORLDS: Mutex<BTreeMap<usize, &'static World>> = Mutex::new(BTreeMap::new());
    let mut worlds = WORLDS.lock().unwrap_or_else(PoisonError::into_inner);
    worlds
        .entry(size)
        .or_insert_with(|| Box::leak(Box::new(World::new(size))))
}

impl World {
    fn new(size: usize) -> Self {
        let items = u32::try_from(size).expect("a size that a library can have");
        let server = Standin::builder()
            .library(LibrarySpec::movies(items))
            .start()
            .expect("the stand-in starts");
        let folder = tempfile::tempdir().expect("a folder");
        let index = Index::open(Options {
            cache_dir: folder.path().to_owned(),
            server_url: Some(server.url()),
            token: Token::new(&server.token()),
            mappings: vec![Mapping::host_to_server("/host", "/data")],
            ..Options::default()
        })
        .expect("the index opens");
        let library = index.library("Movies").expect("a handle");
        index.refresh(&library.query(), false).expect("the listing is fetched");
        let world = Self {
            handle: open_in_c(folder.path().as_os_str().as_encoded_bytes(), &server),
            questions: questions(&server),
            index,
            library,
            _folder: folder,
        };
        world.verify();
        world
    }

    fn verify(&self) {
        for (name, questions) in &self.questions {
            for (path, key) in questions {
                let found = self.library.lookup_key(path.to_bytes(), str::to_owned);
                // SAFETY: the handle is open, the path NUL-terminated, the key valid until the next call.
                let in_c = unsafe {
                    let key = capi::plexindex_lookup_key(self.handle, path.as_ptr());
                    (!key.is_null()).then(|| CStr::from_ptr(key).to_string_lossy().into_owned())
                };
                let key = (!key.is_empty()).then_some(key);
                assert_eq!(found.as_ref(), key, "{name}: {path:?}");
                assert_eq!(
                    in_c,
                    key.map(|key| format!("/library/metadata/{key}")),
                    "{name}: {path:?} in C"
                );
            }
            let answer = self.library.match_path(questions[0].0.to_bytes()).expect("an answer");
            assert_eq!(answer.match_kind, match_kind(name), "{name}");
        }
    }
}

fn match_kind(name: &str) -> MatchKind {
    match name {
        "exact" => MatchKind::Exact,
        "mapped" => MatchKind::Mapped,
        "suffix" => MatchKind::Suffix,
        "file_name" => MatchKind::FileName,
        _ => MatchKind::None,
    }
}

fn open_in_c(folder: &[u8], server: &Standin) -> *const capi::types::LibraryHandle {
    let bytes = |text: &[u8]| capi::types::Bytes {
        data: text.as_ptr().cast::<c_char>(),
        length: text.len(),
    };
    let (url, token) = (server.url(), server.token());
    let mapping = capi::types::MappingRecord {
        kind: capi::constants::PLEXINDEX_MAPPING_HOST_PREFIX,
        reserved: 0,
        from: bytes(b"/host"),
        to: bytes(b"/data"),
    };
    // SAFETY: zeroed options are what the header asks for, and all pointers live during the calls.
    unsafe {
        let mut options: capi::types::OptionsRecord = std::mem::zeroed();
        options.size = size_of::<capi::types::OptionsRecord>();
        options.cache_dir = bytes(folder);
        options.server_url = bytes(url.as_bytes());
        options.token = bytes(token.as_bytes());
        options.mappings = &raw const mapping;
        options.mappings_count = 1;
        let (mut index, mut library) = (null_mut(), std::ptr::null());
        assert_eq!(capi::plexindex_open(&raw const options, &raw mut index, null_mut()), 0);
        let title = b"Movies";
        let select = capi::constants::PLEXINDEX_SELECT_TITLE;
        let title_bytes = title.as_ptr().cast();
        assert_eq!(
            capi::plexindex_get_library(index, select, title_bytes, title.len(), &raw mut library, null_mut()),
            0
        );
        library
    }
}

/// Paths with the rating keys that are right, in random order; an empty key where nothing is.
fn questions(server: &Standin) -> HashMap<&'static str, Vec<(CString, String)>> {
    let listed: Vec<(String, String)> = server
        .paths(1)
        .into_iter()
        .filter_map(|(key, path)| Some((path?, key.to_string())))
        .collect();
    let mut names: HashMap<String, u32> = HashMap::new();
    for (path, _) in &listed {
        *names.entry(file_name(path).to_lowercase()).or_default() += 1;
    }
    let mut clear: Vec<&(String, String)> = listed
        .iter()
        .filter(|(path, _)| path.starts_with("/data/") && names[&file_name(path).to_lowercase()] == 1)
        .collect();
    shuffle(&mut clear);
    clear.truncate(SAMPLE);
    let rewritten = |rewrite: &dyn Fn(&str) -> String| {
        clear
            .iter()
            .map(|(path, key)| (CString::new(rewrite(path)).expect("no NUL"), key.clone()))
            .collect::<Vec<_>>()
    };
    let end = |path: &str| path.rsplitn(3, '/').take(2).map(str::to_owned).collect::<Vec<_>>();
    let mut all = HashMap::new();
    all.insert("exact", rewritten(&|path| path.to_owned()));
    all.insert("mapped", rewritten(&|path| format!("/host{}", &path["/data".len()..])));
    all.insert(
        "suffix",
        rewritten(&|path| format!("/mnt/other/{}/{}", end(path)[1], end(path)[0])),
    );
    all.insert(
        "file_name",
        rewritten(&|path| format!("/mnt/other/unsorted/{}", file_name(path))),
    );
    let missing = (0..clear.len()).map(|number| {
        let path = format!("/data/movies/No Such Film {number} (1899)/No Such Film {number} (1899) - 1080p.mkv");
        (CString::new(path).expect("no NUL"), String::new())
    });
    all.insert("miss", missing.collect());
    let outside = (0..clear.len()).map(|number| {
        let path = format!("/nowhere/No Such Film {number} (1899)/No Such Film {number} (1899) - 1080p.mkv");
        (CString::new(path).expect("no NUL"), String::new())
    });
    all.insert("outside", outside.collect());
    all
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn shuffle<T>(items: &mut [T]) {
    let mut state = 1_u64;
    for last in (1..items.len()).rev() {
        // SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let other = usize::try_from((z ^ (z >> 31)) % (last as u64 + 1)).unwrap_or(0);
        items.swap(last, other);
    }
}

/// Benches a call with fresh copies of the paths of a kind, one after the other.
fn ask<R>(bencher: Bencher, size: usize, name: &str, call: impl Fn(&'static World, &CStr) -> R + Sync) {
    let world = world(size);
    let questions = &world.questions[name];
    let mut next = 0;
    bencher
        .with_inputs(|| {
            next = (next + 1) % questions.len();
            questions[next].0.clone()
        })
        .bench_local_refs(|path| black_box(call(world, black_box(path))));
}

fn in_rust(bencher: Bencher, size: usize, name: &str) {
    ask(bencher, size, name, |world, path| {
        world.library.lookup_key(path.to_bytes(), str::len)
    });
}

fn in_c(bencher: Bencher, size: usize, name: &str) {
    ask(bencher, size, name, |world, path| {
        // SAFETY: as in World::verify.
        unsafe { capi::plexindex_lookup_key(world.handle, path.as_ptr()) }
    });
}

fn whole(bencher: Bencher, size: usize, name: &str) {
    ask(bencher, size, name, |world, path| {
        let query = QueryOptions {
            offline: true,
            ..world.library.query()
        };
        world
            .index
            .match_path_with(&query, path.to_bytes(), |answer| Ok(answer.match_kind))
            .expect("an answer")
    });
}

/// A miss outside of all folders, whose text names them: before any answer proposed a mapping, and after 500 did.
#[divan::bench_group(sample_size = 1000)]
mod index_far_miss {
    use super::{Bencher, MatchKind, QueryOptions, sizes, whole, world};

    #[divan::bench(args = sizes())]
    fn a_without_proposals(bencher: Bencher, size: usize) {
        whole(bencher, size, "outside");
    }

    #[divan::bench(args = sizes())]
    fn b_with_proposals(bencher: Bencher, size: usize) {
        let world = world(size);
        let query = QueryOptions {
            offline: true,
            ..world.library.query()
        };
        for (path, _) in world.questions["suffix"].iter().cycle().take(500) {
            let asked = world
                .index
                .match_path_with(&query, path.to_bytes(), |answer| Ok(answer.match_kind));
            assert_eq!(asked, Ok(MatchKind::Suffix));
        }
        assert_ne!(world.index.proposals(), []);
        whole(bencher, size, "outside");
    }
}

macro_rules! match_kinds {
    ($module:ident, $call:path) => {
        #[divan::bench_group(sample_size = 1000)]
        mod $module {
            use super::*;

            #[divan::bench(args = sizes())]
            fn exact(bencher: Bencher, size: usize) {
                $call(bencher, size, "exact");
            }

            #[divan::bench(args = sizes())]
            fn mapped(bencher: Bencher, size: usize) {
                $call(bencher, size, "mapped");
            }

            #[divan::bench(args = sizes())]
            fn suffix(bencher: Bencher, size: usize) {
                $call(bencher, size, "suffix");
            }

            #[divan::bench(args = sizes())]
            fn file_name(bencher: Bencher, size: usize) {
                $call(bencher, size, "file_name");
            }

            #[divan::bench(args = sizes())]
            fn miss(bencher: Bencher, size: usize) {
                $call(bencher, size, "miss");
            }
        }
    };
}

match_kinds!(library_lookup_key, in_rust);
match_kinds!(plexindex_lookup_key, in_c);
match_kinds!(index_match_path, whole);
