//! Damaged segments of a listing. A segment with wrong checksums is refused, reports that it is broken, or answers as
//! before. One with valid checksums never causes a crash.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use plexindex::testing::xxh3_64;

use super::against::{host_rule, listing, matches, movie};
use super::input::{Input, folder, patched};
use crate::engine::{LibraryProperties, LibrarySnapshot, ListingSegment, MapMode};
use crate::matching::{FolderResolver, Mappings, NormalPath, Resolver, Scope};
use crate::model::{Item, ItemType};

const BLOCK: usize = 4096;
/// Offsets in the head: of the table's offset, of the table's checksum, and of the head's own checksum.
const AT_SUMS: usize = 16 + 18 * 8;
const AT_SUMS_SUM: usize = 16 + 20 * 8;
const AT_HEAD_SUM: usize = 504;

/// The undamaged segment, the queries, and the expected answers.
struct Original {
    listing: Vec<u8>,
    mappings: Mappings,
    paths: Vec<Vec<u8>>,
    keys: Vec<String>,
    /// By three times the number of the path or key, plus 0 to 2; last, all items.
    answers: BTreeMap<usize, String>,
    /// Where segments are written, as they are opened by name.
    place: PathBuf,
    _folder: tempfile::TempDir,
}

thread_local! {
    static ORIGINAL: Original = Original::new();
}

/// Items of several shapes: episodes, a film of two files, names that differ by case, another root, no file at all.
fn items() -> Vec<Item> {
    let episode = |n: i32| Item {
        rating_key: format!("e{n}"),
        kind: ItemType::Episode,
        title: format!("Pilot {n}"),
        year: 2008,
        show_title: "A Show".into(),
        show_rating_key: "77".into(),
        show_guid: "plex://show/5d9c086fe9d5a1001f4d9fe6".into(),
        season: 1,
        episode: n,
        guid: format!("com.plexapp.agents.thetvdb://81189/1/{n}?lang=en"),
        parts: vec![format!("/mnt/tv/A Show/Season 01/S01E{n:02}.mkv").into()],
        ..Item::default()
    };
    let mut items: Vec<Item> = (1..4).map(episode).collect();
    items.push(movie(
        "100",
        &["/mnt/films/Caf\u{e9}/Film.mkv", "/mnt/films/Caf\u{e9}/Film - 4K.mkv"],
    ));
    items.push(movie("101", &["/mnt/films/Other/Film.mkv"]));
    items.push(movie("102", &["/mnt/films/other/film.mkv", r"\\?\C:\Media\x.mkv"]));
    items.push(movie("103", &[]));
    // Enough for more than one block.
    for n in 0..30 {
        items.push(movie(
            &format!("m{n}"),
            &[&format!("/mnt/films/Number {}/{}.mkv", n / 7, n % 5)],
        ));
    }
    items
}

impl Original {
    fn new() -> Self {
        let mappings = host_rule();
        let items = items();
        let mut paths: Vec<Vec<u8>> = vec![b"/mnt/films/none.mkv".to_vec(), b"/rec/\xff.mkv".to_vec()];
        for path in items.iter().flat_map(|item| &item.parts).step_by(2) {
            let path = path.to_string();
            let texts = [
                path.clone(),
                path.replace("/mnt", "/host"),
                path.replace("/mnt", "/x").to_uppercase(),
            ];
            paths.extend(texts.map(String::into_bytes));
        }
        paths.truncate(24);
        paths.push(b"/REC/B.mkv".to_vec());
        let folder = folder();
        let place = folder.path().join("listing.segment");
        let mut original = Self {
            listing: listing(&items, &mappings),
            mappings,
            paths,
            keys: items.iter().map(|item| item.rating_key.clone()).collect(),
            answers: BTreeMap::new(),
            place,
            _folder: folder,
        };
        original.answers = original
            .answers_of(original.listing.clone(), &(0..usize::MAX))
            .expect("a fresh segment answers")
            .into_iter()
            .collect();
        original
    }

    /// The answers of a segment for some of the paths and keys; `None` if it is broken, or found to be broken.
    fn answers_of(&self, listing: Vec<u8>, which: &Range<usize>) -> Option<Vec<(usize, String)>> {
        std::fs::write(&self.place, listing).expect("written");
        let segment = Arc::new(ListingSegment::open(&self.place, MapMode::Read, 0).ok()?);
        let recorded = matches(&[
            (b"/rec/\xff.mkv", "101", 1),
            (b"/rec/b.mkv", "102", 2),
            (b"/mnt/films/Other/Film.mkv", "101", 9),
        ]);
        let facts = LibraryProperties {
            uuid: "uuid".into(),
            locations: vec!["/mnt/films".into()],
            listed_at: 5,
            fetched: true,
            ..LibraryProperties::default()
        };
        let view = LibrarySnapshot::new(facts, &self.mappings, Some(Arc::clone(&segment)), Some(recorded));
        let views = [&view];
        let mut answers = Vec::new();
        for (at, path) in in_range(&self.paths, which) {
            let outcome = Resolver::new(&views, Scope::One(0), &self.mappings).resolve(path);
            assert!(!segment.is_broken() || outcome.is_broken && outcome.found().is_empty());
            let outcome = (!outcome.is_broken).then(|| format!("{outcome:?}"));
            let fast = Resolver::new(&views, Scope::One(0), &self.mappings).fast_lookup(path);
            let fast = format!("{fast:?}");
            let above = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            let folder = NormalPath::with(&path[..above], |path| {
                let resolver = || FolderResolver::new(&views, Scope::One(0), &self.mappings, path);
                format!("{:?} {:?}", resolver().resolve(), resolver().files(None, 3))
            });
            // An answer that is not marked as broken must be right, even if damage is found later.
            answers.extend(outcome.map(|outcome| (3 * at, outcome)));
            if segment.is_broken() {
                return None;
            }
            answers.push((3 * at + 1, fast + &folder));
        }
        for (at, key) in in_range(&self.keys, which) {
            let number = segment.find(key);
            let whole = number.and_then(|at| segment.whole_item(at));
            let item = number.map(|at| (segment.item(at), segment.key_and_path(at), segment.shown(at), &whole));
            answers.push((3 * at + 2, format!("{key}: {item:?}")));
        }
        if which.end == usize::MAX {
            let mut all = Vec::new();
            let walked = segment.for_each_item(|item, last, shown| {
                all.push((item, last, shown.clone()));
                Ok(())
            });
            walked.ok()?;
            answers.push((usize::MAX, format!("{all:?}")));
        }
        (!segment.is_broken()).then_some(answers)
    }
}

/// The elements with a number in this range.
fn in_range<'a, T>(all: &'a [T], which: &Range<usize>) -> impl Iterator<Item = (usize, &'a T)> {
    let end = which.end.min(all.len());
    all.iter().enumerate().take(end).skip(which.start)
}

/// Makes all checksums valid, as an attacker could.
fn with_valid_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() < BLOCK {
        return bytes;
    }
    let word = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let sums = usize::try_from(word(&bytes, AT_SUMS))
        .unwrap_or(usize::MAX)
        .clamp(BLOCK, bytes.len());
    let table: Vec<u8> = bytes[BLOCK..sums]
        .chunks(BLOCK)
        .flat_map(|block| xxh3_64(block).to_le_bytes())
        .collect();
    bytes.truncate(sums);
    bytes.extend_from_slice(&table);
    let length = bytes.len() as u64;
    bytes[16..24].copy_from_slice(&length.to_le_bytes());
    bytes[AT_SUMS_SUM..][..8].copy_from_slice(&xxh3_64(&table).to_le_bytes());
    let sum = xxh3_64(&bytes[..AT_HEAD_SUM]);
    bytes[AT_HEAD_SUM..][..8].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Opening fails, or the segment reports that it is broken, or all answers are right: whether they are given.
#[cfg(test)]
fn answers_rightly(original: &Original, bytes: Vec<u8>, what: usize) -> bool {
    let answers = original.answers_of(bytes, &(0..usize::MAX));
    let is_right = |(at, answer)| assert_eq!(answer, original.answers[&at], "{what}");
    answers.map(|answers| answers.into_iter().for_each(is_right)).is_some()
}

/// Of every fifth byte, or as the variable says: `make check-deep` tries each.
#[cfg(test)]
#[test]
fn every_flipped_byte_that_matters_is_detected() {
    let step = plexindex_tests::number("PLEXINDEX_STEP").map_or(5, |step| step.try_into().expect("a step"));
    let original = Original::new();
    for at in (0..original.listing.len()).step_by(step) {
        let mut bytes = original.listing.clone();
        bytes[at] ^= 1 << (at % 8);
        // Only the padding of the head is covered by no checksum, and it is never read.
        assert_eq!(
            answers_rightly(&original, bytes, at),
            (512..BLOCK).contains(&at),
            "byte {at}"
        );
    }
}

#[cfg(test)]
#[test]
fn a_file_of_another_length_does_not_open() {
    let original = Original::new();
    for length in 0..original.listing.len() {
        assert!(
            !answers_rightly(&original, original.listing[..length].to_vec(), length),
            "{length}"
        );
    }
    assert!(!answers_rightly(
        &original,
        [&original.listing[..], &[0]].concat(),
        usize::MAX
    ));
}

pub fn run(data: &[u8]) {
    ORIGINAL.with(|original| damaged(original, data));
}

fn damaged(original: &Original, data: &[u8]) {
    let mut input = Input(data);
    let mode = input.byte();
    let has_valid_checksums = mode & 1 == 1;
    let bytes = patched(&original.listing, &mut input);
    let bytes = if has_valid_checksums {
        with_valid_checksums(bytes)
    } else {
        bytes
    };
    // All paths take long: usually eight of them.
    let which = match mode >> 3 {
        31 => 0..usize::MAX,
        at => usize::from(at & 3) * 8..usize::from(at & 3) * 8 + 8,
    };
    let answers = original.answers_of(bytes, &which);
    if let Some(answers) = answers.filter(|_| !has_valid_checksums) {
        for (at, answers) in answers {
            assert_eq!(
                answers, original.answers[&at],
                "another answer, and no check that fails"
            );
        }
    }
}
