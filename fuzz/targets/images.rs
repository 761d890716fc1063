//! Index files that are damaged: of a listing, of recorded matches, of a host's table. As long as the check sums are not
//! made to fit, an image is refused, says that it is broken, or answers as before. Where they are, it never crashes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use plexindex::fuzzing::xxh3_64;

use super::input::{Input, folder, patched};
use super::ladder::against::{Recorded, host_rule, listing, match_segment, matches_in, mixed_items, movie};
use crate::image::{
    LibraryView, ListingSegment, MapMode, Matches, Record, RecordSegment, RecordSegmentBuilder, Stored, TableId,
    ViewFacts, record_hash,
};
use crate::matching::{FolderResolver, Mappings, Normal, Resolver, Scope};
use crate::model::Item;

const BLOCK: usize = 4096;
/// In the head: where the table of check sums begins, its own check sum, and the head's.
const AT_SUMS: usize = 16 + 18 * 8;
const AT_SUMS_SUM: usize = 16 + 20 * 8;
const AT_HEAD_SUM: usize = 504;
const SEAL: u64 = 7;
const TABLE: TableId = TableId(3);

/// A value, unless it is long, and its expiry.
type Entry = (Option<Vec<u8>>, Option<i64>);

/// The images as they were made, what is asked, and what they say then.
struct Whole {
    listing: Vec<u8>,
    matches: Vec<u8>,
    entries: Vec<u8>,
    mappings: Mappings,
    questions: Vec<Vec<u8>>,
    keys: Vec<String>,
    names: Vec<Vec<u8>>,
    /// By the question's number, or the key's.
    told: BTreeMap<usize, String>,
    told_entries: Vec<Option<Entry>>,
    /// Of images of tables, which are opened by name.
    place: PathBuf,
    _folder: tempfile::TempDir,
}

thread_local! {
    static WHOLE: Whole = Whole::new();
}

fn items() -> Vec<Item> {
    let mut items = mixed_items();
    // More than one block.
    for n in 0..30 {
        items.push(movie(
            &format!("m{n}"),
            &[&format!("/mnt/films/Number {}/{}.mkv", n / 7, n % 5)],
        ));
    }
    items
}

impl Whole {
    fn new() -> Self {
        let mappings = host_rule();
        let items = items();
        let mut questions: Vec<Vec<u8>> = vec![b"/mnt/films/none.mkv".to_vec(), b"/rec/\xff.mkv".to_vec()];
        for path in items.iter().flat_map(|item| &item.parts).step_by(2) {
            let texts = [
                path.clone(),
                path.replace("/mnt", "/host"),
                path.replace("/mnt", "/x").to_uppercase(),
            ];
            questions.extend(texts.map(String::into_bytes));
        }
        questions.truncate(24);
        let recorded: [Recorded<'_>; 3] = [
            (b"/rec/\xff.mkv", Some("101"), 1),
            (b"/rec/b.mkv", Some("102"), 2),
            (b"/mnt/films/Other/Film.mkv", Some("101"), 9),
        ];
        questions.push(b"/REC/B.mkv".to_vec());
        let long = vec![b'v'; 700];
        let mut names: Vec<Vec<u8>> = (0..40).map(|n| format!("/films/{n}.mkv").into_bytes()).collect();
        names.extend([b"".to_vec(), b"\0\xff".to_vec(), b"gone".to_vec()]);
        let folder = folder();
        let place = folder.path().join("entries.image");
        names.sort();
        let mut builder = RecordSegmentBuilder::new(Some(&place));
        for (n, name) in names.iter().enumerate().take(42) {
            let value = match n % 7 {
                0 => None,
                1 => Some(long.as_slice()),
                _ => Some(name.as_slice()),
            };
            let expires_ms = (n % 3 == 0).then_some(i64::try_from(n).unwrap_or(0) * 1_000_000_007);
            let stored = Stored {
                value,
                length: value.map_or(70_000, |value| value.len() as u64),
                expires_ms,
            };
            let record = Record {
                table: TABLE,
                is_path: false,
                name,
                row: 7,
                state: (n % 5 > 0).then_some(stored),
            };
            builder.push(&record).expect("room");
        }
        builder.finish(&place, SEAL).expect("an image is made");
        let entries = std::fs::read(&place).expect("the image");
        let builder = match_segment(&recorded, 1, Some(&place));
        builder.finish(&place, SEAL).expect("an image is made");
        let matches = std::fs::read(&place).expect("the image");
        std::fs::write(&place, &entries).expect("written");
        let mut whole = Self {
            listing: listing(&items, &mappings),
            matches,
            entries,
            mappings,
            questions,
            keys: items.iter().map(|item| item.rating_key.clone()).collect(),
            names,
            told: BTreeMap::new(),
            told_entries: Vec::new(),
            place,
            _folder: folder,
        };
        whole.told = whole
            .tell(
                Some(whole.listing.clone()),
                Some(whole.matches.clone()),
                &(0..usize::MAX),
            )
            .expect("fresh images answer")
            .into_iter()
            .collect();
        let image = RecordSegment::open(&whole.place, MapMode::Read, SEAL).expect("a fresh segment opens");
        whole.told_entries = whole
            .tell_entries(&image)
            .into_iter()
            .map(|one| one.expect("whole"))
            .collect();
        whole
    }

    /// What these images say to some of the questions, and of some of the keys; nothing when one is, or turns out to be,
    /// broken.
    fn tell(
        &self,
        listing: Option<Vec<u8>>,
        matches: Option<Vec<u8>>,
        which: &Range<usize>,
    ) -> Option<Vec<(usize, String)>> {
        let listing = listing.map(ListingSegment::in_memory).transpose().ok()?.map(Arc::new);
        let place = self.place.with_extension("matches");
        let open = |bytes: Vec<u8>| {
            std::fs::write(&place, bytes).expect("written");
            RecordSegment::open(&place, MapMode::Read, SEAL)
        };
        let matches = matches.map(open).transpose().ok()?.map(|one| matches_in(vec![one]));
        let facts = ViewFacts {
            uuid: "uuid".into(),
            locations: vec!["/mnt/films".into()],
            listed_at: 5,
            fetched: true,
        };
        let view = LibraryView::new(facts, &self.mappings, listing.clone(), matches, Arc::default());
        let broken = || {
            listing.as_ref().is_some_and(|image| image.is_broken())
                || view.matches.as_ref().is_some_and(Matches::are_lost)
        };
        let views = [&view];
        let mut told = Vec::new();
        for (at, question) in some(&self.questions, which) {
            let outcome = Resolver::new(&views, Scope::One(0), &self.mappings).resolve(question);
            let outcome = (!outcome.broken).then(|| format!("{outcome:?}"));
            let fast = Resolver::new(&views, Scope::One(0), &self.mappings).fast_lookup(question);
            let fast = format!("{:?}", fast.map(|hit| (hit.match_kind, hit.rating_key)));
            let above = question.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            let folder = Normal::with(&question[..above], |path| {
                format!(
                    "{:?}",
                    FolderResolver::new(&views, Scope::One(0), &self.mappings, path).resolve()
                )
            });
            // An answer that says it is whole has to be right, whatever is found out later.
            told.extend(outcome.map(|outcome| (3 * at, outcome)));
            if broken() {
                return None;
            }
            told.push((3 * at + 1, fast + &folder));
        }
        if let Some(image) = &listing {
            for (at, key) in some(&self.keys, which) {
                let number = image.find(key);
                let item = number.map(|at| (image.item(at), image.facts(at), image.added_sequence(at)));
                told.push((3 * at + 2, format!("{key}: {item:?}")));
            }
        }
        (!broken()).then_some(told)
    }

    fn tell_entries(&self, segment: &RecordSegment) -> Vec<Result<Option<Entry>, ()>> {
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

/// Those with a number in this range.
fn some<'a, T>(all: &'a [T], which: &Range<usize>) -> impl Iterator<Item = (usize, &'a T)> {
    let end = which.end.min(all.len());
    all.iter().enumerate().take(end).skip(which.start)
}

/// Makes all check sums fit, as one could who wants to do harm.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
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

fn table(whole: &Whole, bytes: &[u8], sealed: bool) {
    std::fs::write(&whole.place, bytes).expect("written");
    let Ok(image) = RecordSegment::open(&whole.place, MapMode::Read, SEAL) else {
        return;
    };
    let told = whole.tell_entries(&image);
    if !sealed {
        let names = whole.names.iter().flat_map(|name| [name, name]);
        for ((found, wanted), name) in told.iter().zip(&whole.told_entries).zip(names) {
            assert!(
                found.as_ref().is_ok_and(|found| found == wanted) || found.is_err(),
                "{name:?}: {found:?}"
            );
        }
    }
    assert!(told.iter().all(Result::is_ok) || image.is_broken());
}

pub fn run(data: &[u8]) {
    WHOLE.with(|whole| damaged(whole, data));
}

fn damaged(whole: &Whole, data: &[u8]) {
    let mut input = Input(data);
    let mode = input.byte();
    let fit = mode & 1 == 1;
    let of = match mode >> 1 & 3 {
        0 | 1 => &whole.listing,
        2 => &whole.matches,
        _ => &whole.entries,
    };
    let bytes = patched(of, &mut input);
    let bytes = if fit { sealed(bytes) } else { bytes };
    // All questions take long: eight of them, or all at times.
    let which = match mode >> 3 {
        31 => 0..usize::MAX,
        at => usize::from(at & 3) * 8..usize::from(at & 3) * 8 + 8,
    };
    let told = match mode >> 1 & 3 {
        0 | 1 => whole.tell(Some(bytes), Some(whole.matches.clone()), &which),
        2 => whole.tell(Some(whole.listing.clone()), Some(bytes), &which),
        _ => return table(whole, &bytes, fit),
    };
    if let Some(told) = told.filter(|_| !fit) {
        for (at, told) in told {
            assert_eq!(told, whole.told[&at], "another answer, and no check that fails");
        }
    }
}
