//! The system is chosen in one place, src/platform/mod.rs, so that a port finds it; and its code has a limit. The crate for
//! sharing chooses in src/system/mod.rs.

use std::fs;
use std::path::{Path, PathBuf};

/// Words of `cfg` for systems: in src/platform/mod.rs and crates/sharing/src/system/mod.rs alone.
const SYSTEMS: [&str; 6] = [
    "target_os",
    "target_vendor",
    "target_family",
    "target_env",
    "unix",
    "windows",
];

/// Words of `cfg` for processors: in src/platform alone.
const PROCESSORS: [&str; 4] = ["target_arch", "target_endian", "target_feature", "target_pointer_width"];

/// Lines of code and comments that a system of its own may have, without tests.
const LIMITS: [(&str, usize); 2] = [("macos", 100), ("windows", 1500)];

fn source() -> PathBuf {
    plexindex_tests::repository("src")
}

/// The files below a folder with their paths in it, but for tests, which may be for one system.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut folders = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let below = path.strip_prefix(folder).expect("below");
            let place = below.to_string_lossy().replace('\\', "/");
            if !place.ends_with("_tests.rs") && !place.split('/').any(|name| name == "tests") {
                found.push((place, fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    found
}

/// What stands in the parentheses of each `cfg`, `cfg!` and `cfg_attr`, also over several lines.
fn conditions(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("cfg").filter_map(|(at, word)| {
        let rest = text[at + word.len()..].trim_start_matches("_attr");
        let inside = rest.trim_start_matches('!').strip_prefix('(')?;
        let mut open = 1;
        let end = inside.find(|c| {
            open += i32::from(c == '(') - i32::from(c == ')');
            open == 0
        });
        end.map(|end| &inside[..end])
    })
}

/// The choices that stand elsewhere than they may.
fn choices_elsewhere(source: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for (place, text) in files(source) {
        for condition in conditions(&text) {
            let words = || condition.split(|c: char| !c.is_alphanumeric() && c != '_');
            let system =
                !["platform/mod.rs", "system/mod.rs"].contains(&&*place) && words().any(|word| SYSTEMS.contains(&word));
            let processor = !place.starts_with("platform/") && words().any(|word| PROCESSORS.contains(&word));
            if system || processor {
                found.push(format!("{place}: {condition}"));
            }
        }
    }
    found
}

#[test]
fn systems_are_chosen_in_one_place() {
    for source in ["src", "crates/matching/src", "crates/sharing/src"].map(plexindex_tests::repository) {
        assert_eq!(
            choices_elsewhere(&source),
            [""; 0],
            "only src/platform/mod.rs and crates/sharing/src/system/mod.rs choose a system, and only src/platform a processor"
        );
    }
}

#[test]
fn a_system_has_little_code_of_its_own() {
    for (system, limit) in LIMITS {
        let files = files(&source().join("platform").join(system));
        let lines = files.iter().flat_map(|(_, text)| text.lines());
        let count = lines.filter(|line| !line.trim().is_empty()).count();
        assert!((1..=limit).contains(&count), "{system}: {count} lines");
    }
}
