//! 'Known defects' of docs/answers.md: a test that must fail as long as a line stands, or a place in the code that exists.
//! And docs/troubleshooting.md has a line for every reason and every status of the header.

use std::collections::BTreeMap;
use std::fs;

use crate::support::index::{Edit, EditReport, QueryOptions};
use crate::support::{Scene, path_of};
use plexindex::model::MatchKind;
use plexindex::source::{FieldChange, Lock};
use plexindex_standin::{LibraryKind, LibrarySpec, Standin};

#[test]
#[should_panic(expected = "it was used in each")]
fn gap_8_a_match_that_is_used_is_not_evicted() {
    let at = Scene::movies(20).with(|options| options.matches_limit = 100_000);
    let (_index, library) = at.listed();
    let (_, key) = path_of(&at.server, 1, 3);
    let match_kind = || library.ask("/host/used.mkv").match_kind;
    library.record("/host/used.mkv", &key);
    for round in 0..10 {
        assert_eq!(match_kind(), MatchKind::Confirmed, "round {round}: it was used in each");
        let paths: Vec<String> = (0..1_100).map(|n| format!("/host/{round}/{n}.mkv")).collect();
        let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (path.as_bytes(), &*key)).collect();
        library.record_matches(&pairs).expect("recorded");
    }
}

#[test]
#[should_panic(expected = "shows can be edited")]
fn gap_10_a_show_can_be_edited() {
    let shows = Standin::builder().library(LibrarySpec::new(LibraryKind::Show, 20));
    let at = Scene::of(shows.serve());
    let index = at.open();
    at.list(&index);
    let (path, _) = path_of(&at.server, 1, 3);
    let found = index.ask(&QueryOptions::default(), path);
    let episode = found.item.expect("an episode");
    let edited = index.library(&episode.library).expect("a handle").edit_items(
        &Edit {
            keys: &[&episode.item.show_rating_key],
            changes: &[FieldChange::set("title", "Another")],
            lock: Lock::Lock,
        },
        &mut EditReport::default(),
    );
    assert!(edited.is_ok(), "shows can be edited: {edited:?}");
}

#[test]
#[should_panic(expected = "what was never recorded")]
fn gap_11_a_bit_that_flips_in_a_row_is_noticed() {
    let at = Scene::movies(20);
    let (index, library) = at.listed();
    let (_, key) = path_of(&at.server, 1, 3);
    library.record("/host/flipped.mkv", &key);
    index.close().expect("closes");
    let database = at.folder().join("plexindex-1.db");
    let mut bytes = fs::read(&database).expect("read");
    for place in 0..bytes.len() - 17 {
        if bytes[place..].starts_with(b"/host/flipped.mkv") {
            bytes[place + 8] ^= 1;
        }
    }
    fs::write(&database, bytes).expect("written");
    let (_index, library) = at.opened();
    let found = library.match_path(b"/host/flhpped.mkv").map(|found| found.match_kind);
    assert_ne!(found, Ok(MatchKind::Confirmed), "what was never recorded");
}

fn repository(path: &str) -> String {
    fs::read_to_string(plexindex_tests::repository(path)).unwrap_or_default()
}

/// The lines of the list, by number.
fn listed() -> BTreeMap<u32, String> {
    let mut lines: BTreeMap<u32, String> = BTreeMap::new();
    for line in repository("docs/answers.md").lines() {
        if let Some((number, text)) = line
            .split_once(". ")
            .and_then(|(n, text)| Some((n.parse().ok()?, text)))
        {
            lines.insert(number, text.to_owned());
        } else if let Some(mut last) = lines.last_entry() {
            last.get_mut().push_str(line);
        }
    }
    lines
}

/// The tests of this file that must fail, by number.
fn tests() -> BTreeMap<u32, String> {
    let file = repository("tests/behaviour/documented_gaps.rs");
    let rest = file.split("\n#[should_panic(").skip(1);
    let names = rest.map(|rest| {
        rest.lines()
            .find_map(|line| line.strip_prefix("fn ")?.strip_suffix("() {"))
    });
    names
        .map(|name| {
            let name = name.expect("a test");
            let number = name.split('_').nth(1).and_then(|number| number.parse().ok());
            (
                number.unwrap_or_else(|| panic!("{name} has no number")),
                name.to_owned(),
            )
        })
        .collect()
}

/// Whether a path such as `engine::sql::lock_wait::BUSY` names what a file of src/ declares.
fn is_there(path: &str) -> bool {
    let Some((module, name)) = path.rsplit_once("::") else {
        return false;
    };
    let file = format!("src/{}", module.replace("::", "/"));
    let text = repository(&format!("{file}.rs")) + &repository(&format!("{file}/mod.rs"));
    ["const", "static", "fn", "struct", "enum", "trait"].iter().any(|what| {
        text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ' '))
            .any(|words| words.ends_with(&format!("{what} {name}")))
    })
}

#[test]
fn the_list_is_what_the_tests_and_the_code_say() {
    let (listed, tests) = (listed(), tests());
    for (number, name) in &tests {
        let line = listed
            .get(number)
            .unwrap_or_else(|| panic!("{name}: the list has no line {number}"));
        assert!(
            line.contains(&format!("`{name}`")),
            "line {number} does not name {name}"
        );
    }
    for (number, line) in listed {
        if tests.contains_key(&number) {
            continue;
        }
        let place = line.split_once("Place: `").and_then(|(_, rest)| rest.split('`').next());
        let place = place.unwrap_or_else(|| panic!("line {number} names neither a test nor a place: {line}"));
        assert!(
            is_there(place),
            "line {number} names {place}, and src/ has no such place"
        );
    }
    assert!(!is_there("engine::sql::connection::BUS") && !is_there("engine::sql::nowhere::BUSY"));
}

#[test]
fn the_page_has_every_reason_and_every_status() {
    let (header, page) = (repository("include/plexindex.h"), repository("docs/troubleshooting.md"));
    let names = |(from, until): (&str, &str), before: &str| -> Vec<String> {
        let (_, part) = header.split_once(from).expect("the part of the header");
        let lines = part.split(until).next().unwrap_or_default().lines();
        let names = lines.filter_map(|line| line.trim_start().strip_prefix(before)?.split(' ').next());
        names.map(str::to_lowercase).collect()
    };
    let reasons = names(("PLEXINDEX_REASON_NONE", "\n\n"), "#define PLEXINDEX_REASON_");
    let statuses = names(("typedef enum plexindex_status {", "}"), "PLEXINDEX_");
    assert!(reasons.len() > 12 && statuses.len() > 25, "{reasons:?} {statuses:?}");
    for reason in reasons {
        assert!(page.contains(&format!("| `{reason}` |")), "the reason {reason}");
    }
    let (_, page) = page.split_once("## Statuses").expect("the section");
    for status in statuses {
        assert!(page.contains(&format!("`{status}`")), "the status {status}");
    }
}
