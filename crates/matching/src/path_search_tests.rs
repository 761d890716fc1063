use super::*;
use crate::{Mapping, MappingKind, Pattern};

#[test]
fn titles_in_file_names() {
    for (name, title) in [
        ("Big Buck Bunny (2008).mkv", Some("Big Buck Bunny")),
        ("Big.Buck.Bunny.2008.1080p.mkv", Some("Big Buck Bunny")),
        ("Adventure.mkv", Some("Adventure")),
        ("2012 (2009).mkv", Some("2012")),
        ("Elephants Dream (2006) - part1.mkv", Some("Elephants Dream")),
        ("Show - S01E02 - Winter is here.mkv", Some("Winter is here")),
        ("Show.S01E02.Winter.mkv", Some("Winter")),
        ("Show S03E04-E06.mkv", None),
        ("01 - Intro.flac", Some("Intro")),
        ("01.flac", Some("01")),
        ("A.mkv", None),
        ("Tears of Steel [4K] {imdb-tt2285752}.mkv", Some("Tears of Steel")),
        ("noextension", Some("noextension")),
        (".mkv", None),
        ("", None),
    ] {
        assert_eq!(title_in(name).as_deref(), title, "{name}");
    }
}

#[test]
fn file_names_are_what_follows_the_last_separator() {
    assert_eq!(file_name(b"/a/b.mkv"), Some("b.mkv"));
    assert_eq!(file_name(b"C:\\a\\b.mkv"), Some("b.mkv"));
    assert_eq!(file_name(b"/AC\\DC.mkv"), Some("AC\\DC.mkv"));
    assert_eq!(file_name(b"b.mkv"), Some("b.mkv"));
    assert_eq!(file_name(b"/a/"), Some("a"));
    assert_eq!(file_name(b"/"), None);
    assert_eq!(file_name(b"/a/\xff.mkv"), None);
}

#[test]
fn the_same_file_by_spelling_or_mapping() {
    let rules = [Mapping {
        kind: MappingKind::HostToServer,
        from: Pattern::Prefix(b"/mnt/media".to_vec()),
        to: b"/data".to_vec(),
    }];
    let mappings = Mappings::new(&rules).expect("is a rule");
    assert!(is_same_file(&mappings, b"/data/A.mkv", b"/data/a.mkv"));
    assert!(is_same_file(&mappings, b"/mnt/media/a.mkv", b"/data/a.mkv"));
    assert!(!is_same_file(&mappings, b"/mnt/other/a.mkv", b"/data/a.mkv"));
    assert!(!is_same_file(&mappings, b"/x/data/a.mkv", b"/data/a.mkv"));
}
