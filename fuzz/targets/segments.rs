//! Damaged segments: of a listing, of recorded matches, of a host's table. A segment with wrong checksums is refused,
//! reports that it is broken, or answers as before. One with valid checksums never causes a crash.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use plexindex::testing::xxh3_64;

use super::against::{Recorded, host_rule, listing, matches_in, mixed_items, movie, write_matches};
use super::input::{Input, folder, patched};
use crate::engine::{
    LibraryProperties, LibrarySnapshot, ListingSegment, MapMode, Matches, Record, RecordSegment, RecordSegmentBuilder,
    StoredValue, TableId, record_hash, upper,
};
use crate::matching::{FolderResolver, Mappings, NormalPath, Resolver, Scope};
use crate::model::Item;

const BLOCK: usize = 4096;
/// Offsets in the head: of the table's offset, of the table's checksum, and of the head's own checksum.
const AT_SUMS: usize = 16 + 18 * 8;
const AT_SUMS_SUM: usize = 16 + 20 * 8;
const AT_HEAD_SUM: usize = 504;
const NAME_MAC: u64 = 7;
const TABLE: TableId = TableId(3);

/// A value, unless it is long, and its expiry.
type Entry = (Option<Vec<u8>>, Option<i64>);

/// The undamaged segments, the queries, and the expected answers.
struct Original {
    listing: Vec<u8>,
    matches: Vec<u8>,
    entries: Vec<u8>,
    mappings: Mappings,
    paths: Vec<Vec<u8>>,
    keys: Vec<String>,
    names: Vec<Vec<u8>>,
    /// By three times the number of the path or key, plus 0 to 2.
    answers: BTreeMap<usize, String>,
    expected_entries: Vec<Option<Entry>>,
    /// Where segments of tables are written, as they are opened by name.
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
        let recorded: [Recorded<'_>; 3] = [
            (b"/rec/\xff.mkv", Some("101"), 1),
            (b"/rec/b.mkv", Some("102"), 2),
            (b"/mnt/films/Other/Film.mkv", Some("101"), 9),
        ];
        paths.push(b"/REC/B.mkv".to_vec());
        let long = vec![b'v'; 700];
        let mut names: Vec<Vec<u8>> = (0..40).map(|n| format!("/films/{n}.mkv").into_bytes()).collect();
        names.extend([b"".to_vec(), b"\0\xff".to_vec(), b"gone".to_vec()]);
        let folder = folder();
        let place = folder.path().join("entries.segment");
        names.sort();
        let mut builder = RecordSegmentBuilder::new(&place, 0);
        for (n, name) in names.iter().enumerate().take(42) {
            let value = match n % 7 {
                0 => None,
                1 => Some(long.as_slice()),
                _ => Some(name.as_slice()),
            };
            let expires_ms = (n % 3 == 0).then_some(i64::try_from(n).unwrap_or(0) * 1_000_000_007);
            let stored = StoredValue {
                value,
                length: value.map_or(70_000, |value| value.len() as u64),
                expires_ms,
            };
            let record = Record {
                table: TABLE,
                is_path: false,
                name,
                hash: upper(record_hash(TABLE, name)),
                row: 7,
                state: (n % 5 > 0).then_some(stored),
            };
            builder.push(&record).expect("room");
        }
        builder.finish(&place, NAME_MAC).expect("a segment is made");
        let entries = std::fs::read(&place).expect("the segment");
        write_matches(&recorded, 1, &place, NAME_MAC);
        let matches = std::fs::read(&place).expect("the segment");
        std::fs::write(&place, &entries).expect("written");
        let mut original = Self {
            listing: listing(&items, &mappings),
            matches,
            entries,
            mappings,
            paths,
            keys: items.iter().map(|item| item.rating_key.clone()).collect(),
            names,
            answers: BTreeMap::new(),
            expected_entries: Vec::new(),
            place,
            _folder: folder,
        };
        original.answers = original
            .answers_of(
                Some(original.listing.clone()),
                Some(original.matches.clone()),
                &(0..usize::MAX),
            )
            .expect("fresh segments answer")
            .into_iter()
            .collect();
        let segment = RecordSegment::open(&original.place, MapMode::Read, NAME_MAC).expect("a fresh segment opens");
        original.expected_entries = original
            .entries_of(&segment)
            .into_iter()
            .map(|one| one.expect("whole"))
            .collect();
        original
    }

    /// The answers of these segments for some of the paths and keys; `None` if one is broken, or found to be broken.
    fn answers_of(
        &self,
        listing: Option<Vec<u8>>,
        matches: Option<Vec<u8>>,
        which: &Range<usize>,
    ) -> Option<Vec<(usize, String)>> {
        let place = self.place.with_extension("listing");
        let open = |bytes: Vec<u8>| {
            std::fs::write(&place, bytes).expect("written");
            ListingSegment::open(&place, MapMode::Read, 0)
        };
        let listing = listing.map(open).transpose().ok()?.map(Arc::new);
        let place = self.place.with_extension("matches");
        let open = |bytes: Vec<u8>| {
            std::fs::write(&place, bytes).expect("written");
            RecordSegment::open(&place, MapMode::Read, NAME_MAC)
        };
        let matches = matches.map(open).transpose().ok()?.map(|one| matches_in(vec![one]));
        let facts = LibraryProperties {
            uuid: "uuid".into(),
            locations: vec!["/mnt/films".into()],
            listed_at: 5,
            fetched: true,
            ..LibraryProperties::default()
        };
        let view = LibrarySnapshot::new(facts, &self.mappings, listing.clone(), matches);
        let broken = || {
            listing.as_ref().is_some_and(|segment| segment.is_broken())
                || view.matches.as_ref().is_some_and(Matches::are_lost)
        };
        let views = [&view];
        let mut answers = Vec::new();
        for (at, path) in in_range(&self.paths, which) {
            let outcome = Resolver::new(&views, Scope::One(0), &self.mappings).resolve(path);
            let outcome = (!outcome.is_broken).then(|| format!("{outcome:?}"));
            let fast = Resolver::new(&views, Scope::One(0), &self.mappings).fast_lookup(path);
            let fast = format!("{:?}", fast.map(|hit| (hit.match_kind, hit.rating_key)));
            let above = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            let folder = NormalPath::with(&path[..above], |path| {
                format!(
                    "{:?}",
                    FolderResolver::new(&views, Scope::One(0), &self.mappings, path).resolve()
                )
            });
            // An answer that is not marked as broken must be right, even if damage is found later.
            answers.extend(outcome.map(|outcome| (3 * at, outcome)));
            if broken() {
                return None;
            }
            answers.push((3 * at + 1, fast + &folder));
        }
        if let Some(segment) = &listing {
            for (at, key) in in_range(&self.keys, which) {
                let number = segment.find(key);
                let whole = number.and_then(|at| segment.whole_item(at));
                let item = number.map(|at| {
                    (
                        segment.item_and_is_multi_file(at),
                        segment.key_and_path(at),
                        segment.added_sequence(at),
                        &whole,
                    )
                });
                answers.push((3 * at + 2, format!("{key}: {item:?}")));
            }
        }
        (!broken()).then_some(answers)
    }

    fn entries_of(&self, segment: &RecordSegment) -> Vec<Result<Option<Entry>, ()>> {
        let own = |record: Record<'_>| {
            let state = record
                .state
                .map(|stored| (stored.value.map(<[u8]>::to_vec), stored.expires_ms));
            state.unwrap_or_default()
        };
        let find = |name: &Vec<u8>| {
            let hash = record_hash(TABLE, name);
            let found = segment.find((TABLE, name), hash, segment.first(hash));
            found.map(|found| found.map(own)).map_err(|_| ())
        };
        let next = |name: &Vec<u8>| {
            let next = segment.seek((TABLE, name)).and_then(|place| segment.next(place));
            next.map(|next| next.map(|(record, _)| own(record))).map_err(|_| ())
        };
        self.names.iter().flat_map(|name| [find(name), next(name)]).collect()
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

fn table(original: &Original, bytes: &[u8], with_valid_checksums: bool) {
    std::fs::write(&original.place, bytes).expect("written");
    let Ok(segment) = RecordSegment::open(&original.place, MapMode::Read, NAME_MAC) else {
        return;
    };
    let answers = original.entries_of(&segment);
    if !with_valid_checksums {
        let names = original.names.iter().flat_map(|name| [name, name]);
        for ((found, wanted), name) in answers.iter().zip(&original.expected_entries).zip(names) {
            assert!(
                found.as_ref().is_ok_and(|found| found == wanted) || found.is_err(),
                "{name:?}: {found:?}"
            );
        }
    }
    assert!(answers.iter().all(Result::is_ok) || segment.is_broken());
}

pub fn run(data: &[u8]) {
    ORIGINAL.with(|original| damaged(original, data));
}

fn damaged(original: &Original, data: &[u8]) {
    let mut input = Input(data);
    let mode = input.byte();
    let has_valid_checksums = mode & 1 == 1;
    let of = match mode >> 1 & 3 {
        0 | 1 => &original.listing,
        2 => &original.matches,
        _ => &original.entries,
    };
    let bytes = patched(of, &mut input);
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
    let answers = match mode >> 1 & 3 {
        0 | 1 => original.answers_of(Some(bytes), Some(original.matches.clone()), &which),
        2 => original.answers_of(Some(original.listing.clone()), Some(bytes), &which),
        _ => return table(original, &bytes, has_valid_checksums),
    };
    if let Some(answers) = answers.filter(|_| !has_valid_checksums) {
        for (at, answers) in answers {
            assert_eq!(
                answers, original.answers[&at],
                "another answer, and no check that fails"
            );
        }
    }
}
