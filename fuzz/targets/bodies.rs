//! What a server answers: identity, libraries, pages, items. What is read obeys the limits, holds no text that C cannot
//! hold.

use plexindex::model::{ByteString, ItemType};
use plexindex::source::plex::{Reply, ReplyKind};
use plexindex::testing::plex::reply;

use super::input::Input;

/// The most entries of a list within a row.
const LIST: usize = 1_024;

fn check(answer: &Reply, most: u64) {
    for item in answer.items.iter().map(|located| &located.item) {
        assert!(!item.rating_key.is_empty(), "an item without a key");
        let own = [
            &item.rating_key,
            &item.title,
            &item.show_title,
            &item.show_rating_key,
            &item.show_guid,
            &item.season_title,
            &item.season_rating_key,
            &item.season_guid,
            &item.guid,
        ];
        let guids: Vec<ByteString> = item.guids.iter().map(|guid| guid.as_str().into()).collect();
        let own = own.into_iter().map(String::as_bytes);
        for text in own.chain(guids.iter().chain(&item.parts).map(ByteString::as_bytes)) {
            assert!(!text.contains(&0), "a NUL in {text:?}");
        }
        for list in [&guids, &item.parts] {
            assert!(list.len() <= LIST);
            assert!(list.iter().all(|one| !one.is_empty()));
            assert!(
                list.len() > 64 || (1..list.len()).all(|at| !list[..at].contains(&list[at])),
                "twice"
            );
        }
    }
    assert!(answer.items.len() as u64 <= most.min(answer.rows.max(answer.items.len() as u64)));
    let libraries = &answer.libraries;
    for (at, library) in libraries.iter().enumerate() {
        assert!(!library.section.is_empty() && !library.uuid.is_empty());
        assert!(
            libraries[..at].iter().all(|other| other.section != library.section),
            "a section twice"
        );
        let texts = [&library.section, &library.uuid, &library.title];
        assert!(
            texts
                .into_iter()
                .chain(&library.locations)
                .all(|text| !text.contains('\0'))
        );
    }
    let texts = [&answer.machine_identifier, &answer.version];
    assert!(texts.into_iter().flatten().all(|text| !text.contains('\0')));
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let mode = input.byte();
    let most = [0, 1, 3, 1_000][usize::from(mode >> 3 & 3)];
    let wanted = match mode & 7 {
        0 => ReplyKind::Metadata,
        1 => ReplyKind::Libraries,
        2 => ReplyKind::Items(ItemType::Episode, most),
        3 => ReplyKind::Items(ItemType::Other, most),
        _ => ReplyKind::Items(ItemType::Movie, most),
    };
    let limit = if mode & 32 == 0 { u64::MAX } else { 64 };
    let encoding = match mode >> 6 {
        0 | 1 => None,
        2 => Some("gzip"),
        _ => Some("x-gzip "),
    };
    let body = input.0;
    let answer = reply(body, encoding, limit, wanted);
    let (parsed, is_valid) = &answer;
    check(parsed, most);
    assert_eq!(answer, reply(body, encoding, limit, wanted));
    if encoding.is_some() {
        return;
    }
    if body.len() as u64 > limit {
        assert!(!is_valid, "over the limit");
        return;
    }
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if text.trim_ascii_start().first() != Some(&b'{') {
        assert_eq!(answer, (Reply::new(wanted), false), "no object");
    }
}
