//! The recorded replies of `fixtures/` as two libraries: section 1 'Movies', section 2 'TV Shows'.

use serde_json::{Map, Value};

use crate::library::{Library, Location};
use crate::model::{Item, ItemType, LibraryKind, Link, Media, Part, Recorded};
use crate::state::{Outcome, State};

const MOVIES: &str = include_str!("../fixtures/movie_library.json");
const SHOWS: &str = include_str!("../fixtures/tv_library.json");
const SEASONS: &str = include_str!("../fixtures/tv_seasons.json");
const EPISODES: &str = include_str!("../fixtures/tv_episodes.json");
const DETAIL_108: &str = include_str!("../fixtures/metadata_108.json");

fn rows(text: &str) -> Vec<Map<String, Value>> {
    let mut document: Value = serde_json::from_str(text).unwrap_or_default();
    match document["MediaContainer"]["Metadata"].take() {
        Value::Array(rows) => rows
            .into_iter()
            .filter_map(|row| match row {
                Value::Object(row) => Some(row),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn text(row: &Map<String, Value>, name: &str) -> String {
    match row.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn number(row: &Map<String, Value>, name: &str) -> Option<i64> {
    row.get(name).and_then(Value::as_i64)
}

fn link(row: &Map<String, Value>, prefix: &str, index: Option<i64>) -> Option<Link> {
    Some(Link {
        key: text(row, &format!("{prefix}RatingKey")).parse().ok()?,
        title: text(row, &format!("{prefix}Title")),
        guid: text(row, &format!("{prefix}Guid")),
        index: index.map(|i| i as u32),
    })
}

fn media(row: &Map<String, Value>) -> Vec<Media> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    list(row.get("Media"))
        .iter()
        .filter_map(Value::as_object)
        .map(|m| Media {
            id: number(m, "id").unwrap_or(0) as u64,
            container: text(m, "container").into(),
            resolution: text(m, "videoResolution").into(),
            analysed: true,
            optimized: None,
            parts: list(m.get("Part"))
                .iter()
                .filter_map(Value::as_object)
                .map(|p| Part {
                    id: number(p, "id").unwrap_or(0) as u64,
                    file: text(p, "file"),
                    size: number(p, "size").unwrap_or(0) as u64,
                    stamp: text(p, "key")
                        .split('/')
                        .nth(4)
                        .and_then(|s| s.parse().ok())
                        .unwrap_or(0),
                    missing: false,
                })
                .collect(),
        })
        .collect()
}

fn item(row: Map<String, Value>, kind: ItemType, detail: Option<Map<String, Value>>) -> Item {
    let key = text(&row, "ratingKey").parse().unwrap_or(0);
    let mut item = Item::new(key, kind, text(&row, "title"));
    item.guid = text(&row, "guid");
    item.summary = text(&row, "summary").into();
    item.studio = text(&row, "studio").into();
    item.content_rating = text(&row, "contentRating").into();
    item.title_sort = row.get("titleSort").map(|_| text(&row, "titleSort"));
    item.year = number(&row, "year").map(|y| y as i32);
    item.index = number(&row, "index").map(|i| i as u32);
    item.added_at = number(&row, "addedAt").unwrap_or(0);
    item.updated_at = number(&row, "updatedAt");
    item.duration = number(&row, "duration").unwrap_or(0) as u32;
    item.available = row
        .get("originallyAvailableAt")
        .map(|_| text(&row, "originallyAvailableAt"));
    item.parent = link(&row, "parent", number(&row, "parentIndex"));
    item.grandparent = link(&row, "grandparent", None);
    item.media = media(&row);
    let tags_from = detail.as_ref().unwrap_or(&row);
    item.tags = tags_from
        .iter()
        .filter(|(name, _)| *name != "Media")
        .filter_map(|(name, value)| {
            let tags: Vec<_> = value
                .as_array()?
                .iter()
                .filter_map(|t| Some(t.get("tag")?.as_str()?.to_owned().into()))
                .collect();
            Some((name.clone().into(), tags))
        })
        .collect();
    item.recorded = Some(Box::new(Recorded { listing: row, detail }));
    item
}

/// Adds both libraries.
pub(crate) fn add(state: &mut State) -> Outcome<()> {
    for key in [1, 2] {
        if state.library(key).is_some() {
            return Err(format!("the recorded libraries need section {key}: add them first"));
        }
    }
    let mut movies = Library::empty(
        1,
        LibraryKind::Movie,
        "Movies".to_owned(),
        "cebcb7e3-5031-436b-906a-3640d878ba2c".to_owned(),
    );
    for row in rows(MOVIES) {
        let detail = rows(DETAIL_108)
            .into_iter()
            .find(|d| d.get("ratingKey") == row.get("ratingKey"));
        movies.insert(item(row, ItemType::Movie, detail));
    }
    let mut shows = Library::empty(
        2,
        LibraryKind::Show,
        "TV Shows".to_owned(),
        "95c0f894-3716-41c8-9f70-38e344a93019".to_owned(),
    );
    for (text, kind) in [
        (SHOWS, ItemType::Show),
        (SEASONS, ItemType::Season),
        (EPISODES, ItemType::Episode),
    ] {
        for row in rows(text) {
            shows.insert(item(row, kind, None));
        }
    }
    for (mut library, agent, scanner, location) in [
        (movies, "com.plexapp.agents.imdb", "Plex Movie Scanner", "/data/Movies"),
        (
            shows,
            "com.plexapp.agents.thetvdb",
            "Plex Series Scanner",
            "/data/TV-Shows",
        ),
    ] {
        state.finish_library(&mut library, vec![location.to_owned()]);
        library.agent = agent.to_owned();
        library.content = library.leaves() as u64;
        library.scanner = scanner.to_owned();
        library.locations = vec![Location {
            id: library.key,
            path: location.to_owned(),
        }];
        state.adopt(library);
    }
    Ok(())
}
