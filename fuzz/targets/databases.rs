//! A store whose files another hand changed while it was closed. It opens or says why not; whatever it answers is a whole
//! answer; and after a clear it is as good as new. (What a page of the database says has no check sum, so that an item may
//! have another title than before.)

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plexindex::error::{Error, Status};
use plexindex::index::{Index, Library, ManualClock, QueryOptions};

use super::input::{Input, folder, patched};
use super::server::{self, NOW_MS};

struct Whole {
    files: Vec<(String, Vec<u8>)>,
    place: PathBuf,
    _folder: tempfile::TempDir,
}

thread_local! {
    static WHOLE: Whole = Whole::new();
}

impl Whole {
    fn new() -> Self {
        let template = folder();
        server::fill(template.path());
        let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(template.path())
            .expect("the template")
            .map(|file| file.expect("a file"))
            .map(|file| {
                (
                    file.file_name().into_string().expect("a plain name"),
                    fs::read(file.path()).expect("read"),
                )
            })
            .filter(|(name, _)| !name.ends_with("-shm") && !name.ends_with("-wal"))
            .collect();
        // The same numbers mean the same file each time.
        files.sort();
        let folder = folder();
        Self {
            files,
            place: folder.path().join("store"),
            _folder: folder,
        }
    }
}

/// What a store may say of damage.
fn check(error: &Error) {
    let known = matches!(
        error.status,
        Status::Store
            | Status::Connect
            | Status::Offline
            | Status::LibraryNotFound
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
    let _ = (index.stats(), index.store_json());
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
    let database = whole
        .files
        .iter()
        .position(|(name, _)| name.strip_suffix(".db").is_some())
        .expect("there is one");
    let which = if which % 4 == 0 {
        usize::from(which >> 2) % whole.files.len()
    } else {
        database
    };
    let _ = fs::remove_dir_all(&whole.place);
    fs::create_dir(&whole.place).expect("a folder");
    for (number, (name, bytes)) in whole.files.iter().enumerate() {
        let changed = (number == which).then(|| patched(bytes, &mut input));
        fs::write(whole.place.join(name), changed.as_ref().unwrap_or(bytes)).expect("written");
    }
    let clock = Arc::new(ManualClock::new(NOW_MS + 1_000));
    for _ in 0..2 {
        // A call that finds the damage sets the database aside; the next one finds a new one.
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
