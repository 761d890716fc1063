//! A store whose files another hand changed while it was closed, or after the process that had it open was killed: then the
//! write-ahead log holds commits. It opens or says why not; whatever it answers is a whole
//! answer; and after a clear it is as good as new. (What a page of the database says has no check sum, so that an item may
//! have another title than before.)

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::index::{Index, Library, ManualClock, QueryOptions};
use plexindex::error::{Error, Status};

use super::input::{Input, folder, patched};
use super::server::{self, NOW_MS};

type Files = Vec<(String, Vec<u8>)>;

struct Whole {
    closed: Files,
    killed: Files,
    place: PathBuf,
    _folder: tempfile::TempDir,
}

thread_local! {
    static WHOLE: Whole = Whole::new();
}

/// The files as they lie there, but the index of the log, which a process that opens the store makes anew.
fn files(place: &Path) -> Files {
    let mut files: Files = fs::read_dir(place)
        .expect("the template")
        .map(|file| file.expect("a file"))
        .filter(|file| !file.file_name().to_string_lossy().ends_with("-shm"))
        .map(|file| {
            (
                file.file_name().into_string().expect("a plain name"),
                fs::read(file.path()).expect("read"),
            )
        })
        .collect();
    // The same numbers mean the same file each time.
    files.sort();
    files
}

impl Whole {
    fn new() -> Self {
        let template = folder();
        server::fill(template.path());
        let mut closed = files(template.path());
        closed.retain(|(name, _)| !name.ends_with("-wal"));
        let index = server::open(template.path(), false, &Arc::new(ManualClock::new(NOW_MS))).expect("opened again");
        let library = index.library("Movies").expect("a handle");
        library.record_matches(&[(b"/host/late.mkv", "103")]).expect("recorded");
        library
            .invalidate_path(b"/mnt/films/Film 5 (1999)/Film 5.mkv")
            .expect("invalidated");
        let killed = files(template.path());
        let log = killed.iter().find(|(name, _)| name.ends_with("-wal"));
        let log = log.map(|(_, bytes)| bytes).expect("there is a log");
        assert!(log.len() > WAL_HEAD, "commits are in it");
        assert_eq!(*log, sealed(log.clone()), "sums as SQLite makes them");
        drop(library);
        index.close().expect("closed");
        let folder = folder();
        Self {
            closed,
            killed,
            place: folder.path().join("store"),
            _folder: folder,
        }
    }
}

/// Sizes in a write-ahead log: of its head, of what stands before each page; and the sums in both: eight bytes.
const WAL_HEAD: usize = 32;
const FRAME_HEAD: usize = 24;

/// Goes on with the sums of a write-ahead log.
fn summed(mut sums: [u32; 2], bytes: &[u8]) -> [u32; 2] {
    for pair in bytes.chunks_exact(8) {
        let word = |at: usize| u32::from_le_bytes(pair[at..at + 4].try_into().expect("four bytes"));
        sums[0] = sums[0].wrapping_add(word(0)).wrapping_add(sums[1]);
        sums[1] = sums[1].wrapping_add(word(4)).wrapping_add(sums[0]);
    }
    sums
}

fn set_sums(at: &mut [u8], sums: [u32; 2]) {
    at[..4].copy_from_slice(&sums[0].to_be_bytes());
    at[4..8].copy_from_slice(&sums[1].to_be_bytes());
}

/// Makes all check sums of a write-ahead log fit, so that what was changed in it is read.
fn sealed(mut log: Vec<u8>) -> Vec<u8> {
    if log.len() < WAL_HEAD {
        return log;
    }
    // Words of sums begin with their low byte.
    log[..8].copy_from_slice(&[0x37, 0x7F, 0x06, 0x82, 0, 0x2D, 0xE2, 0x18]);
    let size = u32::from_be_bytes(log[8..12].try_into().expect("four bytes")) as usize;
    let size = size.clamp(512, 65_536);
    let (head, frames) = log.split_at_mut(WAL_HEAD);
    let mut sums = summed([0, 0], &head[..24]);
    set_sums(&mut head[24..], sums);
    for frame in frames.chunks_exact_mut(FRAME_HEAD + size) {
        frame[8..16].copy_from_slice(&head[16..24]);
        sums = summed(summed(sums, &frame[..8]), &frame[FRAME_HEAD..]);
        set_sums(&mut frame[16..], sums);
    }
    log
}

/// What a store may say of damage.
fn check(error: &Error) {
    let known = matches!(
        error.status,
        Status::Store
            | Status::Connect
            | Status::Offline
            | Status::LibraryNotFound
            | Status::NotFetched
            | Status::LibraryAmbiguous
            | Status::InvalidArgument
            | Status::NotOnServer
    );
    assert!(known, "{error:?}");
    assert!(!error.message.is_empty());
}

fn ask(index: &Index, library: &Library) {
    let query = QueryOptions {
        offline: true,
        ..library.query()
    };
    for item in server::items().iter().step_by(4) {
        for path in &item.parts {
            match index.match_path(&query, path.as_bytes()) {
                Ok(found) => {
                    assert!(found.candidates.iter().all(|one| !one.item.rating_key.contains('\0')));
                    assert_eq!(found.status == Status::Ok, found.item.is_some());
                }
                Err(error) => check(&error),
            }
            library.lookup_key(path.as_bytes(), |key| assert!(!key.is_empty()));
        }
    }
    let answers = [
        index.match_path(&query, b"/host/a.mkv"),
        index.match_guid(&query, "imdb://tt0000301"),
        index.search_title(&query, "A Show"),
    ];
    for error in answers.into_iter().filter_map(Result::err) {
        check(&error);
    }
    if let Err(error) = index.items(library, 0, 100) {
        check(&error);
    }
}

fn use_it(place: &Path, clock: &Arc<ManualClock>) -> Result<(), Error> {
    let index = server::open(place, false, clock)?;
    let library = index.library("Movies")?;
    ask(&index, &library);
    let table = index.tables().table(b"kept", false)?;
    let _ = table.get(b"name 1", usize::MAX, &mut |_| {});
    let _ = table.next(None);
    let _ = (index.stats(), index.store());
    library.record_matches(&[(b"/host/new.mkv", "101")])?;
    library.invalidate_path(b"/mnt/films/Film 1 (1999)/Film 1.mkv")?;
    ask(&index, &library);
    drop(library);
    index.close()
}

pub fn run(data: &[u8]) {
    WHOLE.with(|whole| damaged(whole, data));
}

fn damaged(whole: &Whole, data: &[u8]) {
    let mut input = Input(data);
    let (which, then) = (input.byte(), input.byte());
    let files = if then & 2 == 0 { &whole.closed } else { &whole.killed };
    let called = |end: &str| files.iter().position(|(name, _)| name.ends_with(end));
    let database = called(".db").expect("there is one");
    let which = match which % 4 {
        0 => usize::from(which >> 2) % files.len(),
        1 => called("-wal").unwrap_or(database),
        _ => database,
    };
    let _ = fs::remove_dir_all(&whole.place);
    fs::create_dir(&whole.place).expect("a folder");
    for (number, (name, bytes)) in files.iter().enumerate() {
        let changed = (number == which).then(|| patched(bytes, &mut input));
        let changed = changed.map(|bytes| {
            if then & 4 == 4 && name.ends_with("-wal") {
                sealed(bytes)
            } else {
                bytes
            }
        });
        fs::write(whole.place.join(name), changed.as_ref().unwrap_or(bytes)).expect("written");
    }
    let clock = Arc::new(ManualClock::new(NOW_MS + 1_000));
    // A call that finds the damage sets the database aside; the next one finds a new one.
    if let Err(error) = use_it(&whole.place, &clock) {
        check(&error);
        if let Err(error) = use_it(&whole.place, &clock) {
            check(&error);
        }
    }
    if then & 1 == 1 {
        return;
    }
    let index = match server::open(&whole.place, true, &clock) {
        Ok(index) => index,
        Err(error) => return check(&error),
    };
    if let Err(error) = index.clear() {
        return check(&error);
    }
    let library = index.library("Movies").expect("no library is known");
    match index.refresh(&library.query(), true) {
        Ok(_) => {
            let found = library
                .match_path(b"/mnt/films/Film 1 (1999)/Film 1.mkv")
                .expect("listed anew");
            assert_eq!(found.item.map(|item| item.item.rating_key).as_deref(), Some("101"));
        }
        Err(error) => check(&error),
    }
}
