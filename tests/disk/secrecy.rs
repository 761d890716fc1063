//! Only its owner may read the store, and what is secret is not in it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use plexindex::model::Token;
use plexindex::options::Options;
use plexindex_standin::Standin;

use super::broken::{answer, spoil, used};
use crate::support::{clock, open, options, path_of};
use crate::worker::{Worker, place, say, told};

const TOKEN: &str = "t0ken-that-must-not-show";
const USER: &str = "Perpetua Featherstonehaugh";

fn assert_nowhere(folder: &Path, secret: &str) {
    let digits: Vec<String> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let hex = digits.concat();
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("read");
        for form in [secret, &hex, &secret.to_uppercase(), &secret.replace(' ', "%20")] {
            let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
            assert!(!found, "{} holds '{form}'", path.display());
        }
    }
}

#[test]
fn no_file_holds_the_token_or_the_user() {
    let server = Standin::builder()
        .token(TOKEN)
        .library(plexindex_standin::LibrarySpec::movies(50))
        .start()
        .expect("starts");
    let folder = tempfile::tempdir().expect("a folder");
    used(&server, folder.path());
    let with_user = Options {
        user: Some(USER.to_owned()),
        ..options(&server, folder.path())
    };
    let index = open(with_user, &clock());
    let library = index.library("Movies").expect("a handle");
    let (path, key) = path_of(&server, 1, 3);
    assert_eq!(answer(&library, &path).expect("an answer"), key);
    library.record_matches(&[(b"/host/a.mkv", &key)]).expect("recorded");
    // While it is open the write-ahead log is there too; another token is refused, and kept no better.
    let refused = Options {
        token: Token::new(&format!("{TOKEN}-refused")),
        ..options(&server, folder.path())
    };
    let stranger = open(refused, &clock());
    let library = stranger.library("Movies").expect("a handle");
    answer(&library, &path).expect_err("refused");
    assert_nowhere(folder.path(), TOKEN);
    assert_nowhere(folder.path(), USER);
    stranger.close().expect("closes");
    index.close().expect("closes");
    assert_nowhere(folder.path(), TOKEN);
    assert_nowhere(folder.path(), USER);
}

#[test]
fn users_and_tokens_are_told_apart_all_the_same() {
    let server = Standin::builder()
        .token(TOKEN)
        .library(plexindex_standin::LibrarySpec::movies(20))
        .start()
        .expect("starts");
    let folder = tempfile::tempdir().expect("a folder");
    let as_user = |user: Option<&str>| {
        let options = Options {
            user: user.map(str::to_owned),
            ..options(&server, folder.path())
        };
        open(options, &clock())
    };
    let (_, key) = path_of(&server, 1, 3);
    for (user, path) in [
        (Some("a"), "/host/a.mkv"),
        (Some("b"), "/host/b.mkv"),
        (None, "/host/none.mkv"),
    ] {
        let index = as_user(user);
        let library = index.library("Movies").expect("a handle");
        library.record_matches(&[(path.as_bytes(), &key)]).expect("recorded");
        assert_eq!(answer(&library, path).expect("an answer"), key);
    }
    let index = as_user(Some("b"));
    let library = index.library("Movies").expect("a handle");
    assert_eq!(answer(&library, "/host/b.mkv").expect("an answer"), key);
    assert_eq!(answer(&library, "/host/a.mkv").expect("an answer"), "NoLocation");
    assert_eq!(answer(&library, "/host/none.mkv").expect("an answer"), "NoLocation");
}

/// In a worker: makes every file there is under a mask.
pub fn masked(words: &[&str]) {
    // SAFETY: cannot fail; the mask is this process's own.
    unsafe { libc::umask(words[5].parse().expect("a mask")) };
    let options = crate::worker::options_at(words);
    let folder = options.cache_dir.clone();
    let index = open(options.clone(), &clock());
    let library = index.library("Movies").expect("a handle");
    assert_eq!(answer(&library, words[3]).expect("fetched"), words[4]);
    let paths: Vec<String> = (0..1_500).map(|number| format!("/host/{number}.mkv")).collect();
    let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (path.as_bytes(), words[4])).collect();
    library.record_matches(&pairs).expect("recorded");
    index.close().expect("closes");
    spoil(&folder.join("plexindex-2.db"), "garbage");
    let index = open(options, &clock());
    let library = index.library("Movies").expect("a handle");
    assert_eq!(answer(&library, words[3]).expect("fetched"), words[4]);
    say("open");
    told();
    index.close().expect("closes");
}

#[test]
fn only_the_owner_may_read_and_files_belong_to_the_owner_of_the_folder() {
    // Root in a container works for whom the folder belongs to.
    // SAFETY: cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    // A mask that forbids nothing, the usual ones, and ones that would keep their own user out.
    let masks = [0, 0o022, 0o077, 0o277, 0o777];
    let owners = [None, root.then_some(54_321)];
    let all = owners.into_iter().take(1 + usize::from(root));
    let all = all.flat_map(|owner| masks.map(|mask| (owner, mask)));
    for (owner, mask) in all.filter(|(owner, mask)| owner.is_none() || [0, 0o777].contains(mask)) {
        let mask = mask.to_string();
        let server = Standin::builder()
            .library(plexindex_standin::LibrarySpec::movies(50))
            .start()
            .expect("starts");
        let parent = tempfile::tempdir().expect("a folder");
        if let Some(owner) = owner {
            std::os::unix::fs::chown(parent.path(), Some(owner), Some(owner)).expect("given away");
        }
        let folder = parent.path().join("made/by us");
        let place = place(&folder, &server);
        let (path, key) = path_of(&server, 1, 3);
        let mut worker = Worker::start("masked", [&place[0], &place[1], &place[2], &path, &key, &mask]);
        assert_eq!(worker.hear(), "open");
        assert_modes(&folder, owner);
        let made = fs::metadata(parent.path().join("made")).expect("facts");
        assert_eq!(made.permissions().mode() & 0o777, 0o700);
        worker.end();
        assert_modes(&folder, owner);
    }
}

fn assert_modes(folder: &Path, owner: Option<u32>) {
    let facts = fs::metadata(folder).expect("facts");
    assert_eq!(facts.permissions().mode() & 0o777, 0o700);
    let mut kinds = 0;
    for entry in fs::read_dir(folder).expect("the folder") {
        let entry = entry.expect("an entry");
        let facts = entry.metadata().expect("facts");
        let name = entry.file_name().to_string_lossy().into_owned();
        assert_eq!(facts.permissions().mode() & 0o777, 0o600, "{name}");
        if let Some(owner) = owner {
            assert_eq!((facts.uid(), facts.gid()), (owner, owner), "{name}");
        }
        kinds += 1;
    }
    if let Some(owner) = owner {
        assert_eq!(facts.uid(), owner);
    }
    assert!(kinds >= 8, "{kinds} files");
}

/// The token of the next test, which stands nowhere as it is.
fn hidden() -> String {
    (0..32_u8).map(|nth| char::from(b'a' + (nth * 7 + 3) % 26)).collect()
}

/// How often it stands in the memory of this process that can be written: what a core image would hold.
fn in_memory() -> usize {
    use std::os::unix::fs::FileExt;
    let maps = fs::read_to_string("/proc/self/maps").expect("Linux");
    let memory = fs::File::open("/proc/self/mem").expect("this process's own");
    // Compared byte by byte with what is computed, so that looking leaves no copy. Its second half: an allocator writes into
    // the beginning of what was given back.
    let is_there = |bytes: &[u8]| (16..).zip(bytes).all(|(nth, byte)| *byte == b'a' + (nth * 7 + 3) % 26);
    let mut found = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = line
            .split(' ')
            .next()
            .and_then(|range| range.split_once('-'))
            .expect("a range");
        let place = |text| u64::from_str_radix(text, 16).expect("an address");
        let (from, to) = (place(from), place(to));
        let mut at = from;
        // By pages, so that what is looked at does not hold much of it.
        let mut page = vec![0; 1 << 16];
        while at < to {
            let length = page.len().min(usize::try_from(to - at).expect("small"));
            let read = memory.read_at(&mut page[..length], at).unwrap_or(0);
            let here = page.as_ptr() as u64;
            if !(here..here + page.len() as u64).contains(&at) {
                found += page[..read].windows(16).filter(|bytes| is_there(bytes)).count();
            }
            at += length as u64;
        }
    }
    found
}

/// In a worker: uses a token, and says how often it is in memory while the index is open, and afterwards.
pub fn remembered(words: &[&str]) {
    let open_one = || {
        let options = Options {
            cache_dir: Path::new(words[0]).to_owned(),
            server_url: Some(words[1].to_owned()),
            token: Token::new(&hidden()),
            ..Options::default()
        };
        open(options, &clock())
    };
    let index = open_one();
    let library = index.library("Movies").expect("a handle");
    assert_eq!(answer(&library, words[2]).expect("fetched"), words[3]);
    let before = in_memory();
    index.close().expect("closes");
    drop(library);
    say(&format!("{before} {}", in_memory()));
    told();
}

#[test]
fn closing_gives_back_the_memory_that_holds_the_token() {
    let server = Standin::builder()
        .token(&hidden())
        .library(plexindex_standin::LibrarySpec::movies(50))
        .start()
        .expect("starts");
    let folder = tempfile::tempdir().expect("a folder");
    let (path, key) = path_of(&server, 1, 3);
    let url = server.url();
    let place = folder.path().display().to_string();
    let mut worker = Worker::start("remembered", [&*place, &*url, &*path, &*key]);
    let said = worker.hear();
    worker.end();
    println!("in memory while open, and when closed: {said}");
    let (open, closed) = said.split_once(' ').expect("two numbers");
    let number = |text: &str| text.parse::<u32>().expect("a number");
    assert!(
        number(open) > 0,
        "it is needed while the index is open, and looking finds it"
    );
    // Memory that is given back is not cleaned: SECURITY.md says so.
    assert!(number(closed) < number(open), "closing gives back what holds it");
}
