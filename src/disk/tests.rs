//! Rules by name, `.plexignore`, and walks over a tree of this machine.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::ignored::Ignored;
use super::rules::{of_file, of_folder};
use super::{Kinds, Location, Question, Rule, Rules, walk};
use crate::model::LibraryKind;
use crate::platform::files::bytes_of;

fn all() -> Rules {
    Rules::of_bits((1 << Rule::ALL.len()) - 1).expect("each bit is of a rule")
}

fn movies() -> Kinds {
    Kinds::of(&[LibraryKind::Movie])
}

#[test]
fn bits_are_of_rules() {
    for (at, rule) in Rule::ALL.into_iter().enumerate() {
        let one = Rules::of_bits(1 << at).expect("a rule");
        assert!(
            Rule::ALL.into_iter().all(|other| one.has(other) == (other == rule)),
            "{rule:?}"
        );
    }
    assert_eq!(Rules::of_bits(1 << Rule::ALL.len()), None);
    assert!(!all().everywhere().has(Rule::Extras) && all().everywhere().has(Rule::Hidden));
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
        let is = |kind| Kinds::of(&[kind]).has(name.as_bytes());
        let seen = (
            is(LibraryKind::Movie),
            is(LibraryKind::Artist),
            is(LibraryKind::Photo),
            is(LibraryKind::Other),
        );
        assert_eq!(seen, (movie, artist, photo, any), "{name}");
        assert_eq!(Kinds::of(&[]).has(name.as_bytes()), any, "{name}");
    }
    assert!(Kinds::of(&[LibraryKind::Artist, LibraryKind::Show]).has(b"a.mkv"));
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
        assert_eq!(of_folder(name.as_bytes(), all(), movies(), false), rule, "{name}");
        let music = of_folder(name.as_bytes(), all(), Kinds::of(&[LibraryKind::Artist]), false);
        assert_eq!(
            music,
            rule.filter(|rule| *rule as u32 <= Rule::Unpacking as u32),
            "{name}"
        );
    }
    assert_eq!(of_folder(b"$RECYCLE.BIN", all(), movies(), true), system);
    assert_eq!(of_folder(b"Extras", all(), movies(), true), None);
    assert_eq!(of_folder(b".x", Rules::of_bits(0).expect("none"), movies(), true), None);
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
        assert_eq!(of_file(&path, name.as_bytes(), all(), movies()), rule, "{name}");
    }
    let empty = folder.path().join("empty.mkv");
    fs::write(&empty, b"").expect("a file");
    assert_eq!(of_file(&empty, b"empty.mkv", all(), movies()), Some(Rule::Empty));
    let large = folder.path().join("large sample.mkv");
    fs::File::create(&large)
        .and_then(|file| file.set_len(300 << 20))
        .expect("a file");
    assert_eq!(of_file(&large, b"large sample.mkv", all(), movies()), None);
}

/// Whether a line names a file, or a folder, below `/m`.
fn names(line: &[u8], path: &str) -> (bool, bool) {
    let ignored = Ignored::new(b"/m", line);
    let path = path.as_bytes();
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    (
        ignored.names_file(path, name).is_some(),
        ignored.names_folder(path).is_some(),
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
        ignored.names_file(path.as_bytes(), name.as_bytes())
    };
    let begun = std::time::Instant::now();
    for number in 0..20_000 {
        assert_eq!(told(&format!("other {number}.mkv")), None);
    }
    assert!(begun.elapsed().as_secs() < 5, "each name was compared with each line");
    // The first line that fits is told, plain or not.
    let line = |line: &str| Some(format!("'{line}' in /m/.plexignore").into_bytes());
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
    // Names that are no UTF-8.
    let told = Ignored::new(b"/m/", b"\n# none\nodd*\xFF?.mkv\n")
        .names_file(b"/m/odd \xFE\xFF\xFD.mkv", b"odd \xFE\xFF\xFD.mkv");
    assert_eq!(told.as_deref(), Some(&b"'odd*\xFF?.mkv' in /m/.plexignore"[..]));
}

/// Findings by a walk in calls that read this many names each: what it is, why, and the path below the folder.
fn found(root: &Path, locations: &[Location], most: usize) -> (Vec<(String, String, String)>, u64) {
    let (mut left, mut told, mut files) = (vec![(false, bytes_of(root).to_vec())], Vec::new(), 0);
    while !left.is_empty() {
        let given: Vec<(bool, &[u8])> = left.iter().map(|(twin, folder)| (*twin, folder.as_slice())).collect();
        let walked = walk(&Question {
            folders: &given,
            locations,
            rules: all(),
            most,
            until: Instant::now() + Duration::from_secs(60),
            is_listed: &|paths, each| paths.iter().for_each(|path| each(path.ends_with(b"listed.mkv"))),
        });
        files += walked.files;
        let mut rest = Vec::new();
        let texts: Vec<&[u8]> = walked.text.split(|byte| *byte == 0).collect();
        for finding in texts.chunks_exact(4) {
            match finding[0] {
                b"folder" => rest.push((false, finding[2].to_vec())),
                b"twin_folder" => rest.push((true, finding[2].to_vec())),
                _ => {
                    let text = |at: usize| String::from_utf8_lossy(finding[at]).into_owned();
                    let path = text(2);
                    let below = path.strip_prefix(&*root.to_string_lossy()).unwrap_or(&path);
                    told.push((text(0), text(1), below.trim_start_matches('/').to_owned()));
                }
            }
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

fn location(folder: &Path, is_others: bool) -> Location {
    Location {
        folder: bytes_of(folder).to_vec(),
        kinds: movies(),
        is_others,
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
    make(root, "alpha/listed.mkv");
    make(root, "ALPHA/listed.mkv");
    make(root, "twins/x listed.mkv");
    make(root, "twins/X listed.mkv");
    let locations = [location(root, false)];
    let whole = found(root, &locations, 1_000_000);
    assert_eq!((whole.0.len(), whole.1), (40 * 3 + 4, 40 * 3 + 4));
    let twins: Vec<&str> = whole
        .0
        .iter()
        .filter(|one| one.0 == "twin_file")
        .map(|one| &*one.2)
        .collect();
    assert_eq!(twins.len(), 4, "{twins:?}");
    for most in [1, 2, 7, 50, 1000] {
        let mut cut = found(root, &locations, most);
        let mut expected = whole.clone();
        cut.0.sort();
        expected.0.sort();
        assert_eq!(cut, expected, "{most} names a call");
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

#[test]
fn what_is_not_there_any_more_is_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let gone = folder.path().join("gone");
    assert_eq!(found(&gone, &[location(folder.path(), false)], 10), (Vec::new(), 0));
    make(folder.path(), "file.mkv");
    let (told, _) = found(&folder.path().join("file.mkv"), &[location(folder.path(), false)], 10);
    assert_eq!((told.len(), &*told[0].0), (1, "unreadable"));
}
