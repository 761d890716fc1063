//! Paths of a server on Windows, asked from any system. Their spellings are those that users of other tools met: letters of
//! drives in either case, network paths with either slash, `\\?\`, a drive that is a network path elsewhere, mixed
//! separators behind a mapping, a dot or a space at the end.

use std::path::Path;

use crate::support::index::{Index, QueryOptions};
use crate::support::{clock, open, options};
use plexindex::error::Status;
use plexindex::model::{Confidence, MatchKind};
use plexindex::options::{Mapping, Options};
use plexindex_standin::{ItemSpec, LibrarySpec, Standin};

const DELTA: &str = r"D:\Media\Films\Delta (1999)\Delta (1999).mkv";
const SWORD: &str = r"D:\Media\Films\Épée (2001)\Épée (2001).mkv";
const SHARE: &str = r"\\nas\share\Films\Share (2003)\Share (2003).mkv";
const ROOT: &str = r"E:\Root (2004).mkv";

fn server() -> Standin {
    let places = [r"D:\Media\Films", r"\\nas\share\Films", r"E:\"];
    let films = [
        ("Delta", DELTA, 1999),
        ("Épée", SWORD, 2001),
        ("Share", SHARE, 2003),
        ("Root", ROOT, 2004),
    ];
    Standin::builder()
        .library(LibrarySpec::movies(0).plain().title("Films").locations(places))
        .items(
            1,
            films.map(|(title, path, year)| ItemSpec::file(title, path).year(year)),
        )
        .serve()
}

fn listed(server: &Standin, folder: &Path, mappings: Vec<Mapping>) -> Index {
    let with = Options {
        mappings,
        ..options(server, folder)
    };
    let index = open(with, &clock());
    index.refresh(&QueryOptions::default(), true).expect("listed");
    index
}

/// The listed path that a path is, how it was found, and whether that is certain.
fn found(index: &Index, path: &str) -> Option<(String, MatchKind, Confidence)> {
    let library = index.library("Films").expect("a handle");
    let offline = library.query().offline();
    let answer = index.ask(&offline, path);
    let item = answer.item.filter(|_| answer.status == Status::Ok)?;
    let path = String::from_utf8(item.path).expect("text");
    Some((path, answer.match_kind, answer.confidence))
}

#[test]
fn each_spelling_is_the_listed_file() {
    let (server, folder) = (server(), tempfile::tempdir().expect("a folder"));
    let index = listed(&server, folder.path(), Vec::new());
    for (path, is) in [
        (DELTA, DELTA),
        (r"d:\media\films\delta (1999)\delta (1999).MKV", DELTA),
        ("D:/Media/Films/Delta (1999)/Delta (1999).mkv", DELTA),
        (r"D:\Media/Films\Delta (1999)/Delta (1999).mkv", DELTA),
        (r"\\?\D:\Media\Films\Delta (1999)\Delta (1999).mkv", DELTA),
        (r"D:\Media\\Films\Delta (1999)\Delta (1999).mkv", DELTA),
        (r"D:\Media\.\Films\.\Delta (1999)\Delta (1999).mkv", DELTA),
        (r"D:\Media\Films\Delta (1999)\Delta (1999).mkv.", DELTA),
        (r"D:\Media\Films\Delta (1999)\Delta (1999).mkv ", DELTA),
        (r"D:\MEDIA\FILMS\ÉPÉE (2001)\ÉPÉE (2001).mkv", SWORD),
        (
            "D:\\Media\\Films\\E\u{301}pe\u{301}e (2001)\\E\u{301}pe\u{301}e (2001).mkv",
            SWORD,
        ),
        (r"\\NAS\Share\Films\Share (2003)\Share (2003).mkv", SHARE),
        ("//nas/share/Films/Share (2003)/Share (2003).mkv", SHARE),
        (r"\\?\UNC\nas\share\Films\Share (2003)\Share (2003).mkv", SHARE),
        (r"\\nas\share\\Films\.\Share (2003)\Share (2003).mkv", SHARE),
        ("e:/root (2004).mkv", ROOT),
        (r"E:\\Root (2004).mkv", ROOT),
    ] {
        assert_eq!(
            found(&index, path),
            Some((is.to_owned(), MatchKind::Exact, Confidence::High)),
            "{path}"
        );
    }
}

#[test]
fn a_path_without_its_drive_is_the_right_file_or_not_certain() {
    let (server, folder) = (server(), tempfile::tempdir().expect("a folder"));
    let index = listed(&server, folder.path(), Vec::new());
    for (path, is_found) in [
        (r"\Media\Films\Delta (1999)\Delta (1999).mkv", true),
        (r"C:\Other\Delta (1999)\Delta (1999).mkv", true),
        ("/mnt/films/Delta (1999)/Delta (1999).mkv", true),
        (r"\\localhost\D$\Media\Films\Delta (1999)\Delta (1999).mkv", true),
        (r"D:\Media\Films\.\Other\..\Delta (1999)\Delta (1999).mkv", true),
        (r"D:Media\Films\Delta (1999)\Delta (1999).mkv", false),
        (r"Films\Delta (1999)\Delta (1999).mkv", false),
    ] {
        let found = found(&index, path);
        assert_eq!(
            found.as_ref().map(|(is, ..)| &**is),
            is_found.then_some(DELTA),
            "{path}"
        );
        assert!(found.is_none_or(|(_, kind, _)| kind != MatchKind::Exact), "{path}");
    }
}
