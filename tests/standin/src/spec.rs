//! Libraries to generate and items to add, as tests describe them. All of it is read from JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{ItemType, LibraryKind};

/// A library to generate. The same spec gives the same library, on every machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct LibrarySpec {
    /// Its kind.
    pub kind: LibraryKind,
    /// Its title; empty: the usual one of its kind.
    pub title: String,
    /// How many leaves (movies, episodes, tracks, photos with clips).
    pub items: u32,
    /// The section id; absent: the next free one.
    pub key: Option<u32>,
    /// Folders; empty: the usual one of its kind. With several, leaf i (or its show, artist or album) lies in folder i mod their number.
    pub locations: Vec<String>,
    /// The seed of the contents.
    pub seed: u64,
    /// Plain: one analysed media with one part for each item, ASCII names, no repeated file names.
    pub plain: bool,
    /// The library's uuid; absent: made from seed and section id.
    pub uuid: Option<String>,
}

impl Default for LibrarySpec {
    fn default() -> Self {
        LibrarySpec {
            kind: LibraryKind::Movie,
            title: String::new(),
            items: 0,
            key: None,
            locations: Vec::new(),
            seed: 1,
            plain: false,
            uuid: None,
        }
    }
}

impl LibrarySpec {
    /// A library of a kind with this many leaves.
    pub fn new(kind: LibraryKind, items: u32) -> Self {
        LibrarySpec {
            kind,
            items,
            ..Default::default()
        }
    }

    /// Movies.
    pub fn movies(items: u32) -> Self {
        Self::new(LibraryKind::Movie, items)
    }

    /// Shows; `items` counts episodes.
    pub fn shows(items: u32) -> Self {
        Self::new(LibraryKind::Show, items)
    }

    /// Music; `items` counts tracks.
    pub fn music(items: u32) -> Self {
        Self::new(LibraryKind::Artist, items)
    }

    /// Photos; `items` counts photos and clips.
    pub fn photos(items: u32) -> Self {
        Self::new(LibraryKind::Photo, items)
    }

    /// With this title.
    pub fn title(mut self, title: &str) -> Self {
        self.title = title.to_owned();
        self
    }

    /// With this section id.
    pub fn key(mut self, key: u32) -> Self {
        self.key = Some(key);
        self
    }

    /// With this seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// With these folders.
    pub fn locations<S: Into<String>>(mut self, locations: impl IntoIterator<Item = S>) -> Self {
        self.locations = locations.into_iter().map(Into::into).collect();
        self
    }

    /// Without any of the oddities (see [`LibrarySpec::plain`]).
    pub fn plain(mut self) -> Self {
        self.plain = true;
        self
    }
}

/// One version of an item to add: a path, or a list of stacked paths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MediaSpec {
    /// One version of one file.
    File(String),
    /// One version of several stacked files.
    Stacked(Vec<String>),
}

impl From<&str> for MediaSpec {
    fn from(path: &str) -> Self {
        MediaSpec::File(path.to_owned())
    }
}

/// An item to add.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ItemSpec {
    /// Absent: the next free one.
    pub rating_key: Option<u64>,
    /// Absent: the usual leaf of the library.
    #[serde(rename = "type")]
    pub kind: Option<ItemType>,
    /// The title.
    pub title: String,
    /// The year.
    pub year: Option<i32>,
    /// The scalar guid; absent: `local://<ratingKey>`.
    pub guid: Option<String>,
    /// External ids.
    pub guids: Vec<String>,
    /// The summary.
    pub summary: String,
    /// Versions; empty: an item without files.
    pub files: Vec<MediaSpec>,
    /// Sizes of the first files in bytes. By default, each file has its own.
    pub sizes: Vec<u64>,
    /// The show, artist or photo album above the item, by title; made if there is none.
    #[serde(alias = "artist")]
    pub show: Option<String>,
    /// The season's number (episodes). Default 1.
    pub season: Option<u32>,
    /// The album's title (tracks, photos, clips).
    pub album: Option<String>,
    /// The number of the episode or track.
    #[serde(alias = "episode", alias = "track")]
    pub index: Option<u32>,
    /// Epoch seconds; absent: the server's now.
    pub added_at: Option<i64>,
    /// Epoch seconds; absent: as `addedAt`.
    pub updated_at: Option<i64>,
    /// Any other field of the row, a number or a text.
    pub fields: BTreeMap<String, Value>,
}

impl ItemSpec {
    /// A leaf with a title and one file.
    pub fn file(title: &str, path: &str) -> Self {
        ItemSpec {
            title: title.to_owned(),
            files: vec![path.into()],
            ..Default::default()
        }
    }

    /// An episode with one file.
    pub fn episode(show: &str, season: u32, index: u32, title: &str, path: &str) -> Self {
        ItemSpec {
            show: Some(show.to_owned()),
            season: Some(season),
            index: Some(index),
            ..Self::file(title, path)
        }
    }

    /// A track with one file.
    pub fn track(artist: &str, album: &str, index: u32, title: &str, path: &str) -> Self {
        ItemSpec {
            show: Some(artist.to_owned()),
            album: Some(album.to_owned()),
            index: Some(index),
            ..Self::file(title, path)
        }
    }

    /// With this rating key.
    pub fn key(mut self, key: u64) -> Self {
        self.rating_key = Some(key);
        self
    }

    /// With this year.
    pub fn year(mut self, year: i32) -> Self {
        self.year = Some(year);
        self
    }

    /// With this size of its next file.
    pub fn size(mut self, bytes: u64) -> Self {
        self.sizes.push(bytes);
        self
    }

    /// With one more version.
    pub fn version(mut self, media: impl Into<MediaSpec>) -> Self {
        self.files.push(media.into());
        self
    }
}
