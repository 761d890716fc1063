//! Parses recorded replies, and replies composed after the notes on Plex's API (sections 2 to 4) for cases that no
//! recorded one has.

use serde_json::{Value, json};

use crate::model::{LONGEST_KEY, LibraryKind, SourceState, TokenReliability};

use super::*;

fn parsed(body: &[u8], kind: ReplyKind) -> Reply {
    let mut reply = Reply::new(kind);
    parse_reply(body, &mut reply, &|| true).unwrap();
    reply
}

const MOVIES: ReplyKind = ReplyKind::Items(ItemType::Movie, u64::MAX);

/// Parses a listing.
fn rows(body: &[u8]) -> (Reply, u64, Vec<Item>) {
    let mut reply = parsed(body, MOVIES);
    let items = std::mem::take(&mut reply.items).into_iter().map(|located| located.item);
    let (rows, items) = (reply.rows, items.collect());
    (reply, rows, items)
}

fn items(reply: &Value) -> Vec<Item> {
    rows(reply.to_string().as_bytes()).2
}

fn listing(rows: &Value) -> Value {
    json!({ "MediaContainer": { "size": 1, "Metadata": rows } })
}

fn libraries(reply: &Value) -> Vec<Library> {
    parsed(reply.to_string().as_bytes(), ReplyKind::Libraries).libraries
}

macro_rules! recorded {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/standin/fixtures/", $name))
    };
}

#[test]
fn recorded_movies() {
    let (head, count, items) = rows(recorded!("movie_library.json"));
    assert!(head.is_plex && !head.has_legacy_format);
    assert_eq!((head.total, head.offset, count), (None, None, 4));
    let keys: Vec<_> = items.iter().map(|item| item.rating_key.as_str()).collect();
    assert_eq!(keys, ["55", "56", "108", "57"]);
    assert_eq!(
        items[0],
        Item {
            rating_key: "55".into(),
            kind: ItemType::Movie,
            title: "Big Buck Bunny".into(),
            year: 2008,
            season: -1,
            episode: -1,
            guid: "com.plexapp.agents.imdb://tt1254207?lang=en".into(),
            parts: vec!["/data/Movies/Big Buck Bunny (2008).mkv".into()],
            ..Item::default()
        }
    );
}

#[test]
fn recorded_episodes() {
    let (_, count, items) = rows(recorded!("tv_episodes.json"));
    // Its `size` says 9, but rows are counted.
    assert_eq!((count, items.len()), (3, 3));
    let pilot = &items[0];
    assert_eq!(pilot.kind, ItemType::Episode);
    assert_eq!((pilot.season, pilot.episode), (1, 1));
    assert_eq!((pilot.title.as_str(), pilot.show_title.as_str()), ("Pilot", "The 100"));
    assert_eq!(pilot.show_rating_key, "22");
    assert_eq!(pilot.show_guid, "com.plexapp.agents.thetvdb://268592?lang=en");
    assert_eq!((&*pilot.season_title, &*pilot.season_rating_key), ("Season 1", "89"));
    assert_eq!(pilot.season_guid, "com.plexapp.agents.thetvdb://268592/1?lang=en");
    assert_eq!(pilot.guid, "com.plexapp.agents.thetvdb://268592/1/1?lang=en");
    assert_eq!(pilot.parts.len(), 1);
}

#[test]
fn recorded_shows_own_no_files() {
    let (_, _, items) = rows(recorded!("tv_library.json"));
    assert_eq!(items.len(), 2);
    for show in items {
        assert_eq!(show.kind, ItemType::Other);
        assert!(show.parts.is_empty());
    }
}

#[test]
fn recorded_detail_agrees_with_its_listing() {
    let (_, _, listed) = rows(recorded!("movie_library.json"));
    let (_, _, detail) = rows(recorded!("metadata_108.json"));
    let listed = listed.into_iter().find(|item| item.rating_key == "108").unwrap();
    assert_eq!(detail[0].parts, listed.parts);
    assert_eq!(detail[0].title, listed.title);
    assert_eq!(detail[0].guid, listed.guid);
}

#[test]
fn composed_trash_is_left_out_or_marked() {
    let items = items(&listing(&json!([
        { "ratingKey": "1", "deletedAt": 1_700_000_000, "Media": [{ "deletedAt": "1700000000", "Part": [{ "file": "/a" }] }] },
        { "ratingKey": "2", "Media": [{ "Part": [{ "file": "/b" }] }, { "Part": [{ "file": "/c" }], "deletedAt": 1 }] },
        { "ratingKey": "3", "Media": [{ "Part": [{ "file": "/d", "deletedAt": 1 }, { "deletedAt": 0, "file": "/e" }] }] },
        { "ratingKey": "4", "deletedAt": null, "Media": { "Part": { "file": "/f" } } },
    ])));
    let shown: Vec<_> = items.iter().map(|item| (item.trashed, item.parts.clone())).collect();
    let expected = [(true, "/a"), (false, "/b"), (false, "/e"), (false, "/f")];
    assert_eq!(shown, expected.map(|(trashed, part)| (trashed, vec![part.into()])));
}

#[test]
fn composed_versions_stacks_and_optimized_versions() {
    let items = items(&listing(&json!([{
        "ratingKey": "56", "guid": "plex://movie/5d776830880197001ec967c6", "type": "movie",
        "title": "Elephants Dream", "year": 2006,
        "Guid": [{ "id": "imdb://tt0807840" }, { "id": "tmdb://9761" }],
        "Media": [
            { "id": 47, "Part": [
                { "id": 47, "file": "/data/Movies/Elephants Dream (2006) - part1.mkv" },
                { "id": 48, "file": "/data/Movies/Elephants Dream (2006) - part2.mkv" },
            ] },
            { "id": 49, "proxyType": 42, "target": "Optimized for TV", "Part": [
                { "id": 50, "file": "/data/Movies/Plex Versions/Optimized for TV/Elephants Dream (2006).mp4" },
            ] },
            // Two versions that name one file (plex_dupefinder).
            { "id": 51, "Part": [{ "id": 52, "file": "/data/Movies/Elephants Dream (2006) - part1.mkv" }] },
        ],
    }])));
    assert_eq!(
        items[0].parts,
        [
            "/data/Movies/Elephants Dream (2006) - part1.mkv",
            "/data/Movies/Elephants Dream (2006) - part2.mkv",
            "/data/Movies/Plex Versions/Optimized for TV/Elephants Dream (2006).mp4",
        ]
    );
    assert_eq!(items[0].guids, ["imdb://tt0807840", "tmdb://9761"]);
    assert_eq!(items[0].guid, "plex://movie/5d776830880197001ec967c6");
}

#[test]
fn composed_one_file_for_several_episodes() {
    let file = r"M:\TV\Show\Show S03E04-E06.mkv";
    let episode = |key: u32, index: u32| {
        json!({ "ratingKey": key.to_string(), "type": "episode", "title": format!("Part {index}"),
            "grandparentTitle": "Show", "grandparentRatingKey": "7", "parentIndex": 3, "index": index,
            "Media": [{ "id": key, "Part": [{ "id": key, "file": file }] }] })
    };
    let items = items(&listing(&json!([episode(4, 4), episode(5, 5), episode(6, 6)])));
    assert_eq!(items.len(), 3);
    for (item, episode) in items.iter().zip(4..) {
        assert_eq!(item.parts, [file]);
        assert_eq!((item.season, item.episode), (3, episode));
        assert_eq!(item.show_rating_key, "7");
    }
}

#[test]
fn composed_seasons_without_a_key_and_albums_of_photos_are_none() {
    let rows = json!([
        { "ratingKey": "1", "type": "episode", "parentTitle": "Season 1", "parentGuid": "plex://season/1" },
        { "ratingKey": "2", "type": "photo", "parentTitle": "Holidays", "parentRatingKey": "7", "parentIndex": 1,
            "index": 1 },
        { "ratingKey": "3", "type": "track", "parentTitle": "An Album", "parentRatingKey": 8 },
    ]);
    let items = items(&listing(&rows));
    let seasons = items
        .iter()
        .map(|item| (&*item.season_rating_key, &*item.season_title, &*item.season_guid));
    assert_eq!(
        seasons.collect::<Vec<_>>(),
        [("", "", ""), ("", "", ""), ("8", "An Album", "")]
    );
    assert_eq!((items[1].season, items[1].episode), (-1, -1));
}

#[test]
fn composed_paths_of_windows_and_legacy_guids() {
    let items = items(&listing(&json!([
        { "ratingKey": "1", "type": "track", "title": "T", "guid": "local://1", "grandparentTitle": "Artist",
          "Media": [{ "Part": [{ "file": r"\\nas\music\AC\DC.flac" }] }] },
        { "ratingKey": "2", "type": "clip", "guid": "com.plexapp.agents.none://d41d8cd98f00b204?lang=xn",
          "Media": [{ "Part": [{ "file": r"\\?\UNC\nas\very\long.mp4" }] }] },
        { "ratingKey": "3", "type": "photo", "Media": [{ "Part": [{ "file": "/photos/\u{e9}te\u{301}.jpg" }] }] },
    ])));
    assert_eq!(items[0].parts, [r"\\nas\music\AC\DC.flac"]);
    assert_eq!((items[0].kind, items[0].guid.as_str()), (ItemType::Track, "local://1"));
    assert_eq!(items[1].parts, [r"\\?\UNC\nas\very\long.mp4"]);
    assert_eq!((items[1].kind, items[1].title.as_str()), (ItemType::Clip, ""));
    // The bytes stay as the server spells them, whatever their normal form.
    assert_eq!(items[2].parts, ["/photos/\u{e9}te\u{301}.jpg"]);
}

#[test]
fn composed_items_without_files_are_passed_on() {
    let items = items(&listing(&json!([
        { "ratingKey": "1", "type": "clip", "Media": [{ "Part": [{ "id": 1 }, { "file": "" }, { "file": null }] }] },
        { "ratingKey": "2", "type": "photo", "key": "/library/metadata/2/children" },
        { "ratingKey": "3", "type": "movie", "Media": [] },
    ])));
    assert_eq!(items.len(), 3);
    assert!(items.iter().all(|item| item.parts.is_empty()));
}

#[test]
fn rows_without_a_key_are_counted_and_left_out() {
    let reply = listing(
        &json!([{ "title": "none" }, { "ratingKey": "" }, { "ratingKey": null }, 7, null, [], "x", { "ratingKey": "1" }]),
    );
    let (_, count, items) = rows(reply.to_string().as_bytes());
    assert_eq!((count, items.len()), (8, 1));
}

#[test]
fn invalid_keys_are_left_out() {
    let (longest, longer) = ("7".repeat(LONGEST_KEY), "7".repeat(LONGEST_KEY + 1));
    let reply = listing(&json!([
        { "ratingKey": longer },
        // No call takes such a key, so no answer may have it.
        { "ratingKey": "movie-1" }, { "ratingKey": "5d776830880197001ec90e3a" }, { "ratingKey": -5 }, { "ratingKey": "1,2" },
        { "ratingKey": longest, "type": "episode", "parentRatingKey": longer, "parentTitle": "Season 1", "grandparentRatingKey": longer },
        { "ratingKey": "2", "type": "episode", "parentRatingKey": longest, "grandparentRatingKey": longest },
        { "ratingKey": "3", "type": "episode", "parentRatingKey": "season-1", "grandparentRatingKey": "show-1" },
    ]));
    let (_, count, items) = rows(reply.to_string().as_bytes());
    assert_eq!((count, items.len()), (8, 3));
    assert_eq!((&*items[2].season_rating_key, &*items[2].show_rating_key), ("", ""));
    assert_eq!(
        (items[0].rating_key.as_str(), items[0].show_rating_key.as_str()),
        (longest.as_str(), "")
    );
    assert_eq!(
        (items[0].season_rating_key.as_str(), items[0].season_title.as_str()),
        ("", "")
    );
    assert_eq!(
        (&items[1].season_rating_key, &items[1].show_rating_key),
        (&longest, &longest)
    );
    let found = libraries(&json!({ "MediaContainer": { "Directory": [{ "key": longer }, { "key": longest }] } }));
    assert_eq!(
        found.iter().map(|library| &library.section).collect::<Vec<_>>(),
        [&longest]
    );
}

#[test]
fn odd_types_cost_the_field_and_not_the_row() {
    let items = items(&listing(&json!([
        { "ratingKey": 55, "type": 1, "title": 300, "year": "2008", "index": "7", "parentIndex": 0.0,
          "grandparentRatingKey": 22, "guid": null },
        { "ratingKey": "2", "type": null, "title": ["a"], "year": { "a": 1 }, "index": 1.5, "parentIndex": "x",
          "guid": true, "grandparentTitle": 1e300, "Guid": "none", "Media": { "Part": { "file": "/a" } } },
        { "ratingKey": "3", "type": "film", "year": 99_999_999_999_i64, "index": true,
          "Guid": [null, 1, { "id": 5 }, { "id": ["x"] }, { "id": "imdb://tt1" }, { "id": "imdb://tt1" }],
          "Media": [null, { "Part": 7 }, { "Part": [7, null, { "file": 8 }, { "file": ["/no"] }] }] },
    ])));
    let [first, second, third] = &items[..] else {
        panic!("{items:?}")
    };
    assert_eq!(
        (first.rating_key.as_str(), first.title.as_str(), first.year),
        ("55", "300", 2008)
    );
    assert_eq!((first.kind, first.season, first.episode), (ItemType::Movie, 0, 7));
    assert_eq!(first.show_rating_key, "22");
    assert_eq!(
        (second.kind, second.title.as_str(), second.year),
        (ItemType::Movie, "", 0)
    );
    assert_eq!((second.season, second.episode), (-1, -1));
    assert_eq!(second.parts, ["/a"]);
    assert_eq!((second.guid.as_str(), second.show_title.as_str()), ("", ""));
    assert_eq!((third.kind, third.year, third.episode), (ItemType::Other, 0, -1));
    assert_eq!(third.guids, ["5", "imdb://tt1"]);
    assert_eq!(third.parts, ["8"]);
}

#[test]
fn numbers_of_the_container_come_in_any_order_and_type() {
    let row = r#"[{"ratingKey":"1"}]"#;
    for reply in [
        format!(r#"{{"MediaContainer":{{"size":1,"totalSize":3,"offset":2,"Metadata":{row}}}}}"#),
        format!(r#"{{"MediaContainer":{{"Metadata":{row},"offset":"2","x":[{{}}],"totalSize":"3"}},"y":1}}"#),
        format!(r#" {{"a":{{"totalSize":9}},"MediaContainer":{{"totalSize":3.0,"Metadata":{row},"offset":2}}}} "#),
    ] {
        let (head, count, items) = rows(reply.as_bytes());
        assert_eq!(
            (head.total, head.offset, count, items.len()),
            (Some(3), Some(2), 1, 1),
            "{reply}"
        );
    }
    let (head, count, _) = rows(br#"{"MediaContainer":{"totalSize":-1,"offset":null}}"#);
    assert_eq!((head.total, head.offset, count), (None, None, 0));
}

#[test]
fn texts_with_a_nul_are_absent_and_such_keys_left_out() {
    let (_, count, items) = rows(
        br#"{"MediaContainer":{"Metadata":[{"ratingKey":"1\u0000/library/metadata/9","title":"a"},
        {"ratingKey":"2","title":"b\u0000","grandparentRatingKey":"\u0000",
         "Media":[{"Part":[{"file":"/a\u0000.mkv"},{"file":"/b.mkv"}]}]}]}}"#,
    );
    assert_eq!((count, items.len()), (2, 1));
    assert_eq!((items[0].rating_key.as_str(), items[0].title.as_str()), ("2", ""));
    assert_eq!(
        (items[0].parts.as_slice(), items[0].show_rating_key.as_str()),
        (&["/b.mkv".into()][..], "")
    );
}

#[test]
fn a_reply_that_is_not_plexs_is_recognised() {
    for (reply, plex, ancient) in [
        ("{}", false, false),
        (r#"{"MediaContainer":{}}"#, true, false),
        (r#"{"MediaContainer":null}"#, false, false),
        (r#"{"MediaContainer":[[{"Directory":[]}]]}"#, false, false),
        (r#"{"MediaContainer":[{"size":0}]}"#, false, false),
        (r#"{"MediaContainer":"x"}"#, false, false),
        (
            r#"{"_elementType":"MediaContainer","_children":[{"a":1}]}"#,
            false,
            true,
        ),
        (r#"{"MediaContainer":{"_children":[]}}"#, true, true),
        // Like an old server's `/identity`, truncated.
        (
            r#"{"_elementType":"MediaContainer","machineIdentifier":"a","version":"0.9"}"#,
            false,
            true,
        ),
        (r#"{"_elementType":"MediaContainer","_children":[{"a":"#, false, true),
        (r#"{"size":1,"_children":[{"_elementType":"Video","#, false, true),
        ("[]", false, false),
        ("7", false, false),
    ] {
        let (head, ..) = rows(reply.as_bytes());
        assert_eq!((head.is_plex, head.has_legacy_format), (plex, ancient), "{reply}");
    }
}

#[test]
fn invalid_json_bytes_do_not_lose_a_row() {
    let reply = b"{\"MediaContainer\":{\"Metadata\":[{\"ratingKey\":\"1\",\"title\":\"a\"},\
        {\"ratingKey\":\"2\",\"title\":\"b\xff\"},{\"ratingKey\":\"3\",\"title\":\"c\x02\",\
        \"Media\":[{\"Part\":[{\"file\":\"/\xe9\x02\\udcff.mkv\"}]}]},\
        {\"ratingKey\":\"4\",\"title\":\"d\\ud83d\"},{\"ratingKey\":\"5\",\"title\":\"\\ud83d\\ude00\"}]}}";
    let (_, count, items) = rows(reply);
    let titles: Vec<_> = items.iter().map(|item| item.title.as_str()).collect();
    assert_eq!(titles, ["a", "b\u{fffd}", "c\u{2}", "d\u{fffd}", "\u{1f600}"]);
    assert_eq!(count, 5);
    assert_eq!(items[2].parts[0].as_bytes(), b"/\xe9\x02\xff.mkv");
}

#[test]
fn a_cut_reply_gives_its_whole_rows() {
    let body = recorded!("movie_library.json");
    let mut reply = Reply::new(MOVIES);
    let length = body.len() * 2 / 3;
    let error = parse_reply(&body[..length], &mut reply, &|| true).unwrap_err();
    assert_eq!(error, Stop::Malformed { at: length, length });
    assert_eq!(reply.items, parsed(body, MOVIES).items[..reply.items.len()]);
    assert!((1..4).contains(&reply.items.len()));
}

#[test]
fn parsing_stops_when_told() {
    let reply = listing(&json!([{ "ratingKey": "1" }, { "ratingKey": "2" }, { "ratingKey": "3" }])).to_string();
    let left = std::cell::Cell::new(2);
    let go_on = || {
        left.set(left.get() - 1);
        left.get() > 0
    };
    let mut begun = Reply::new(MOVIES);
    assert!(parse_reply(reply.as_bytes(), &mut begun, &go_on).is_err());
    assert_eq!(begun.items.len(), 2);
}

#[test]
fn composed_libraries() {
    let reply = json!({ "MediaContainer": { "size": 2, "Directory": [
        { "key": "1", "type": "movie", "title": "Movies", "uuid": "46c5cf5a", "refreshing": false,
          "updatedAt": 1_791_097_144, "scannedAt": 1_791_097_146, "contentChangedAt": 10,
          "Location": [{ "id": 1, "path": "/data/movies" }] },
        { "key": 2, "type": "show", "title": "TV", "uuid": "33a7d582", "refreshing": "1", "hidden": 2,
          "scannedAt": "1790299565", "contentChangedAt": "2222",
          "Location": [{ "id": 2, "path": r"M:\TV" }, { "id": 3, "path": r"\\nas\media\TV-Kids" }] },
        { "key": "3", "type": "mixed", "refreshing": 1, "Location": null },
        { "title": "no key" },
    ] } });
    let libraries = libraries(&reply);
    let [movies, shows, mixed] = &libraries[..] else {
        panic!("{libraries:?}")
    };
    assert_eq!((movies.section.as_str(), movies.kind), ("1", LibraryKind::Movie));
    assert_eq!(movies.locations, ["/data/movies"]);
    assert_eq!(
        movies.change,
        SourceState {
            token: "10 1791097146".to_owned(),
            trust: TokenReliability::Hint,
            busy: false,
            scanned_ms: 1_791_097_146_000,
        }
    );
    assert_eq!(
        (shows.section.as_str(), shows.kind, shows.uuid.as_str()),
        ("2", LibraryKind::Show, "33a7d582")
    );
    assert_eq!(shows.locations, [r"M:\TV", r"\\nas\media\TV-Kids"]);
    assert_eq!(
        (shows.change.token.as_str(), shows.change.busy),
        ("2222 1790299565", true)
    );
    assert_eq!((mixed.kind, mixed.change.busy), (LibraryKind::Other, true));
}

#[test]
fn lists_of_one_row_are_bounded() {
    let guids: Vec<Value> = (0..10_000).map(|id| json!({ "id": format!("tmdb://{id}") })).collect();
    let items = items(&listing(&json!([{ "ratingKey": "1", "Guid": guids }])));
    assert_eq!(items[0].guids.len(), LIST_LIMIT);
}
