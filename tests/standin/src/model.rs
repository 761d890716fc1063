//! Items, their files and the kinds of libraries, as the stand-in stores them.
//!
//! Facts are from the Plex API notes: type numbers and element names §3 and §1, media and parts §4.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A text that is often a constant of the generator.
pub type Text = Cow<'static, str>;

/// The type of an item. The number is that of `type=` (Plex API notes §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemType {
    /// 1; also the items of 'Other Videos'.
    #[default]
    Movie,
    /// 2; owns no files.
    Show,
    /// 3; owns no files.
    Season,
    /// 4.
    Episode,
    /// 8; owns no files.
    Artist,
    /// 9; owns no files.
    Album,
    /// 10.
    Track,
    /// 12; a video in a photo library.
    Clip,
    /// 13.
    Photo,
    /// 14; owns no files. Its `type` reads `photo`, its `key` ends in `/children`.
    Photoalbum,
}

/// Each type with its number in `type=` and its name.
const TYPES: [(ItemType, u32, &str); 10] = [
    (ItemType::Movie, 1, "movie"),
    (ItemType::Show, 2, "show"),
    (ItemType::Season, 3, "season"),
    (ItemType::Episode, 4, "episode"),
    (ItemType::Artist, 8, "artist"),
    (ItemType::Album, 9, "album"),
    (ItemType::Track, 10, "track"),
    (ItemType::Clip, 12, "clip"),
    (ItemType::Photo, 13, "photo"),
    (ItemType::Photoalbum, 14, "photo"),
];

impl ItemType {
    fn row(self) -> (ItemType, u32, &'static str) {
        TYPES[self as usize]
    }

    /// The number in `type=`.
    pub fn number(self) -> u32 {
        self.row().1
    }

    /// The type of a number, if the stand-in has it.
    pub fn from_number(number: u32) -> Option<Self> {
        TYPES.into_iter().find(|row| row.1 == number).map(|row| row.0)
    }

    /// The value of the field `type`.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// Whether items of this type own files.
    pub fn is_leaf(self) -> bool {
        matches!(
            self,
            ItemType::Movie | ItemType::Episode | ItemType::Track | ItemType::Clip | ItemType::Photo
        )
    }
}

/// The kind of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LibraryKind {
    /// Movies.
    Movie,
    /// Shows, seasons and episodes.
    Show,
    /// Artists, albums and tracks.
    Artist,
    /// Albums of photos, photos, and videos (type 12).
    Photo,
    /// 'Other Videos': type `movie`, agent none, items with `subtype` clip (Plex API notes §4).
    OtherVideos,
}

/// What Plex says of each kind of library, and the default title and folder.
pub(crate) struct KindFacts {
    pub type_name: &'static str,
    pub agent: &'static str,
    pub scanner: &'static str,
    pub title: &'static str,
    pub folder: &'static str,
}

impl LibraryKind {
    pub(crate) fn facts(self) -> KindFacts {
        let (type_name, agent, scanner, title, folder) = match self {
            Self::Movie => ("movie", "tv.plex.agents.movie", "Plex Movie", "Movies", "/data/movies"),
            Self::Show => (
                "show",
                "tv.plex.agents.series",
                "Plex TV Series",
                "TV Shows",
                "/data/tv",
            ),
            Self::Artist => ("artist", "tv.plex.agents.music", "Plex Music", "Music", "/data/music"),
            Self::Photo => (
                "photo",
                "com.plexapp.agents.none",
                "Plex Photo Scanner",
                "Photos",
                "/data/photos",
            ),
            Self::OtherVideos => (
                "movie",
                "tv.plex.agents.none",
                "Plex Video Files",
                "Other Videos",
                "/data/videos",
            ),
        };
        KindFacts {
            type_name,
            agent,
            scanner,
            title,
            folder,
        }
    }

    /// The types of items in such a library: from the outermost container to the leaves.
    pub fn types(self) -> &'static [ItemType] {
        match self {
            LibraryKind::Movie | LibraryKind::OtherVideos => &[ItemType::Movie],
            LibraryKind::Show => &[ItemType::Show, ItemType::Season, ItemType::Episode],
            LibraryKind::Artist => &[ItemType::Artist, ItemType::Album, ItemType::Track],
            LibraryKind::Photo => &[ItemType::Photoalbum, ItemType::Photo, ItemType::Clip],
        }
    }

    /// The usual leaf: the type that [`crate::Generator::path`] counts in. A photo library has
    /// clips among its leaves too.
    pub fn leaf_type(self) -> ItemType {
        match self {
            LibraryKind::Photo => ItemType::Photo,
            other => other.types()[other.types().len() - 1],
        }
    }
}

/// A container above an item: the season and the show of an episode, and so on.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Its rating key.
    pub key: u64,
    /// Its title.
    pub title: String,
    /// Its scalar guid.
    pub guid: String,
    /// Its number among its siblings.
    pub index: Option<u32>,
}

/// One file of an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The absolute path as the server sees it; empty when there is no file (Plex API notes §4).
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// Whether the file is gone from the disk (a row in the trash).
    pub missing: bool,
}

/// One version of an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// Container and file extension.
    pub container: Text,
    /// `videoResolution`: `1080`, `4k`, `720`, or empty for sound and pictures.
    pub resolution: Text,
    /// Whether the server has analysed it. If not, the row has an id and parts only (§3).
    pub analysed: bool,
    /// `Some("Optimized for TV")` for an optimized version (`proxyType` 42).
    pub optimized: Option<String>,
    /// Several parts are a stacked item.
    pub parts: Vec<Part>,
}

/// An item: a leaf with files, or a container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    /// The rating key.
    pub key: u64,
    /// Its type.
    pub kind: ItemType,
    /// `subtype` clip: an item of 'Other Videos'.
    pub clip: bool,
    /// The title.
    pub title: String,
    /// The year.
    pub year: Option<i32>,
    /// The scalar guid (§3).
    pub guid: String,
    /// The external ids: `imdb://…`.
    pub guids: Vec<String>,
    /// The summary; may be empty, then the field is sent as `""`.
    pub summary: Text,
    /// Milliseconds; 0: absent.
    pub duration: u32,
    /// The number among its siblings.
    pub index: Option<u32>,
    /// Epoch seconds.
    pub added_at: i64,
    /// Epoch seconds; absent on tracks (§3).
    pub updated_at: Option<i64>,
    /// Epoch seconds; set while all its files are missing.
    pub deleted_at: Option<i64>,
    /// The season, album or photo album.
    pub parent: Option<Link>,
    /// The show or artist.
    pub grandparent: Option<Link>,
    /// Versions.
    pub media: Vec<Media>,
    /// Tags by element name: `Genre`, `Label`…
    pub tags: Vec<(Text, Vec<Text>)>,
    /// Fields without a place of their own.
    pub fields: BTreeMap<String, Value>,
}

impl Item {
    /// An item with a key, a type and a title, and nothing else.
    pub fn new(key: u64, kind: ItemType, title: impl Into<String>) -> Self {
        Item {
            key,
            kind,
            title: title.into(),
            guid: format!("local://{key}"),
            ..Item::default()
        }
    }

    /// The paths of all its parts, in order; empty ones left out.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let parts = self.media.iter().flat_map(|m| &m.parts);
        parts.map(|p| p.file.as_str()).filter(|f| !f.is_empty())
    }

    /// Whether every file is missing, and there was one.
    pub fn in_trash(&self) -> bool {
        let mut parts = self.media.iter().flat_map(|m| &m.parts).peekable();
        parts.peek().is_some() && parts.all(|p| p.missing)
    }
}
