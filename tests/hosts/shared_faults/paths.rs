//! Paths are each host's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use plexindex::model::MatchKind;
use plexindex::options::{Mapping, Options};
use plexindex_sharing::{EntryKind, NewEntry, SharedIndex};
use plexindex_standin::{LibraryKind, LibrarySpec, Standin};

use crate::shared_faults::hosts::{Host, World, exchange};
use crate::support::{movie, path_of};

/// The machine that runs Plex has the server's paths, and no mapping.
#[test]
fn a_host_with_the_servers_paths_shares_its_matches() {
    let world = World::of(20);
    let mapped = || world.host_with(|options| options.mappings = vec![Mapping::host_to_server("/mnt", "/data")]);
    let (one, two, three) = (mapped(), world.host_with(|_| {}), mapped());
    let (listed, wrong) = path_of(&world.server, 1, 1);
    let (_, right) = path_of(&world.server, 1, 8);
    assert_eq!(two.known(&listed), Some((wrong, MatchKind::Exact)));
    let on_mount = listed.replacen("/data", "/mnt", 1);
    let new = ["/mnt/movies/new.mkv", "/data/movies/new.mkv"];
    for (path, servers) in [(on_mount.as_str(), listed.as_str()), (new[0], new[1])] {
        one.record(path, &right);
        exchange(&[&one, &two, &three]);
        assert_eq!(two.confirmed(servers), Some(right.clone()), "{servers}");
        assert_eq!(three.confirmed(path), Some(right.clone()), "{path}");
        two.movies.invalidate_path(servers.as_bytes()).expect("invalidated");
        exchange(&[&two, &one, &three]);
        assert_eq!((one.confirmed(path), three.confirmed(path)), (None, None), "{path}");
    }
    two.record("/data/movies/other.mkv", &right);
    two.record("/downloads/movie.mkv", &right);
    exchange(&[&two, &one]);
    assert_eq!(one.confirmed("/mnt/movies/other.mkv"), Some(right));
    assert_eq!(one.confirmed("/downloads/movie.mkv"), None);
}

/// The server's spelling of a path is another file here, where a mapping leads elsewhere.
#[test]
fn the_servers_spelling_may_be_another_file_here() {
    let world = World::of(20);
    let (one, two) = (world.host(), world.host());
    let (_, key) = path_of(&world.server, 1, 3);
    two.record("/media/odd.mkv", &key); // a file of this host
    one.record("/mnt/odd.mkv", &key);
    exchange(&[&one, &two]);
    assert_eq!(two.confirmed("/mnt/odd.mkv"), Some(key.clone()));
    one.movies.invalidate_path(b"/mnt/odd.mkv").expect("invalidated");
    exchange(&[&one, &two]);
    assert_eq!(two.confirmed("/mnt/odd.mkv"), None);
    two.movies.ask("/media/odd.mkv");
    assert_eq!(two.confirmed("/media/odd.mkv"), Some(key));
}

#[test]
fn processes_with_other_mappings_read_the_log_once_each() {
    let world = World::of(20);
    let (one, two) = (world.host(), world.host());
    let options = Options {
        mappings: vec![Mapping::host_to_server("/volume", "/media")],
        ..two.options.clone()
    };
    let other = world.open(options, Arc::clone(&two.clock), None);
    let (_, key) = path_of(&world.server, 1, 3);
    let taken = |host: &Host| host.index.shared_progress().and_then(|place| place.taken);
    for nth in 0..3 {
        let path = |root| format!("{root}/odd {nth}.mkv");
        one.record(&path("/mnt"), &key);
        exchange(&[&one, &two, &other]);
        assert_eq!(two.confirmed(&path("/mnt")), Some(key.clone()));
        assert_eq!(other.confirmed(&path("/volume")), Some(key.clone()));
        assert_eq!([taken(&two), taken(&other)], [taken(&one); 2]);
    }
}

/// Each batch takes longer than the call may.
#[test]
fn a_call_that_joins_a_long_log_keeps_its_deadline() {
    let world = World::of(20);
    let _one = world.host();
    let (_, key) = path_of(&world.server, 1, 3);
    let library = world.library();
    let of = |nth| {
        NewEntry::new(
            EntryKind::Match,
            &library,
            format!("/media/{nth}.mkv").as_bytes(),
            key.clone().into(),
        )
    };
    world.plant(&(0..5_000).map(of).collect::<Vec<_>>());
    let two = world.new_host(|options| options.mappings = vec![Mapping::host_to_server("/mnt", "/media")]);
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    two.gate.set(move |call, is_made| {
        if call == "read" && !is_made {
            counted.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(300));
        }
        Ok(())
    });
    let query = two.movies.query().within(Duration::from_millis(200));
    let mut calls = 0..60;
    let mut kind = None;
    while kind != Some(MatchKind::Confirmed) {
        let call = calls.next().expect("each call goes on");
        let before = reads.load(Ordering::SeqCst);
        let answer = two.index.match_path(&query, b"/mnt/4999.mkv");
        kind = answer.ok().map(|answer| answer.match_kind);
        let read = reads.load(Ordering::SeqCst) - before;
        assert!(read <= 2, "{read} batches in call {call}");
    }
}

#[test]
fn paths_of_windows_and_bytes_that_are_no_text_are_shared() {
    let mut spec = LibrarySpec::new(LibraryKind::Movie, 0);
    spec.plain = true;
    let server = Standin::builder()
        .library(spec)
        .items(
            1,
            [
                movie("A", "D:\\Media\\A (2001)\\A.mkv"),
                movie("B", "D:\\Media\\B (2002)\\B.mkv"),
            ],
        )
        .start()
        .expect("started");
    let world = World::over(server);
    let mapped = |root: &'static str| {
        world.host_with(move |options| options.mappings = vec![Mapping::host_to_server(root, "D:\\Media")])
    };
    let (one, two) = (mapped("/mnt/nas"), mapped("/Volumes/Media"));
    let (_, key) = path_of(&world.server, 1, 1);
    one.record("/mnt/nas/odd/file.mkv", &key);
    let bytes = b"/mnt/nas/odd/\xff\xfe.mkv";
    one.movies
        .record_matches(&[(bytes.as_slice(), &key)])
        .expect("recorded");
    exchange(&[&one, &two]);
    assert_eq!(two.confirmed("/Volumes/Media/odd/file.mkv"), Some(key.clone()));
    assert_eq!(
        two.known_bytes(b"/Volumes/Media/odd/\xff\xfe.mkv"),
        Some((key.clone(), MatchKind::Confirmed))
    );
    assert_eq!(
        two.known("/Volumes/Media/A (2001)/A.mkv").map(|(_, kind)| kind),
        Some(MatchKind::Mapped)
    );
    two.movies
        .invalidate_path(b"/Volumes/Media/odd/\xff\xfe.mkv")
        .expect("invalidated");
    exchange(&[&two, &one]);
    assert_eq!(one.known_bytes(bytes), None);
}
