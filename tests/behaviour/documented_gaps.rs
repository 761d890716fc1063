//! 'Known defects' of docs/answers.md: a test that must fail as long as a line stands.
//! And docs/troubleshooting.md has a line for every reason and every status of the header.

use std::fs;

use crate::support::{Scene, path_of};
use plexindex::model::MatchKind;

#[test]
#[should_panic(expected = "it was used in each")]
fn gap_8_a_match_that_is_used_is_not_evicted() {
    let (at, _index, library) = Scene::movies(20)
        .with(|options| options.matches_limit = Some(100_000))
        .and_listed();
    let (_, key) = path_of(&at.server, 1, 3);
    let match_kind = || library.ask("/host/used.mkv").match_kind;
    library.record("/host/used.mkv", &key);
    for round in 0..10 {
        assert_eq!(match_kind(), MatchKind::Confirmed, "round {round}: it was used in each");
        let paths: Vec<String> = (0..1_100).map(|n| format!("/host/{round}/{n}.mkv")).collect();
        library.record_all(&paths, &key);
    }
}

fn repository(path: &str) -> String {
    fs::read_to_string(plexindex_tests::repository(path)).unwrap_or_default()
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
