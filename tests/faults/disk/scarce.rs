//! No thread, no descriptor, no address space: a status with a clear text, and all well again once there is some.

use crate::support::index::Ask as _;
use plexindex::error::Status;

use super::broken::answer;
use crate::support::Scene;
use crate::support::worker::{Worker, options_at, place, say, told};
use crate::support::{add, clock, path_of, segments, try_open};

/// In a worker: no more address space than so many bytes.
fn limit(to: u64) {
    crate::support::worker::limit(libc::RLIMIT_AS, to);
}

/// Bytes of address space that this process has.
fn address_space() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = text.split(' ').next().and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("a number") * 4096
}

/// In a worker: no room for another thread's stack.
pub fn without_threads(words: &[&str]) {
    let index = try_open(options_at(words), &clock()).expect("opens");
    let library = index.movies();
    // What the allocator will need is taken before.
    drop(vec![1_u8; 256 << 10]);
    say("ready");
    limit(address_space() + (1 << 20));
    let asked = answer(&library, words[3]).map(drop);
    let refreshed = library.query().refreshed(true).map(drop);
    let errors = [asked, refreshed, index.watch_start(<_>::default()).map(drop)];
    limit(libc::RLIM_INFINITY);
    for error in errors {
        let error = error.expect_err("no thread");
        assert_eq!(error.status, Status::Store, "{error}");
        assert!(error.message.contains("ulimit"), "{error}");
    }
    assert_eq!(answer(&library, words[3]).expect("an answer"), words[4]);
    say("done");
    told();
}

#[test]
fn without_a_thread_there_is_a_status() {
    let at = Scene::movies(10);
    let (path, key) = path_of(&at.server, 1, 3);
    let mut worker = at.worker("without threads", &[&path, &key]);
    assert_eq!(worker.hear(), "ready");
    worker.done();
}

/// In a worker: no more than so many descriptors.
fn limit_descriptors(to: Option<u64>) {
    crate::support::worker::limit(libc::RLIMIT_NOFILE, to.unwrap_or(u64::MAX));
}

/// In a worker: all there is to do, with so many descriptors left, from none to more than are needed.
pub fn without_descriptors(words: &[&str]) {
    let options = options_at(words);
    let index = try_open(options.clone(), &clock()).expect("opens");
    let library = index.movies();
    assert_eq!(answer(&library, words[3]).expect("fetched"), words[4]);
    let (mut failed, mut taken) = (0, Vec::new());
    for left in 0..16 {
        let used = std::fs::read_dir("/proc/self/fd").expect("Linux").count() as u64 - 1;
        limit_descriptors(Some(used + left));
        // A hit needs none.
        assert_eq!(library.fast(words[3]).as_deref(), Some(words[4]));
        let other = try_open(options.clone(), &clock());
        let path = format!("/host/{left}.mkv");
        let recorded = library.record_match(&path, words[4]);
        let listed = library.query().refreshed(true).map(drop);
        let found = answer(&library, words[3]);
        if let Ok(found) = &found {
            assert_eq!(found, words[4]);
        }
        if recorded.is_ok() {
            taken.push(path);
        }
        let errors = [other.err(), recorded.err(), listed.err(), found.err()];
        for error in errors.into_iter().flatten() {
            assert!(!error.message.is_empty());
            failed += 1;
        }
        limit_descriptors(None);
    }
    assert!(failed > 0, "there were too many descriptors");
    assert!(taken.len() > 1, "and too few: {failed} calls failed");
    library.query().refreshed(true).expect("listed");
    for path in taken {
        assert_eq!(answer(&library, &path).expect("an answer"), words[4]);
    }
    index.close().expect("closes");
    crate::support::worker::assert_sound(&options.cache_dir);
    say("done");
    told();
}

#[test]
fn without_descriptors_calls_say_so_and_hits_go_on() {
    let at = Scene::movies(10);
    let (path, key) = path_of(&at.server, 1, 3);
    at.worker("without descriptors", &[&path, &key]).done();
}

/// In a worker: lookups while there is no address space for the index file that another process publishes.
pub fn little_space(words: &[&str]) {
    let options = options_at(words);
    let index = try_open(options.clone(), &clock()).expect("opens");
    let library = index.movies();
    assert_eq!(answer(&library, words[3]).expect("fetched"), words[4]);
    say("ready");
    // What the allocator will need is taken before.
    drop(vec![1_u8; 256 << 10]);
    let mut failed = 0;
    while let Some(room) = told().filter(|told| told != "end") {
        limit(address_space() + room.parse::<u64>().expect("a number"));
        for _ in 0..50 {
            let fast = library.lookup_key(words[3].as_bytes(), |found| found == words[4]);
            assert_ne!(fast, Some(false), "a wrong answer");
            match answer(&library, words[3]) {
                Ok(found) => assert_eq!(found, words[4]),
                Err(error) => {
                    assert_eq!(error.status, Status::Store, "{error}");
                    failed += 1;
                }
            }
        }
        limit(libc::RLIM_INFINITY);
        // It recovers by itself.
        assert_eq!(answer(&library, words[3]).expect("an answer"), words[4]);
        assert_eq!(library.fast(words[3]).as_deref(), Some(words[4]));
        say("right");
    }
    index.close().expect("closes");
    crate::support::worker::assert_sound(&options.cache_dir);
    say(&format!("{failed} calls said why not"));
    told();
}

#[test]
fn with_little_address_space_lookups_go_on_or_say_why_not() {
    let at = Scene::movies(7_650);
    let place = place(at.folder(), &at.server);
    let (path, key) = path_of(&at.server, 1, 3);
    let lister = try_open(options_at(&[&place[0], &place[1], &place[2]]), &clock()).expect("opens");
    let library = lister.movies();
    library.query().refreshed(true).expect("listed");
    let lengths = segments(at.folder())
        .into_iter()
        .map(|path| path.metadata().expect("facts").len());
    let bytes = lengths.sum::<u64>();
    // An arena of a thread's own has address space to spare.
    let words = [&place[0], &place[1], &place[2], &path, &key];
    let mut worker = Worker::start_in("little space", &words, &[("MALLOC_ARENA_MAX", "1")]);
    assert_eq!(worker.hear(), "ready");
    // From less than the file takes to more than it does.
    for (round, room) in [bytes / 4, bytes / 2, bytes * 8].into_iter().enumerate() {
        add(&at.server, &[format!("/data/movies/New {round}/New {round}.mkv")]);
        library.query().refreshed(true).expect("listed");
        assert_eq!(worker.ask(&room.to_string()), "right");
    }
    println!("{}", worker.ask("end"));
    worker.end();
}
