//! Damaged segments of a listing. A segment with wrong checksums is refused, reports that it is broken, or answers as
//! before. One with valid checksums never causes a crash.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use plexindex::testing::xxh3_64;

use super::against::{host_rule, listing, matches, mixed_items, movie};
use super::input::{Input, folder, patched};
use crate::engine::{LibraryProperties, LibrarySnapshot, ListingSegment, MapMode};
use crate::matching::{FolderResolver, Mappings, NormalPath, Resolver, Scope};
use crate::model::Item;

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
    /// By three times the number of the path or key, plus 0 to 2.
    answers: BTreeMap<usize, String>,
    /// Where segments are written, as they are opened by name.
    place: PathBuf,
    _folder: tempfile::TempDir,
}

thread_local! {
    static ORIGINAL: Original = Original::new();
}

fn items() -> Vec<Item> {
    let mut items = mixed_items();
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
            let outcome = (!outcome.is_broken).then(|| format!("{outcome:?}"));
            let fast = Resolver::new(&views, Scope::One(0), &self.mappings).fast_lookup(path);
            let fast = format!("{fast:?}");
            let above = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            let folder = NormalPath::with(&path[..above], |path| {
                format!(
                    "{:?}",
                    FolderResolver::new(&views, Scope::One(0), &self.mappings, path).resolve()
                )
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
