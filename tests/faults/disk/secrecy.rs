//! Only its owner may read the store, and what is secret is not in it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::ptr::{null, null_mut};

use plexindex::model::Token;
use plexindex_abi::{
    plexindex_call, plexindex_close, plexindex_free, plexindex_open, plexindex_refresh, types as capi,
};
use plexindex_standin::{Action, Fault, Kind, Standin};

use super::broken::{answer, spoil};
use super::{OTHER, is_root};
use crate::support::index::freeze_coarse_clock;
use crate::support::worker::{Worker, say, told, until};
use crate::support::{clock, files_in, movies, open, options, path_of};

const USER: &str = "Perpetua Featherstonehaugh";

fn assert_nowhere(folder: &Path, secret: &str) {
    let digits: Vec<String> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let hex = digits.concat();
    for path in files_in(folder) {
        let bytes = fs::read(&path).expect("read");
        for form in [secret, &hex, &secret.to_uppercase(), &secret.replace(' ', "%20")] {
            let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
            assert!(!found, "{} holds '{form}'", path.display());
        }
    }
}

/// A JSON Web Token of Perpetua's, by its number: its parts, and what it claims.
fn web_token(number: u32) -> (String, Vec<String>) {
    // {"exp":4102444800,"thumbprint":"0123456789abcdef-of-her-keys","username":"Perpetua Featherstonehaugh",
    //  "email":"perpetua@example.org","scope":["friends&family","of-Perpetua"],
    //  "servers":{"hers-at-home":{"address":"192.0.2.77:32400"}}}
    let payload = "eyJleHAiOjQxMDI0NDQ4MDAsInRodW1icHJpbnQiOiIwMTIzNDU2Nzg5YWJjZGVmLW9mLWhlci1rZXlzIiwidXNlcm5hbWUiOiJQZXJwZX\
                   R1YSBGZWF0aGVyc3RvbmVoYXVnaCIsImVtYWlsIjoicGVycGV0dWFAZXhhbXBsZS5vcmciLCJzY29wZSI6WyJmcmllbmRzJmZhbWlseSIs\
                   Im9mLVBlcnBldHVhIl0sInNlcnZlcnMiOnsiaGVycy1hdC1ob21lIjp7ImFkZHJlc3MiOiIxOTIuMC4yLjc3OjMyNDAwIn19fQ";
    let signature = format!("c2lnbmF0dXJlLW9mLVBsZXgt{number:04}");
    let token = format!("eyJhbGciOiJFZERTQSJ9.{payload}.{signature}");
    let claims = [
        "0123456789abcdef-of-her-keys",
        USER,
        "perpetua@example.org",
        "friends&family",
        "of-Perpetua",
        "hers-at-home",
        "192.0.2.77:32400",
        "4102444800",
    ];
    let mut secrets: Vec<String> = claims.map(str::to_owned).into();
    let user = format!(r#"["{}","{USER}"]"#, claims[0]);
    secrets.extend([token.clone(), payload.to_owned(), signature, user]);
    (token, secrets)
}

#[test]
fn no_file_log_line_or_error_holds_a_web_token_its_parts_or_its_claims() {
    let (tokens, secrets): (Vec<_>, Vec<_>) = (0..3).map(web_token).unzip();
    let server = Standin::builder()
        .tokens(tokens[..2].iter().map(|token| plexindex_standin::Token::owner(token)))
        .library(plexindex_standin::LibrarySpec::movies(50))
        .serve();
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(options(&server, folder.path()), &clock());
    let library = index.movies();
    let (path, key) = path_of(&server, 1, 3);
    assert_eq!(answer(&library, &path).expect("an answer"), key);
    // Renewed, and accepted; then one that the server refuses.
    index.set_token(Token::new(&tokens[1])).expect("set");
    assert_eq!(answer(&library, &path).expect("an answer"), key);
    index.set_token(Token::new(&tokens[2])).expect("set");
    let mut told = vec![answer(&library, &path).expect_err("refused").to_string()];
    let spaced = index.set_token(Token::new(&format!("{} ", tokens[0])));
    told.push(spaced.expect_err("refused").to_string());
    // A server that says what it refuses, as it is, in capitals, and cut off.
    let spellings = |secret: &String| {
        let cut = secret[..secret.len() - 1].to_owned();
        [secret.clone(), secret.to_uppercase(), cut]
    };
    for spelled in secrets[2].iter().flat_map(spellings) {
        server.clear_faults();
        let body = format!("<html><title>[{spelled}]</title>");
        server.fault(
            Fault::new(Action::Body {
                status: 400,
                content_type: "text/html".to_owned(),
                body,
            })
            .times(0),
        );
        let asked = index.query().server();
        let error = asked.expect_err("refused").to_string();
        assert!(error.contains("***"), "{spelled}: {error}");
        assert!(!error.contains(&spelled), "{error}");
        told.push(error);
    }
    told.push(format!("{:?} {:?}", index.counts(), Token::new(&tokens[0])));
    let nowhere = || {
        for secret in secrets.iter().flatten() {
            assert_nowhere(folder.path(), secret);
            assert!(told.iter().all(|text| !text.contains(secret)), "{told:?}");
        }
    };
    nowhere();
    index.close().expect("closes");
    nowhere();
}

/// In a worker: makes every file there is under a mask.
pub fn masked(words: &[&str]) {
    // SAFETY: cannot fail; the mask is this process's own.
    unsafe { libc::umask(words[5].parse().expect("a mask")) };
    freeze_coarse_clock(0); // no other process has to notice that the version page goes
    let options = crate::support::worker::options_at(words);
    let folder = options.cache_dir.clone();
    let index = open(options.clone(), &clock());
    let library = index.movies();
    assert_eq!(answer(&library, words[3]).expect("fetched"), words[4]);
    let paths: Vec<String> = (0..1_500).map(|number| format!("/host/{number}.mkv")).collect();
    library
        .record_matches(paths.iter().map(|path| (path, words[4])))
        .expect("recorded");
    index.close().expect("closes");
    spoil(&folder.join("plexindex-1.db"), "garbage");
    let index = open(options, &clock());
    let library = index.movies();
    assert_eq!(answer(&library, words[3]).expect("fetched"), words[4]);
    say("open");
    told();
    index.close().expect("closes");
}

#[test]
fn only_the_owner_may_read_and_files_belong_to_the_owner_of_the_folder() {
    // Root in a container works for whom the folder belongs to.
    let root = is_root();
    // A mask that forbids nothing, the usual ones, and ones that would keep their own user out.
    let masks = [0, 0o022, 0o077, 0o277, 0o777];
    let owners = [None, root.then_some(OTHER)];
    let all = owners.into_iter().take(1 + usize::from(root));
    let all = all.flat_map(|owner| masks.map(|mask| (owner, mask)));
    for (owner, mask) in all.filter(|(owner, mask)| owner.is_none() || [0, 0o777].contains(mask)) {
        let mask = mask.to_string();
        let server = movies(50);
        let parent = tempfile::tempdir().expect("a folder");
        if let Some(owner) = owner {
            std::os::unix::fs::chown(parent.path(), Some(owner), Some(owner)).expect("given away");
        }
        let folder = parent.path().join("made/by us");
        let (path, key) = path_of(&server, 1, 3);
        let mut worker = Worker::at("masked", &folder, &server, &[&path, &key, &mask]);
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

/// The token of the next test, which stands nowhere as it is: made in one piece of memory, by `wiped` removed from there.
fn hidden() -> Vec<u8> {
    let mut token = Vec::with_capacity(32);
    token.extend((0..32_u8).map(|nth| b'a' + (nth * 7 + 3) % 26));
    token
}

fn wiped(mut token: Vec<u8>) {
    token.fill(0);
    std::hint::black_box(&mut token);
}

/// How often a piece of the token stands in the memory of a process that can be written: what a core image would hold.
fn in_memory(process: u32) -> usize {
    use std::os::unix::fs::FileExt;
    const PIECE: usize = 12;
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("Linux");
    let memory = fs::File::open(format!("/proc/{process}/mem")).expect("a child's");
    let token = hidden();
    let mut found = 0;
    let mut page = vec![0; 1 << 20];
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let (from, to) = range.expect("a range");
        let place = |text| u64::from_str_radix(text, 16).expect("an address");
        let (mut at, to) = (place(from), place(to));
        while at < to {
            let length = page.len().min(usize::try_from(to - at).expect("small"));
            let read = memory.read_at(&mut page[..length], at).unwrap_or(0);
            // Any piece of it: an allocator writes into the beginning of what was given back. Each holds one of these bytes.
            let is_piece = |bytes: &[u8]| token.windows(PIECE).any(|piece| piece == bytes);
            let mut next = 0;
            for nth in (0..read).step_by(PIECE) {
                if nth < next || !page[nth].is_ascii_lowercase() {
                    continue;
                }
                let begins = nth.saturating_sub(PIECE - 1).max(next)..(nth + 1).min(read.saturating_sub(PIECE) + 1);
                let piece = begins.into_iter().find(|from| is_piece(&page[*from..from + PIECE]));
                if let Some(from) = piece {
                    found += 1;
                    next = from + token.len();
                }
            }
            at += length as u64;
        }
    }
    found
}

/// In a worker, through the C ABI, as hosts do it: uses a token, and says when the index is open and when it is closed.
pub fn remembered(words: &[&str]) {
    let given = |bytes: &[u8]| capi::Bytes {
        data: bytes.as_ptr().cast(),
        length: bytes.len(),
    };
    let mut handle = null_mut();
    let token = hidden();
    // SAFETY: structs of zeroes with their sizes set, pointers to what lives here, and plain calls.
    unsafe {
        let options = capi::OptionsRecord {
            size: size_of::<capi::OptionsRecord>(),
            cache_dir: given(words[0].as_bytes()),
            server_url: given(words[1].as_bytes()),
            token: given(&token),
            ..std::mem::zeroed()
        };
        assert_eq!(plexindex_open(&raw const options, &raw mut handle, null_mut()), 0);
        wiped(token);
        let all = capi::QueryRecord {
            size: size_of::<capi::QueryRecord>(),
            ..std::mem::zeroed()
        };
        assert_eq!(plexindex_refresh(handle, &raw const all, null_mut()), 0);
        let (watch, mut json) = (c"watch.start".as_ptr(), null_mut());
        let status = plexindex_call(handle, watch, null(), 0, null(), &raw mut json, null_mut());
        assert_eq!(status, 0);
        plexindex_free(json);
        say("open");
        told();
        assert_eq!(plexindex_close(handle, null_mut()), 0);
    }
    say("closed");
    told();
}

#[test]
fn a_core_image_holds_the_token_once_while_it_is_open_and_not_at_all_when_it_is_closed() {
    let token = String::from_utf8(hidden()).expect("letters");
    let server = Standin::builder()
        .token(&token)
        .library(plexindex_standin::LibrarySpec::movies(50))
        .serve();
    let folder = tempfile::tempdir().expect("a folder");
    let url = server.url();
    let place = folder.path().display().to_string();
    let mut worker = Worker::start("remembered", [&*place, &*url]);
    assert_eq!(worker.hear(), "open");
    until("the server's events come", || server.stats().of(Kind::Events) > 0);
    let open = in_memory(worker.id());
    assert_eq!(worker.ask("close"), "closed");
    let closed = in_memory(worker.id());
    worker.end();
    assert_eq!((open, closed), (1, 0), "in memory while open, and when closed");
}
