use proptest::prelude::*;
use rusqlite::types::{FromSql, ValueRef};

use super::{ItemTexts, Packer};
use crate::model::Item;

fn item(texts: &ItemTexts) -> Item {
    let ItemTexts {
        title,
        guid,
        guids,
        parts,
    } = texts.clone();
    Item {
        title,
        guid,
        guids,
        parts,
        ..Item::default()
    }
}

fn read(cell: &[u8]) -> Option<ItemTexts> {
    ItemTexts::column_result(ValueRef::Blob(cell)).ok()
}

fn texts(title: &str, guid: &str, guids: &[&str], parts: &[&str]) -> ItemTexts {
    let all = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    ItemTexts {
        title: title.to_owned(),
        guid: guid.to_owned(),
        guids: all(guids),
        parts: all(parts),
    }
}

#[test]
fn repeated_text_is_stored_once() {
    let film = texts(
        "Faded Machine of Delphi",
        "plex://movie/57cb3d0c48e28585464383f5",
        &["imdb://tt02000001", "tmdb://1000001", "tvdb://1070001"],
        &["/data/movies/Faded Machine of Delphi (1976)/Faded Machine of Delphi (1976) - 1080p.mkv"],
    );
    let mut packer = Packer::default();
    let cell = packer.pack(&item(&film));
    assert!(cell.len() <= 100, "{} bytes", cell.len());
    assert_eq!(read(cell), Some(film));
}

#[test]
fn a_damaged_cell_is_an_error_or_another_text() {
    let kept = texts(
        "Same",
        "plex://movie/57cb3d0c48e28585464383f5",
        &["tmdb://5"],
        &["/Same/Same/SameSameSame.mkv", "/Same"],
    );
    let mut packer = Packer::default();
    let cell = packer.pack(&item(&kept)).to_vec();
    for length in 0..cell.len() {
        assert_eq!(read(&cell[..length]), None, "cut to {length}");
    }
    for at in 0..cell.len() {
        for byte in 0..=255 {
            let mut other = cell.clone();
            other[at] = byte;
            let _ends = read(&other);
        }
    }
}

proptest! {
    #[test]
    fn all_texts_come_back(
        title in "[ab/]{0,12}|\\PC{0,20}",
        guid in "(plex://movie/|imdb://tt|tvdb://)?([0-9]{0,22}|[0-9a-f]{24}|\\PC{0,9})",
        guids in proptest::collection::vec("(mbid://|tmdb://)?([0-9]{0,9}|\\PC{0,9})", 0..4),
        parts in proptest::collection::vec("[ab/]{0,90}|\\PC{0,60}", 0..4),
    ) {
        let kept = ItemTexts { title, guid, guids, parts };
        let mut packer = Packer::default();
        prop_assert_eq!(read(packer.pack(&item(&kept))), Some(kept.clone()));
        // Nothing of the previous item is left in the reused buffers.
        prop_assert_eq!(read(packer.pack(&item(&ItemTexts::default()))), Some(ItemTexts::default()));
        prop_assert_eq!(read(packer.pack(&item(&kept))), Some(kept));
    }
}
