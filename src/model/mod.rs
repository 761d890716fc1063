//! The nouns of plexindex, free of any way to store, fetch or find them.
//!
//! Words are those of `docs/design.md`, 'Concepts'. Everything here is plain data.

mod ids;
mod scrub;
mod token;

use std::fmt;

pub use ids::{Generation, IdentityId, LibraryId, ListingName, SegmentName, Sequence, TableId};
pub use token::{Claims, Token};

/// Bytes of the longest key of an item, a show or a library. Plex's are numbers: of a longer one nothing is stored, since each
/// process keeps keys in memory.
pub const LONGEST_KEY: usize = 255;

/// Type of an item. Only leaf types own files; shows, seasons, artists and albums appear only in answers for folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum ItemType {
    /// A type that this version does not know; it is kept and matched like the others.
    #[default]
    Other = 0,
    /// A film, or a home video of an 'Other Videos' library (Plex lists both as type 1).
    Movie = 1,
    /// A show: of a folder.
    Show = 2,
    /// A season of a show: of a folder.
    Season = 3,
    /// An episode of a show.
    Episode = 4,
    /// An artist: of a folder.
    Artist = 8,
    /// An album of an artist: of a folder.
    Album = 9,
    /// A track of an album.
    Track = 10,
    /// A clip: a video in a photo library, or a trailer.
    Clip = 12,
    /// A photo.
    Photo = 13,
}

impl ItemType {
    /// Plex's number for the type, as its `type=` parameter wants it; 0 for [`ItemType::Other`].
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    const LEAVES: [Self; 5] = [Self::Movie, Self::Episode, Self::Track, Self::Clip, Self::Photo];

    /// The inverse of [`ItemType::number`] for leaves; any other number is [`ItemType::Other`].
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        let mut leaves = Self::LEAVES.into_iter();
        leaves.find(|leaf| leaf.number() == number).unwrap_or_default()
    }

    /// Plex's word for the type, as its replies spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Movie => "movie",
            Self::Show => "show",
            Self::Season => "season",
            Self::Episode => "episode",
            Self::Artist => "artist",
            Self::Album => "album",
            Self::Track => "track",
            Self::Clip => "clip",
            Self::Photo => "photo",
            Self::Other => "other",
        }
    }

    /// The inverse of [`ItemType::name`] for leaves; any other word is [`ItemType::Other`].
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let mut leaves = Self::LEAVES.into_iter();
        leaves.find(|leaf| leaf.name() == name).unwrap_or_default()
    }
}

/// Type of a library, as in `/library/sections`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
#[non_exhaustive]
pub enum LibraryKind {
    /// A kind that this version does not know; listed without a type.
    #[default]
    Other = 0,
    /// Films, and 'Other Videos'.
    Movie = 1,
    /// Shows; indexed by their episodes.
    Show = 2,
    /// Music; indexed by its tracks.
    Artist = 8,
    /// Photos, and the clips among them.
    Photo = 13,
}

impl LibraryKind {
    /// Plex's word for the kind.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Movie => "movie",
            Self::Show => "show",
            Self::Artist => "artist",
            Self::Photo => "photo",
            Self::Other => "other",
        }
    }

    /// The inverse of [`LibraryKind::name`]; an unknown word is [`LibraryKind::Other`].
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let mut kinds = [Self::Movie, Self::Show, Self::Artist, Self::Photo].into_iter();
        kinds.find(|kind| kind.name() == name).unwrap_or_default()
    }
}

/// One leaf of a library, with only what matching and its answers need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Item {
    /// Plex's `ratingKey`: an opaque string, never empty.
    pub rating_key: String,
    /// Type of the item.
    pub kind: ItemType,
    /// Title of the item itself, not of its show.
    pub title: String,
    /// Year of release; 0 when the server named none.
    pub year: i32,
    /// Title of the show (for a track: of the artist); empty without one.
    pub show_title: String,
    /// Rating key of the show or artist; empty without one.
    pub show_rating_key: String,
    /// Scalar GUID of the show or artist; empty without one.
    pub show_guid: String,
    /// Title of the season (for a track: of the album); empty without one.
    pub season_title: String,
    /// Rating key of the season or album; empty without one, as of hidden seasons.
    pub season_rating_key: String,
    /// Scalar GUID of the season or album; empty without one.
    pub season_guid: String,
    /// Season number of an episode, disc of a track; -1 without one (0 is 'Specials').
    pub season: i32,
    /// Episode number, or track number; -1 without one.
    pub episode: i32,
    /// The scalar GUID (`plex://movie/…`, `local://…`, `com.plexapp.agents.…`); empty without one.
    pub guid: String,
    /// External ids (`imdb://…`, `tmdb://…`, `tvdb://…`, `mbid://…`), in the server's order.
    pub guids: Vec<String>,
    /// The files, as the server spells their paths, in the server's order and without repeats.
    pub parts: Vec<String>,
}

impl Item {
    /// Whether it has a rating key that hosts can be given: one, and without a NUL, which ends it in a batch.
    #[must_use]
    pub fn has_key(&self) -> bool {
        !self.rating_key.is_empty() && !self.rating_key.contains('\0')
    }

    /// Its texts beside external ids and paths: its own, then its show's, then its season's.
    pub(crate) fn texts(&self) -> [&String; 9] {
        // Whole: a text that is left out does not compile.
        let Self {
            rating_key,
            kind: _,
            title,
            year: _,
            show_title,
            show_rating_key,
            show_guid,
            season_title,
            season_rating_key,
            season_guid,
            season: _,
            episode: _,
            guid,
            guids: _,
            parts: _,
        } = self;
        [
            rating_key,
            title,
            guid,
            show_title,
            show_rating_key,
            show_guid,
            season_title,
            season_rating_key,
            season_guid,
        ]
    }

    /// The texts of its show and of its season.
    pub(crate) fn texts_above(&self) -> [&String; 6] {
        let [_, _, _, above @ ..] = self.texts();
        above
    }
}

/// How far a change token may be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[repr(i64)]
pub enum Trust {
    /// An equal token proves nothing.
    #[default]
    Useless = 0,
    /// An equal token mostly says that nothing changed: it may lag, or miss some kinds of changes.
    Hint = 1,
    /// An equal token proves that nothing changed.
    Exact = 2,
}

impl Trust {
    /// The inverse of the number; an unknown one counts as the weakest.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        match number {
            1 => Self::Hint,
            2 => Self::Exact,
            _ => Self::Useless,
        }
    }
}

/// The state of a library as its source reports it: comparing two tells whether the library changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Change {
    /// Opaque: compared with others of the same library for equality, and for nothing else.
    pub token: String,
    /// How much an equal token proves.
    pub trust: Trust,
    /// It is being scanned: what it shows is about to change.
    pub busy: bool,
    /// When a scan of it ended last, Unix ms by the server's clock; 0: not known.
    pub scanned_ms: i64,
}

/// A library as the server lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Library {
    /// Plex's section id (`key` in `/library/sections`), such as `1`.
    pub section: String,
    /// Plex's identifier of the library, which outlives a renaming; `section:` and the section id where the server shows none.
    pub uuid: String,
    /// The title that the user gave it; titles may repeat.
    pub title: String,
    /// Type of the library.
    pub kind: LibraryKind,
    /// Its folders, as the server sees them.
    pub locations: Vec<String>,
    /// Its state at the time of the request.
    pub change: Change,
}

/// The identifier of a library for which the server shows no uuid.
#[must_use]
pub fn uuid_of_section(section: &str) -> String {
    format!("{SECTION}{section}")
}

/// Begins the uuid of a library that has none.
const SECTION: &str = "section:";

impl Library {
    /// Whether its uuid is the server's, and no other server's library can have it.
    #[must_use]
    pub fn has_uuid(&self) -> bool {
        !self.uuid.starts_with(SECTION)
    }
}

/// Which server answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// The server's identity; the same behind every URL.
    pub machine_identifier: String,
    /// Its version, for people; empty when it did not say.
    pub version: String,
}

/// The kind of match that found an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Rung {
    /// Nothing found.
    #[default]
    #[doc(hidden)]
    None = 0,
    /// The host recorded this match as true.
    Confirmed = 1,
    /// The path is listed: the same bytes, or the same normal form.
    Exact = 2,
    /// The path is listed once a mapping rewrote it.
    Mapped = 3,
    /// The longest common end of two or more components.
    Suffix = 4,
    /// The same file name.
    FileName = 5,
}

impl Rung {
    /// All kinds, in the order in which they are tried.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Confirmed,
        Self::Exact,
        Self::Mapped,
        Self::Suffix,
        Self::FileName,
    ];

    /// A word for people and for JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["none", "confirmed", "exact", "mapped", "suffix", "file_name"][self as usize]
    }
}

/// How sure an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Confidence {
    /// There is no single item.
    #[default]
    #[doc(hidden)]
    None = 0,
    /// One item that only the end of its path speaks for, or several candidates.
    Low = 1,
    /// This file's item, as far as anything that is known can tell.
    High = 2,
}

/// Why a path has no single item; of a single item that was found by the end of its path, what speaks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Reason {
    /// There is one, by a match, a listed path or a mapping: no reason is needed.
    #[default]
    #[doc(hidden)]
    None = 0,
    /// No library has a folder above this path: a mapping is missing, or the file is not Plex's.
    NoLocation = 1,
    /// A library has a folder above this path, but does not list the file (yet). A single item is another file's, as far as
    /// is known: its confidence is low.
    NotListed = 2,
    /// The library was never fetched completely, so nothing can be said.
    NotFetched = 3,
    /// Several items fit equally well.
    SeveralItems = 4,
    /// Several libraries list it.
    SeveralLibraries = 5,
    /// The path was listed, but was invalidated, and the server has not confirmed it since.
    Unconfirmed = 6,
    /// The path is the listed one below another root: a mapping is missing. High.
    OnlyRootDiffers = 7,
    /// The path carries the item's title, and whatever else it tells agrees. High.
    PathTells = 8,
    /// Only the end of the path, or the file's name, is the same. Low.
    NoEvidence = 9,
    /// The end is the same, but the path tells of another year, number or edition, or lies among extras, samples, copies or
    /// deleted files. Low.
    Contradicted = 10,
    /// One file with several episodes: all are found, the first is the item. High.
    SeveralEpisodes = 11,
    /// The folder is a library's own, or lies above one, and nothing is listed below it.
    Empty = 12,
    /// The folder lies above the folders of libraries, and holds several shows or items.
    AboveLocations = 13,
    /// It is not listed, and the server, which may have it, could not be asked or did not answer in time.
    Unavailable = 14,
}

impl Confidence {
    /// A word for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::High => "high",
        }
    }
}

impl Reason {
    /// A word for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::NoLocation => "no_location",
            Self::NotListed => "not_listed",
            Self::NotFetched => "not_fetched",
            Self::SeveralItems => "several_items",
            Self::SeveralLibraries => "several_libraries",
            Self::Unconfirmed => "unconfirmed",
            Self::OnlyRootDiffers => "only_root_differs",
            Self::PathTells => "path_tells",
            Self::NoEvidence => "no_evidence",
            Self::Contradicted => "contradicted",
            Self::SeveralEpisodes => "several_episodes",
            Self::Empty => "empty",
            Self::AboveLocations => "above_locations",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The word that the command and the Python package use.
impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The word that the command and the Python package use.
impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The word that the command and the Python package use.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// When a server was asked about a path that was not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathSearch {
    /// For the first time, Unix ms.
    pub first_ms: i64,
    /// Last, Unix ms.
    pub last_ms: i64,
    /// The server had it then.
    pub found: bool,
}

/// A pending event of a library: no probe has followed yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[repr(i64)]
pub enum Hint {
    /// Nothing.
    #[default]
    None = 0,
    /// Something may have changed: a probe tells.
    Probe = 1,
    /// Items changed: clocks that stand still prove nothing, for they lag.
    Changed = 2,
}

impl Hint {
    /// The inverse of the number; an unknown one counts as the strongest.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Probe,
            _ => Self::Changed,
        }
    }
}
