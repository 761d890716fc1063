//! What the database gives is what HTTP gives. The recorded database is read by this file's own reader, a stand-in server is
//! filled with that, and both sources are asked: one error cannot stand on both sides.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plexindex::model::{Item, Token};
use plexindex::options::Options;
use plexindex::source::database::PlexDatabase;
use plexindex::source::plex::PlexHttp;
use plexindex::source::{Meter, RequestKind};
use plexindex_standin::{ItemSpec, LibraryKind, LibrarySpec, MediaSpec, Standin};
use rusqlite::types::Value;

use crate::database::{library, list};
use crate::support::plex_database::{Server, recorded};

type Row = BTreeMap<String, Value>;

/// All rows of a table, by their number: no join, no index, no statement of the library's own.
fn table(database: &rusqlite::Connection, name: &str) -> BTreeMap<i64, Row> {
    let mut statement = database.prepare(&format!("SELECT * FROM {name}")).expect("prepared");
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let rows = statement
        .query_map([], |row| {
            let cells = names
                .iter()
                .enumerate()
                .map(|(at, name)| Ok((name.clone(), row.get::<_, Value>(at)?)));
            cells.collect::<rusqlite::Result<Row>>()
        })
        .expect("asked");
    rows.map(|row| row.expect("a row"))
        .map(|row| (number(&row, "id").expect("a number"), row))
        .collect()
}

fn number(row: &Row, name: &str) -> Option<i64> {
    match &row[name] {
        Value::Integer(number) => Some(*number),
        _ => None,
    }
}

fn text(row: &Row, name: &str) -> String {
    match &row[name] {
        Value::Text(text) => text.clone(),
        _ => String::new(),
    }
}

/// The items of a library as a stand-in server is told them.
fn specs(database: &rusqlite::Connection, section: i64, leaf: i64) -> Vec<ItemSpec> {
    let items = table(database, "metadata_items");
    let (versions, parts) = (table(database, "media_items"), table(database, "media_parts"));
    let (tags, taggings) = (table(database, "tags"), table(database, "taggings"));
    let leaves = items.iter().filter(|(_, row)| {
        number(row, "library_section_id") == Some(section) && number(row, "metadata_type") == Some(leaf)
    });
    leaves
        .map(|(id, row)| {
            let files = versions
                .iter()
                .filter(|(_, version)| number(version, "metadata_item_id") == Some(*id))
                .map(|(version, _)| {
                    let own = parts
                        .values()
                        .filter(|part| number(part, "media_item_id") == Some(*version));
                    MediaSpec::Stacked(own.map(|part| text(part, "file")).collect())
                })
                .collect();
            let guids = taggings
                .values()
                .filter(|tagging| number(tagging, "metadata_item_id") == Some(*id))
                .filter_map(|tagging| tags.get(&number(tagging, "tag_id")?))
                .filter(|tag| number(tag, "tag_type") == Some(314))
                .map(|tag| text(tag, "tag"))
                .collect();
            let season = number(row, "parent_id").map(|parent| &items[&parent]);
            let show = season
                .and_then(|season| number(season, "parent_id"))
                .map(|show| &items[&show]);
            let unsigned = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
            ItemSpec {
                rating_key: Some(id.cast_unsigned()),
                title: text(row, "title"),
                year: number(row, "year").and_then(|year| i32::try_from(year).ok()),
                guid: Some(text(row, "guid")),
                guids,
                files,
                show: show.map(|show| text(show, "title")),
                season: unsigned(season.filter(|_| leaf == 4).and_then(|season| number(season, "index"))),
                album: season.filter(|_| leaf == 10).map(|album| text(album, "title")),
                index: unsigned(number(row, "index")).filter(|_| leaf != 1),
                // Of a track it is the disc.
                fields: number(row, "absolute_index")
                    .filter(|_| leaf == 10)
                    .map(|disc| ("parentIndex".to_owned(), disc.into()))
                    .into_iter()
                    .collect(),
                ..ItemSpec::default()
            }
        })
        .collect()
}

struct Unmetered;

impl Meter for Unmetered {
    fn request(&self, _: RequestKind, _: u64, _: Duration) {}
}

#[test]
fn each_item_is_what_http_says_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::recorded(&folder.path().join("Plex Media Server"), "2023-05");
    let copy = folder.path().join("copy.db");
    std::fs::write(&copy, recorded("2023-05")).expect("written");
    let own = rusqlite::Connection::open(&copy).expect("opened");
    let mut compared = 0;
    for (section, leaf, title, kind) in [
        (1, 1, "Movies", LibraryKind::Movie),
        (2, 4, "TV Shows", LibraryKind::Show),
        (5, 10, "Music", LibraryKind::Artist),
    ] {
        let mut spec = LibrarySpec::new(kind, 0).title(title);
        spec.plain = true;
        let http = Standin::builder()
            .library(spec)
            .items(1, specs(&own, section, leaf))
            .start()
            .expect("the stand-in starts");
        let options = Options {
            server_url: Some(http.url()),
            token: Token::new(&http.token()),
            ..Options::default()
        };
        let http = PlexHttp::new(&options, "client-of-the-tests", Arc::new(Unmetered)).expect("a client");
        let database = PlexDatabase::new(&server.folder);
        let theirs = list(&http, &library(&http, title));
        let ours = list(&database, &library(&database, title));
        assert_eq!(ours.len(), theirs.len(), "{title}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            // The stand-in makes shows of their titles: with numbers and GUIDs of its own.
            let expected = Item {
                show_rating_key: ours.show_rating_key.clone(),
                show_guid: ours.show_guid.clone(),
                season_rating_key: ours.season_rating_key.clone(),
                season_guid: ours.season_guid.clone(),
                ..theirs.clone()
            };
            assert_eq!(*ours, expected);
            assert_eq!(ours.show_title.is_empty(), leaf == 1);
            assert_eq!(ours.season_rating_key.is_empty(), leaf == 1);
            assert_eq!(ours.season_title.is_empty(), leaf == 1);
            compared += 1;
        }
    }
    assert_eq!(compared, 5 + 38 + 9);
}
