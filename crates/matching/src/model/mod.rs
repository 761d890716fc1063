//! The data types of plexindex, independent of storage, network and search.
//!
//! Terms are those of `docs/design.md`, 'Glossary'. All types contain only data.

mod ids;
mod scrub;
mod token;

pub use ids::{Generation, IdentityId, LibraryId, ListingName, SegmentName, Sequence, TableId};
pub use token::{Claims, Token};

/// Maximum length of a rating key in bytes. Plex's keys are short numbers. Longer keys are not stored, since every
/// process keeps keys in memory.
pub const LONGEST_KEY: usize = 255;
/// The beginning of a client identifier that the store generated.
pub const OWN_IDENTIFIER: &str = "plexindex-";

/// Type of an item. Only leaf types own files; shows, seasons, artists and albums appear only in answers for folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum ItemType {
    /// An unknown type; stored and matched like the others.
    #[default]
    Other = 0,
    /// A film, or a home video of an 'Other Videos' library (Plex lists both as type 1).
    Movie = 1,
    /// A show; only in answers for folders.
    Show = 2,
    /// A season of a show; only in answers for folders.
    Season = 3,
    /// An episode of a show.
    Episode = 4,
    /// An artist; only in answers for folders.
    Artist = 8,
    /// An album of an artist; only in answers for folders.
    Album = 9,
    /// A track of an album.
    Track = 10,
    /// A clip: a video in a photo library, or a trailer.
    Clip = 12,
    /// A photo.
    Photo = 13,
}

impl ItemType {
    /// Returns Plex's number for the type, as in the parameter `type=`; 0 for [`ItemType::Other`].
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    const LEAVES: [Self; 5] = [Self::Movie, Self::Episode, Self::Track, Self::Clip, Self::Photo];

    /// Decodes Plex's number of a leaf; [`ItemType::Other`] for other numbers.
    #[doc(hidden)]
    pub fn from_number(number: u8) -> Self {
        let mut leaves = Self::LEAVES.into_iter();
        leaves.find(|leaf| leaf.number() == number).unwrap_or_default()
    }

    /// Decodes Plex's name of a leaf; [`ItemType::Other`] for other names.
    #[doc(hidden)]
    pub fn from_name(name: &str) -> Self {
        let mut leaves = Self::LEAVES.into_iter();
        leaves.find(|leaf| leaf.name() == name).unwrap_or_default()
    }
}

enum_names! { ItemType:
    Movie "movie", Show "show", Season "season", Episode "episode", Artist "artist", Album "album",
    Track "track", Clip "clip", Photo "photo", Other "other"
}

/// Type of a library, as in `/library/sections`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum LibraryKind {
    /// An unknown kind; listed without a type filter.
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

enum_names! { LibraryKind: Movie "movie", Show "show", Artist "artist", Photo "photo", Other "other" }

impl LibraryKind {
    const KNOWN: [Self; 4] = [Self::Movie, Self::Show, Self::Artist, Self::Photo];

    /// Decodes Plex's name; [`LibraryKind::Other`] for unknown names.
    #[doc(hidden)]
    pub fn from_name(name: &str) -> Self {
        let mut kinds = Self::KNOWN.into_iter();
        kinds.find(|kind| kind.name() == name).unwrap_or_default()
    }

    /// Decodes the number; [`LibraryKind::Other`] for unknown numbers.
    #[doc(hidden)]
    pub fn from_number(number: i64) -> Self {
        let mut kinds = Self::KNOWN.into_iter();
        kinds.find(|kind| *kind as i64 == number).unwrap_or_default()
    }
}

/// Serializes a library's kind as the number that the store contains.
mod kind_number {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::LibraryKind;

    /// Writes the kind's number, for serde's `with`.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde requires this signature
    pub fn serialize<S: Serializer>(kind: &LibraryKind, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u8(*kind as u8)
    }

    /// Reads a number; [`LibraryKind::Other`] for unknown numbers.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<LibraryKind, D::Error> {
        u8::deserialize(from).map(|number| LibraryKind::from_number(number.into()))
    }
}

/// Serializes an item's type as Plex's number.
mod type_number {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::ItemType;

    /// Writes the type's number, for serde's `with`.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde requires this signature
    pub fn serialize<S: Serializer>(kind: &ItemType, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u8(kind.number())
    }

    /// Reads a number; [`ItemType::Other`] for numbers of no leaf.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ItemType, D::Error> {
        u8::deserialize(from).map(ItemType::from_number)
    }
}

/// A leaf item of a library, with the fields that matching and answers need. The default has -1 for season and episode,
/// like a film. Hosts exchange items as JSON: later versions may add fields, but never remove any.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Item {
    /// Plex's `ratingKey`: an opaque string, never empty.
    pub rating_key: String,
    /// Type of the item.
    #[serde(with = "type_number")]
    pub kind: ItemType,
    /// Title of the item itself, not of its show.
    pub title: String,
    /// Year of release; 0 if unknown.
    pub year: i32,
    /// Title of the show (for a track, of the artist); empty without one.
    pub show_title: String,
    /// Rating key of the show or artist; empty without one.
    pub show_rating_key: String,
    /// Scalar GUID of the show or artist; empty without one.
    pub show_guid: String,
    /// Title of the season (for a track, of the album); empty without one.
    pub season_title: String,
    /// Rating key of the season or album; empty without one, as for hidden seasons.
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
    /// Paths of the files in the server's spelling and order, without duplicates.
    pub parts: Vec<String>,
}

impl Default for Item {
    /// Returns an item without texts, and with -1 for season and episode.
    fn default() -> Self {
        Self {
            rating_key: String::new(),
            kind: ItemType::default(),
            title: String::new(),
            year: 0,
            show_title: String::new(),
            show_rating_key: String::new(),
            show_guid: String::new(),
            season_title: String::new(),
            season_rating_key: String::new(),
            season_guid: String::new(),
            season: -1,
            episode: -1,
            guid: String::new(),
            guids: Vec::new(),
            parts: Vec::new(),
        }
    }
}

impl Item {
    /// Returns whether the rating key is valid: not empty, and without a NUL, since a NUL ends each key of a batch.
    #[must_use]
    pub fn has_key(&self) -> bool {
        !self.rating_key.is_empty() && !self.rating_key.contains('\0')
    }

    /// Returns all texts of the item except external ids and paths: first its own texts, then the texts of its show,
    /// then the texts of its season.
    #[doc(hidden)]
    pub fn texts(&self) -> [&String; 9] {
        // The pattern is exhaustive, so that the compiler reports a new field.
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

    /// Returns the texts of the item's show and season.
    #[doc(hidden)]
    pub fn texts_above(&self) -> [&String; 6] {
        let [_, _, _, show_and_season @ ..] = self.texts();
        show_and_season
    }
}

/// The reliability of a change token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[repr(i64)]
pub enum Trust {
    /// An equal token proves nothing.
    #[default]
    Useless = 0,
    /// An equal token usually means no change, but may be late or miss some kinds of changes.
    Hint = 1,
    /// An equal token proves that nothing changed.
    Exact = 2,
}

impl Trust {
    /// Decodes the number; [`Trust::Useless`] for unknown numbers.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        match number {
            1 => Self::Hint,
            2 => Self::Exact,
            _ => Self::Useless,
        }
    }
}

/// The state of a library as its source reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SourceState {
    /// The change token: opaque, and compared only for equality with tokens of the same library.
    pub token: String,
    /// Reliability of `token`.
    pub trust: Trust,
    /// Whether the server is scanning the library, so that its content is about to change.
    pub busy: bool,
    /// End of the last scan, Unix ms by the server's clock; 0 if unknown.
    pub scanned_ms: i64,
}

/// A library as the server lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Library {
    /// Plex's section id (`key` in `/library/sections`), such as `1`.
    pub section: String,
    /// Plex's identifier of the library, which does not change if the library is renamed; `section:` and the section id
    /// if the server reports no uuid.
    pub uuid: String,
    /// Title; need not be unique.
    pub title: String,
    /// Type of the library.
    #[serde(with = "kind_number")]
    pub kind: LibraryKind,
    /// Locations of the library, as paths of the server.
    pub locations: Vec<String>,
    /// State of the library at the time of the request.
    pub change: SourceState,
}

/// Returns the identifier of a library for which the server reports no uuid.
#[must_use]
pub fn uuid_of_section(section: &str) -> String {
    format!("{SECTION_PREFIX}{section}")
}

/// Prefix of the identifier of a library without a uuid.
const SECTION_PREFIX: &str = "section:";

impl Library {
    /// Returns whether the server reported the uuid, so that it is globally unique.
    #[must_use]
    pub fn has_uuid(&self) -> bool {
        !self.uuid.starts_with(SECTION_PREFIX)
    }
}

/// The identity of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Machine identifier; the same for every URL of the server.
    pub machine_identifier: String,
    /// Version for display; empty if unknown.
    pub version: String,
}

/// The kind of match that found an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum MatchKind {
    /// No match.
    #[doc(hidden)]
    None = 0,
    /// The host recorded this match as true.
    Confirmed = 1,
    /// The path is listed: the same bytes, or the same normal form.
    Exact = 2,
    /// The path is listed after a mapping.
    Mapped = 3,
    /// The longest common suffix of two or more components.
    Suffix = 4,
    /// The same file name.
    FileName = 5,
}

impl MatchKind {
    /// All kinds in the order of the search.
    pub const ALL: &'static [Self] = &[Self::Confirmed, Self::Exact, Self::Mapped, Self::Suffix, Self::FileName];

    /// Number of kinds, including 'no match': the length of an array indexed by kind.
    #[doc(hidden)]
    pub const COUNT: usize = Self::ALL.len() + 1;

    /// Returns whether the path itself is recorded or listed, perhaps after a mapping; `false` if only its suffix
    /// matches.
    #[doc(hidden)]
    pub fn is_listed(self) -> bool {
        matches!(self, Self::Confirmed | Self::Exact | Self::Mapped)
    }
}

enum_names! { MatchKind:
    None "none", Confirmed "confirmed", Exact "exact", Mapped "mapped", Suffix "suffix", FileName "file_name"
}

/// The confidence of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Confidence {
    /// There is no single item.
    #[doc(hidden)]
    None = 0,
    /// One item whose listed path merely ends like this path, or several candidates. Show it to a person, but do not
    /// edit the item.
    Low = 1,
    /// One item. Its path is recorded, listed or mapped, or differs in the root only. Or the path has the item's title,
    /// and nothing in the path contradicts the item. The item is safe to edit.
    High = 2,
}

/// The reason why a path has no single item; for a suffix match, the evidence for the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Reason {
    /// No reason needed: a recorded match, a listed path or a mapping gives a single item.
    #[doc(hidden)]
    None = 0,
    /// No library location contains this path: a mapping is missing, or the file is not Plex's.
    NoLocation = 1,
    /// A library location contains this path, but the file is not listed (yet). A single item probably belongs to
    /// another file: low confidence.
    NotListed = 2,
    /// The library was never fetched completely.
    NotFetched = 3,
    /// Several items match equally well.
    SeveralItems = 4,
    /// Several libraries list the path.
    SeveralLibraries = 5,
    /// The path was listed but invalidated, and has not been verified since.
    Unconfirmed = 6,
    /// The path differs from the listed path in its root only: a mapping is missing. High confidence.
    OnlyRootDiffers = 7,
    /// The path contains the item's title, and all other evidence in the path agrees. High confidence.
    PathTells = 8,
    /// Only the suffix of the path, or the file name, matches. Low confidence.
    NoEvidence = 9,
    /// The suffix matches, but the path has a different year, number or edition, or lies among extras, samples, copies
    /// or deleted files. Low confidence.
    Contradicted = 10,
    /// One file with several episodes: all are candidates, the first is the item. High confidence.
    SeveralEpisodes = 11,
    /// The folder is a library location, or lies above a location, and nothing is listed below it.
    Empty = 12,
    /// The folder lies above library locations, and contains several shows or items.
    AboveLocations = 13,
    /// The path is not listed, and the server, which may list it, could not be reached in time.
    Unavailable = 14,
}

enum_names! { Confidence: None "none", Low "low", High "high" }

enum_names! { Reason:
    None "none", NoLocation "no_location", NotListed "not_listed", NotFetched "not_fetched",
    SeveralItems "several_items", SeveralLibraries "several_libraries", Unconfirmed "unconfirmed",
    OnlyRootDiffers "only_root_differs", PathTells "path_tells", NoEvidence "no_evidence",
    Contradicted "contradicted", SeveralEpisodes "several_episodes", Empty "empty",
    AboveLocations "above_locations", Unavailable "unavailable"
}

/// The searches of a server for a path that was not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathSearch {
    /// First search, Unix ms.
    pub first_ms: i64,
    /// Last search, Unix ms.
    pub last_ms: i64,
    /// Whether the last search found the path.
    pub found: bool,
}

/// What events reported about a library since the last probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[repr(i64)]
pub enum Hint {
    /// No event.
    #[default]
    None = 0,
    /// Something may have changed: probe the library.
    Probe = 1,
    /// Items changed. An unchanged change token proves nothing, since tokens may be late.
    Changed = 2,
}

impl Hint {
    /// Decodes the number; [`Hint::Changed`] for unknown numbers.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Probe,
            _ => Self::Changed,
        }
    }
}
