// Links need a right on Windows, so the tests with links are left out.
#![cfg_attr(windows, allow(dead_code, unused_imports))]

//! Rules by name, `.plexignore`, and walks over a tree of this machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;

use super::ignored::Ignored;
use super::rules::Rule;
use super::rules::{rule_for_file, rule_for_folder};
use super::walk_request::{Finding, WalkFindings};
use super::{ListedStatus, Location, MediaTypes, Rules, WalkProgress, WalkRequest, WalkStarts, walk};
use crate::model::LibraryKind;
use crate::platform::files::{bytes_of, path_from_bytes};
use crate::platform::local_path::{normalize_host_path, to_native};

fn all() -> Rules {
    Rules::ALL
}

fn movies() -> MediaTypes {
    MediaTypes::of(&[LibraryKind::Movie])
}

#[test]
fn names_are_of_rules() {
    for rule in Rule::ALL {
        let one = Rules::from_names(&[rule.name()]).expect("a rule");
        assert!(
            Rule::ALL.into_iter().all(|other| one.has(other) == (other == rule)),
            "{rule:?}"
        );
    }
    assert_eq!(Rules::from_names(&Rule::ALL.map(Rule::name)), Ok(all()));
    assert!(Rules::from_names(&["no such rule"]).is_err());
    assert!(!all().outside_libraries().has(Rule::Extras) && all().outside_libraries().has(Rule::Hidden));
}

#[test]
fn media_end_as_those_of_their_library() {
    for (name, movie, artist, photo, any) in [
        ("a.MKV", true, false, true, true),
        ("a.b.dvr-ms", true, false, true, true),
        ("a.flac", false, true, false, true),
        ("a.jpeg", false, false, true, true),
        ("a.mkv.part", false, false, false, false),
        ("mkv", false, false, false, false),
        ("a.", false, false, false, false),
        ("a.very-long", false, false, false, false),
    ] {
        let is = |kind| MediaTypes::of(&[kind]).has_extension(name.as_bytes());
        let seen = (
            is(LibraryKind::Movie),
            is(LibraryKind::Artist),
            is(LibraryKind::Photo),
            is(LibraryKind::Other),
        );
        assert_eq!(seen, (movie, artist, photo, any), "{name}");
        assert_eq!(MediaTypes::of(&[]).has_extension(name.as_bytes()), any, "{name}");
    }
    assert!(MediaTypes::of(&[LibraryKind::Artist, LibraryKind::Show]).has_extension(b"a.mkv"));
}

#[test]
fn folders_are_left_out_by_their_names() {
    let system = Some(Rule::System);
    for (name, rule) in [
        ("@eaDir", system),
        ("LOST+FOUND", system),
        (".AppleDouble", system),
        ("A Film.itlp", system),
        ("My.photoslibrary", system),
        ("#recycle", system),
        (".hidden", Some(Rule::Hidden)),
        ("_UNPACK_Film", Some(Rule::Unpacking)),
        ("Film_failed_", Some(Rule::Unpacking)),
        ("BDMV", Some(Rule::Discs)),
        ("video_ts", Some(Rule::Discs)),
        ("VIDEO_TS2", None),
        ("Sample", Some(Rule::Samples)),
        ("!sample x", Some(Rule::Samples)),
        ("Extras", Some(Rule::Extras)),
        ("extra - cut", Some(Rule::Extras)),
        ("Extraction (2020)", None),
        ("extrasé", None),
        ("Bonus", Some(Rule::Extras)),
        ("The Bonus Disc", Some(Rule::Extras)),
        ("Interviews", Some(Rule::Extras)),
        ("Interviewing", None),
        ("Deleted", Some(Rule::Extras)),
        ("Deleted Scenes", Some(Rule::Extras)),
        ("deleted.scene", Some(Rule::Extras)),
        ("DeletedScenes", Some(Rule::Extras)),
        ("Deleted Scenes of it", None),
        ("Behind The Scenes", Some(Rule::Extras)),
        ("behindthescenes", Some(Rule::Extras)),
        ("Behind The Scene", None),
        ("Shorts", Some(Rule::Extras)),
        ("Short Circuit (1986)", None),
        ("Film (2001)", None),
        ("$RECYCLE.BIN", None),
    ] {
        assert_eq!(rule_for_folder(name.as_bytes(), all(), movies(), false), rule, "{name}");
        let music = rule_for_folder(name.as_bytes(), all(), MediaTypes::of(&[LibraryKind::Artist]), false);
        assert_eq!(
            music,
            rule.filter(|rule| *rule as u32 <= Rule::Unpacking as u32),
            "{name}"
        );
    }
    assert_eq!(rule_for_folder(b"$RECYCLE.BIN", all(), movies(), true), system);
    assert_eq!(rule_for_folder(b"Extras", all(), movies(), true), None);
    assert_eq!(
        rule_for_folder(b".x", Rules::from_names::<&str>(&[]).expect("none"), movies(), true),
        None
    );
}

#[test]
fn files_are_left_out_by_their_names() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, rule) in [
        (".x.mkv", Some(Rule::Hidden)),
        ("film-sample.mkv", Some(Rule::Samples)),
        ("sample.film.mkv", Some(Rule::Samples)),
        ("resample sample.mkv", Some(Rule::Samples)),
        ("resampled.mkv", None),
        ("film-trailer.mkv", Some(Rule::Extras)),
        ("film-Short.mkv", Some(Rule::Extras)),
        ("movie-trailer 2.mkv", Some(Rule::Extras)),
        ("trailer", Some(Rule::Extras)),
        ("trailer.mkv", None),
        ("film.mkv", None),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, b"x").expect("a file");
        assert_eq!(rule_for_file(&path, name.as_bytes(), all(), movies()), rule, "{name}");
    }
    let empty = folder.path().join("empty.mkv");
    fs::write(&empty, b"").expect("a file");
    assert_eq!(rule_for_file(&empty, b"empty.mkv", all(), movies()), Some(Rule::Empty));
    let large = folder.path().join("large sample.mkv");
    fs::File::create(&large)
        .and_then(|file| file.set_len(300 << 20))
        .expect("a file");
    assert_eq!(rule_for_file(&large, b"large sample.mkv", all(), movies()), None);
}

/// Returns whether a line matches a file, or a folder, below `/m`.
fn names(line: &[u8], path: &str) -> (bool, bool) {
    let ignored = Ignored::new(b"/m", line);
    let path = path.as_bytes();
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    (
        ignored.match_file(path, name).is_some(),
        ignored.match_folder(path).is_some(),
    )
}

#[test]
fn many_plain_names_in_a_plexignore_cost_no_more_than_few() {
    let mut text = b"First?.mkv\n".to_vec();
    for number in 0..20_000 {
        text.extend_from_slice(format!("Film {number}.mkv\nshows/{number}.mkv\n").as_bytes());
    }
    text.extend_from_slice(b"film 7.MKV\nFilm*\n\xC4\xB0x.mkv\n");
    let ignored = Ignored::new(b"/m", &text);
    let told = |name: &str| {
        let path = format!("/m/{name}");
        ignored.match_file(path.as_bytes(), name.as_bytes())
    };
    let begun = std::time::Instant::now();
    for number in 0..20_000 {
        assert_eq!(told(&format!("other {number}.mkv")), None);
    }
    assert!(begun.elapsed().as_secs() < 5, "each name was compared with each line");
    // The first line that matches is reported, plain or not.
    let line = |line: &str| Some([format!("'{line}' in ").as_bytes(), &to_native(b"/m/.plexignore")].concat());
    assert_eq!(told("FILM 7.mkv"), line("Film 7.mkv"));
    assert_eq!(told("first1.mkv"), line("First?.mkv"));
    assert_eq!(told("Film x.mkv"), line("Film*"));
    assert_eq!(told("shows/9.mkv"), line("shows/9.mkv"));
    // A character that is longer in lower case is compared as it is.
    assert_eq!(told("\u{130}X.mkv"), line("\u{130}x.mkv"));
    assert_eq!(told("i\u{307}x.mkv"), None);
}

#[test]
fn a_plexignore_is_no_gitignore() {
    for (line, path, expected) in [
        ("*.avi", "/m/a/b/X.AVI", (true, false)),
        ("*.avi", "/m/x.avi.mkv", (false, false)),
        ("a?c", "/m/a\u{e9}C", (true, false)),
        ("[a-c]x", "/m/Bx", (true, false)),
        ("[!a-c]x", "/m/bx", (false, false)),
        ("[!]]x", "/m/]x", (false, false)),
        ("[]]x", "/m/]x", (true, false)),
        ("[z-a]x", "/m/bx", (false, false)),
        ("[x", "/m/[x", (true, false)),
        ("a.b", "/m/aXb", (false, false)),
        ("*a*b*", "/m/xxaxxabxx", (true, false)),
        ("\\#x", "/m/#x", (true, false)),
        ("#x", "/m/#x", (false, false)),
        ("  x.mkv \r", "/m/x.mkv", (true, false)),
        ("!x.mkv", "/m/x.mkv", (false, false)),
        ("/x.mkv", "/m/x.mkv", (false, false)),
        ("Left/*", "/m/Left", (true, true)),
        ("Left/*", "/m/Left/x", (true, true)),
        ("Left/*", "/m/left/x", (false, false)),
        ("Left/*", "/m/Other/Left", (false, false)),
        ("Left/*", "/m/Left/x/y", (false, false)),
        ("a/*/c", "/m/a/b/c", (true, true)),
        ("a/*/c", "/m/a/bb", (true, true)),
        ("Kept/", "/m/Kept", (true, true)),
        ("x", "/other/x", (false, false)),
    ] {
        assert_eq!(names(line.as_bytes(), path), expected, "{line} and {path}");
    }
    // Names that are not UTF-8.
    let told = Ignored::new(b"/m/", b"\n# none\nodd*\xFF?.mkv\n")
        .match_file(b"/m/odd \xFE\xFF\xFD.mkv", b"odd \xFE\xFF\xFD.mkv");
    assert_eq!(
        told,
        Some([b"'odd*\xFF?.mkv' in ", &*to_native(b"/m/.plexignore")].concat())
    );
}

/// Walks below these folders in one call.
fn walk_folders(
    folders: &[(bool, Vec<u8>)],
    locations: &[Location],
    max_names: usize,
    is_first: bool,
    progress: Option<&mut WalkProgress>,
) -> (WalkFindings, bool) {
    let folders = folders.iter().map(|(twin, folder)| (*twin, folder.as_slice()));
    let request = WalkRequest {
        starts: &WalkStarts {
            folders: folders.collect(),
            files: Vec::new(),
        },
        locations,
        rules: all(),
        max_names,
        until: Instant::now() + Duration::from_secs(60),
        is_first,
        is_listed: &|paths, each| paths.iter().for_each(|path| each(path.ends_with(b"listed.mkv"))),
        status: &|_, _| ListedStatus::Unlisted,
    };
    walk(&request, progress)
}

/// Returns the findings of a walk in calls that read this many names each: kind, cause, and the path below the folder.
/// Every other call is rolled back and repeated.
fn found(root: &Path, locations: &[Location], max_names: usize) -> (Vec<(String, String, String)>, u64) {
    let root = normalize_host_path(bytes_of(root)).into_owned();
    let (mut left, mut told, mut files) = (vec![(false, root.clone())], Vec::new(), 0);
    let (mut progress, mut is_over, mut calls) = (WalkProgress::default(), false, 0);
    while !is_over {
        calls += 1;
        assert!(calls < 20_000, "the walk has no end");
        let walked;
        (walked, is_over) = walk_folders(&left, locations, max_names, calls == 1, Some(&mut progress));
        files += walked.files;
        let mut rest = Vec::new();
        for finding in walked.found {
            let path = normalize_host_path(&finding.path.0);
            if finding.kind == "folder" {
                rest.push((finding.twin, path.into_owned()));
                continue;
            }
            let below = String::from_utf8_lossy(path.strip_prefix(&*root).unwrap_or(&path));
            let twin = if finding.twin { "twin_" } else { "" };
            let cause = finding
                .errno
                .map_or(finding.cause.to_owned(), |errno| errno.to_string());
            told.push((
                format!("{twin}{}", finding.kind),
                cause,
                below.trim_start_matches('/').to_owned(),
            ));
        }
        left = rest;
    }
    (told, files)
}

fn make(root: &Path, name: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("a folder above")).expect("folders");
    fs::write(path, b"x").expect("a file");
}

fn location(folder: &Path, is_out_of_scope: bool) -> Location {
    Location {
        folder: normalize_host_path(bytes_of(folder)).into_owned(),
        media_types: movies(),
        is_out_of_scope,
        is_fetched: true,
    }
}

#[test]
fn all_is_told_once_whatever_the_length_of_calls() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    for film in 0..40 {
        make(root, &format!("Film {film:02}/listed.mkv"));
        make(root, &format!("Film {film:02}/new.mkv"));
        make(root, &format!("Film {film:02}/Extras/x.mkv"));
        make(root, &format!("Film {film:02}/deep/er/new.mkv"));
    }
    // On Windows such names are one.
    let twin_files = if cfg!(windows) { 0 } else { 4 };
    if twin_files > 0 {
        make(root, "alpha/listed.mkv");
        make(root, "ALPHA/listed.mkv");
        make(root, "twins/x listed.mkv");
        make(root, "twins/X listed.mkv");
    }
    let locations = [location(root, false)];
    let mut whole = found(root, &locations, 1_000_000);
    whole.0.sort();
    assert_eq!(
        (whole.0.len(), whole.1),
        (40 * 3 + twin_files, 40 * 3 + twin_files as u64)
    );
    let twins = whole.0.iter().filter(|one| one.0 == "twin_file").count();
    assert_eq!(twins, twin_files);
    for most in [1, 2, 7, 50, 1000] {
        let mut cut = found(root, &locations, most);
        cut.0.sort();
        assert_eq!(cut, whole, "{most} names a call");
    }
}

#[test]
fn locations_below_a_folder_that_is_left_out_are_walked() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    make(root, ".mounts/inner/new.mkv");
    make(root, ".mounts/inner/deep/new.mkv");
    make(root, ".mounts/x.mkv");
    make(root, "theirs/.plexignore");
    make(root, "theirs/x.mkv");
    make(root, "theirs/mine/new.mkv");
    let locations = [
        location(root, false),
        location(&root.join(".mounts/inner"), false),
        location(&root.join(".mounts/inner/deep"), false),
        location(&root.join("theirs"), true),
        location(&root.join("theirs/mine"), false),
    ];
    let (mut told, files) = found(root, &locations, 1_000_000);
    told.sort();
    let told: Vec<(&str, &str)> = told.iter().map(|one| (&*one.0, &*one.2)).collect();
    let file = |path| ("file", path);
    assert_eq!(
        told,
        [
            file(".mounts/inner/deep/new.mkv"),
            file(".mounts/inner/new.mkv"),
            file("theirs/mine/new.mkv"),
            ("left_out", ".mounts"),
        ]
    );
    assert_eq!(files, 3);
}

/// Returns the findings except files, in order, and the files.
fn lines(root: &Path, locations: &[Location], max_names: usize) -> (Vec<String>, Vec<String>) {
    let (told, files) = found(root, locations, max_names);
    let (mut media, mut others) = (Vec::new(), Vec::new());
    for (what, why, path) in told {
        if what == "file" {
            media.push(path);
        } else {
            others.push(format!("{what} {why} {path}"));
        }
    }
    assert_eq!(media.len() as u64, files);
    media.sort();
    others.sort();
    (others, media)
}

/// A call that ends while its threads take links does not lose a link.
#[cfg(unix)]
#[test]
fn many_links_are_followed_once_whatever_the_length_of_calls() {
    const FOLDERS: usize = 400;
    let folder = tempfile::tempdir().expect("a folder");
    let (root, pool) = (folder.path().join("films"), folder.path().join("pool"));
    fs::create_dir(&root).expect("a folder");
    for number in 0..FOLDERS {
        make(&pool, &format!("{number}/new.mkv"));
        for name in ["first", "further"] {
            let name = root.join(format!("{name} {number}"));
            std::os::unix::fs::symlink(pool.join(number.to_string()), name).expect("a link");
        }
    }
    for most in [1, 7, 20, 50] {
        let (told, files) = lines(&root, &[location(&root, false)], most);
        assert!(files.iter().all(|file| file.starts_with("first ")), "{most}: {files:?}");
        let linked = told.iter().filter(|line| line.starts_with("left_out linked further "));
        assert_eq!(
            (linked.count(), told.len(), files.len()),
            (FOLDERS, FOLDERS, FOLDERS),
            "{most} names a call"
        );
    }
}

#[cfg(unix)]
#[test]
fn which_of_two_links_is_followed_depends_on_their_names_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let (root, pool) = (folder.path().join("films"), folder.path().join("pool"));
    make(&pool, "T/new.mkv");
    make(&pool, "T/sub/new.mkv");
    make(&root, "real/new.mkv");
    make(&root, "z/deep/new.mkv");
    let to = |target: &Path, name: &str| std::os::unix::fs::symlink(target, root.join(name)).expect("a link");
    // A folder is read by its own path before any link to it.
    to(&root.join("real"), "a link");
    to(&pool.join("T"), "b");
    to(&pool.join("T"), "c");
    to(&pool.join("T/sub"), "z/deep/d");
    to(&root, "z/up");
    let locations = [location(&root, false)];
    let expected = (
        [
            "left_out linked a link",
            "left_out linked b/sub",
            "left_out linked c",
            "left_out loop z/up",
        ],
        ["b/new.mkv", "real/new.mkv", "z/deep/d/new.mkv", "z/deep/new.mkv"],
    );
    for most in [1, 2, 3, 5, 1_000_000] {
        let (told, files) = lines(&root, &locations, most);
        assert!(told == expected.0 && files == expected.1, "{most}: {told:?} {files:?}");
    }
    // The folder is read once per location, as Plex lists it in both.
    let other = folder.path().join("other");
    make(&other, "x.mkv");
    std::os::unix::fs::symlink(root.join("real"), other.join("here")).expect("a link");
    let (told, files) = lines(folder.path(), &[location(&root, false), location(&other, false)], 7);
    assert!(files.contains(&"other/here/new.mkv".to_owned()), "{files:?} {told:?}");
}

#[cfg(unix)]
#[test]
fn without_progress_a_link_is_told_and_not_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    make(root, "real/new.mkv");
    std::os::unix::fs::symlink(root.join("real"), root.join("link")).expect("a link");
    let folders = [(false, bytes_of(root).to_vec())];
    let walked = walk_folders(&folders, &[location(root, false)], 1_000, true, None);
    let is_told = |one: &Finding| one.kind == "link" && one.path.0.ends_with(b"/link");
    assert!(walked.0.files == 1 && walked.0.found.iter().any(is_told), "{walked:?}");
}

#[test]
fn a_folder_that_cannot_be_read_is_reported_if_the_caller_named_it() {
    let folder = tempfile::tempdir().expect("a folder");
    make(folder.path(), "file.mkv");
    for (name, errno) in [("gone", Some(2)), ("file.mkv", None)] {
        let path = normalize_host_path(bytes_of(&folder.path().join(name))).into_owned();
        let found = |is_first| walk_folders(&[(false, path.clone())], &[], 10, is_first, None).0.found;
        let told = found(true);
        let is_told = |one: &Finding| one.kind == "unreadable" && one.path.0 == *to_native(&path);
        assert!(told.len() == 1 && told.iter().all(is_told), "{told:?}");
        assert!(errno.is_none() || told[0].errno == errno, "{told:?}");
        // A folder may have disappeared since the walk found it.
        assert_eq!(found(false).is_empty(), errno.is_some(), "{name}");
    }
}

/// Returns the media below a folder, also through links: each once, by its real path.
fn reachable(root: &Path) -> BTreeSet<PathBuf> {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let root = real(root).expect("a folder");
    let (mut seen, mut left, mut media) = (BTreeSet::new(), vec![root.clone()], BTreeSet::new());
    while let Some(folder) = left.pop() {
        if !seen.insert(folder.clone()) {
            continue;
        }
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            match real(&path).filter(|to| !root.starts_with(to) || *to == root) {
                Some(to) if to.is_file() => drop(media.insert(to)),
                Some(to) if rule_for_folder(bytes_of(Path::new(&name)), all(), movies(), folder == root).is_none() => {
                    left.push(to);
                }
                _ => {}
            }
        }
    }
    media
}

/// Creates such a tree, and returns its folders.
#[cfg(unix)]
fn plant(top: &Path, folders: &[(Index, &str)], links: &[(Index, Index)]) -> Vec<PathBuf> {
    let mut all = vec![top.join("media")];
    for (number, (above, name)) in folders.iter().enumerate() {
        let own = all[above.index(all.len())].join(name);
        make(&own, &format!("{number}.mkv"));
        all.push(own);
    }
    for (number, (from, to)) in links.iter().enumerate() {
        let targets = [&all[..], &[top.to_path_buf(), top.join("media/none")]].concat();
        let link = all[from.index(all.len())].join(format!("link {}", number % 7));
        let _ = std::os::unix::fs::symlink(&targets[to.index(targets.len())], link);
    }
    all
}

/// A random tree: folders, each in an earlier one; links, each from a folder to a folder or to the root; and the start
/// of a walk.
type Tree = (Vec<(Index, &'static str)>, Vec<(Index, Index)>, Index);

fn tree() -> impl Strategy<Value = Tree> {
    let name = proptest::sample::select(&["a", "A", "B b", "e\u{301}", "\u{e9}", ".x", "Extras", "#recycle", "z"][..]);
    (
        proptest::collection::vec((any::<Index>(), name), 1..14),
        proptest::collection::vec((any::<Index>(), any::<Index>()), 0..24),
        any::<Index>(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[cfg(unix)]
    #[test]
    fn any_tree_with_links_is_read_once((folders, links, begin) in tree(), most in 1..40_usize) {
        let place = tempfile::tempdir().expect("a folder");
        let top = fs::canonicalize(place.path()).expect("a folder");
        let all = plant(&top, &folders, &links);
        // A folder read by another path may lie outside of the location.
        let root = &all[begin.index(all.len())];
        let locations = [location(root, false)];
        let (told, _) = found(root, &locations, most);
        let media: Vec<PathBuf> = (told.iter())
            .filter(|one| one.0.ends_with("file"))
            .map(|one| fs::canonicalize(root.join(&one.2)).expect("a file"))
            .collect();
        let once: BTreeSet<PathBuf> = media.iter().cloned().collect();
        prop_assert_eq!(once.len(), media.len(), "told twice");
        prop_assert_eq!(&once, &reachable(root));
        let sorted = |(mut told, files): (Vec<(String, String, String)>, u64)| {
            told.sort();
            (told, files)
        };
        prop_assert_eq!(sorted((told, media.len() as u64)), sorted(found(root, &locations, 1_000_000)));
    }

    /// Locations within each other and beside each other, reached by links too. Some belong to libraries out of scope.
    #[cfg(unix)]
    #[test]
    fn any_locations_are_walked_the_same_way_each_time(
        (folders, links, begin) in tree(),
        places in proptest::collection::vec((any::<Index>(), any::<bool>()), 1..4),
        most in 1..40_usize,
    ) {
        let place = tempfile::tempdir().expect("a folder");
        let top = fs::canonicalize(place.path()).expect("a folder");
        let all = plant(&top, &folders, &links);
        let begin = &all[begin.index(all.len())];
        let mut locations: Vec<Location> = Vec::new();
        for (at, is_out_of_scope) in places {
            let one = location(&all[at.index(all.len())], is_out_of_scope);
            if locations.iter().all(|known| known.folder != one.folder) {
                locations.push(one);
            }
        }
        for root in [&top, begin] {
            let (mut told, files) = found(root, &locations, most);
            told.sort();
            let (mut whole, all_files) = found(root, &locations, 1_000_000);
            whole.sort();
            prop_assert_eq!((&told, files), (&whole, all_files));
            let mut once = BTreeSet::new();
            for one in told.iter().filter(|one| one.0.ends_with("file")) {
                let path = root.join(&one.2);
                let within = locations.iter().filter(|location| path.starts_with(path_from_bytes(location.folder.as_slice())));
                let around = within.map(|location| location.folder.as_slice()).max_by_key(|folder| folder.len());
                prop_assert!(once.insert((around, fs::canonicalize(&path).expect("a file"))), "twice: {:?}", one);
            }
        }
    }
}
