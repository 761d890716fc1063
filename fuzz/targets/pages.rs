//! The version page, whatever stands in its file. A page that is taken is this store's; it says that its counters are equal
//! only when they are; and a repair makes it right.

use std::fs;
use std::path::Path;

use super::input::{Input, folder};
use crate::engine::VersionPage;

const PAGE: usize = 4096;
const STORE: u64 = 0x0123_4567_89AB_CDEF;
/// Words of the page: magic, version, store, pending, done.
const WORDS: [usize; 5] = [0, 1, 2, 16, 17];

thread_local! {
    static FOLDER: tempfile::TempDir = folder();
}

pub fn run(data: &[u8]) {
    FOLDER.with(|folder| page(&folder.path().join("counters"), data));
}

fn page(place: &Path, data: &[u8]) {
    let mut input = Input(data);
    let mut words = [0_u64; PAGE / 8];
    let like_one = input.byte();
    for (at, word) in WORDS.into_iter().enumerate() {
        words[word] = match at {
            0 if like_one & 1 == 0 => u64::from_le_bytes(*b"PLXCOUNT"),
            1 if like_one & 2 == 0 => 3,
            2 if like_one & 4 == 0 => STORE,
            4 if like_one & 16 == 0 => words[16],
            _ => input.u64(),
        };
    }
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let length = match like_one >> 5 {
        0 => usize::from(input.u16()) % (2 * PAGE),
        1 => PAGE + 1,
        _ => PAGE,
    };
    bytes.resize(length, 0xA5);
    let rest = input.bytes();
    let room = rest.len().min(bytes.len());
    if room > 0 {
        let at = usize::from(input.u16()) % bytes.len();
        let room = room.min(bytes.len() - at);
        bytes[at..at + room].copy_from_slice(&rest[..room]);
    }
    fs::write(place, &bytes).expect("written");
    let word = |at: usize| {
        bytes
            .get(at * 8..at * 8 + 8)
            .map(|word| u64::from_ne_bytes(word.try_into().expect("a word")))
    };
    let ours = length >= PAGE
        && word(0) == Some(u64::from_le_bytes(*b"PLXCOUNT"))
        && word(1) == Some(3)
        && word(2) == Some(STORE);
    let found = VersionPage::existing(place, STORE).expect("a file that can be read");
    assert_eq!(found.is_some(), ours);
    // The store is fresh, or a writer would wait until all have noticed.
    let page = VersionPage::open(place, STORE, true).expect("a page");
    let equal = word(16).filter(|pending| ours && word(17) == Some(*pending));
    let wanted = if ours { equal } else { Some(0) };
    assert_eq!(page.counters().state(), wanted);
    assert!(page.is_at(place));
    if let Some(found) = found {
        assert_eq!(found.counters().state(), wanted);
    }
    let number = input.u64();
    page.counters().repair(number);
    assert_eq!(page.counters().state(), Some(number));
    if let Some(next) = number.checked_add(1) {
        page.counters().begin(next);
        assert_eq!(page.counters().state(), None);
        page.counters().commit(next);
        assert_eq!(page.counters().state(), Some(next));
    }
}
