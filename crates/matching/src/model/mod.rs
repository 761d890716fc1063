//! plexindex's data types, independent of storage, network and search.
//!
//! The glossary in `docs/design.md` defines the terms.
//! Each kind of numeric ID that the store assigns has its own type, so that the compiler prevents mix-ups.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize, Serializer};

pub use crate::byte_string::ByteString;

mod token;

pub use token::{Claims, Token};

/// Maximum length of a rating key in bytes. Plex's keys are short numbers. plexindex ignores longer keys, because every
/// process keeps keys in memory.
pub const LONGEST_KEY: usize = 255;
/// Prefix of the client identifiers that the store generates. A client identifier tells Plex which device sends a
/// request.
pub const OWN_IDENTIFIER: &str = "plexindex-";

/// Type of an item.
///
/// Only leaf items have files; shows, seasons, artists and albums appear only in answers for folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum ItemType {
    /// Another type; plexindex stores and matches items of this type as usual.
    #[default]
    Other = 0,
    /// A film, or a home video in an 'Other Videos' library.
    Movie = 1,
    /// A show; only for folders.
    Show = 2,
    /// A season of a show; only for folders.
    Season = 3,
    /// An episode of a show.
    Episode = 4,
    /// An artist; only for folders.
    Artist = 8,
    /// An album of an artist; only for folders.
    Album = 9,
    /// A track of an album.
    Track = 10,
    /// A clip: a video in a photo library, or a trailer.
    Clip = 12,
    /// A photo.
    Photo = 13,
}

impl ItemType {
    /// Returns Plex's number for the type, as in the request parameter `type`; 0 for [`ItemType::Other`].
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    const LEAVES: [Self; 5] = [Self::Movie, Self::Episode, Self::Track, Self::Clip, Self::Photo];

    /// Decodes Plex's number for a type whose items have files; [`ItemType::Other`] for all other numbers.
    #[doc(hidden)]
    pub fn from_number(number: u8) -> Self {
        let mut leaves = Self::LEAVES.into_iter();
        leaves.find(|leaf| leaf.number() == number).unwrap_or_default()
    }

    /// Decodes Plex's name for a type whose items have files; [`ItemType::Other`] for all other names.
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

/// The kind of item that a query for a folder finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FolderKind {
    /// A film, or a home video.
    Movie,
    /// A show.
    Show,
    /// A season of a show.
    Season,
    /// An artist.
    Artist,
    /// An album of an artist.
    Album,
}

enum_names! { FolderKind: Movie "movie", Show "show", Season "season", Artist "artist", Album "album" }

impl FolderKind {
    /// Returns the kind of library that has such items.
    #[doc(hidden)]
    pub fn library(self) -> LibraryKind {
        match self {
            Self::Movie => LibraryKind::Movie,
            Self::Show | Self::Season => LibraryKind::Show,
            Self::Artist | Self::Album => LibraryKind::Artist,
        }
    }
}

/// Type of a library, as in `/library/sections`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum LibraryKind {
    /// An unknown kind; plexindex lists all items, whatever their type.
    #[default]
    Other = 0,
    /// Films, or home videos ('Other Videos').
    Movie = 1,
    /// Shows; plexindex indexes the episodes.
    Show = 2,
    /// Music; plexindex indexes the tracks.
    Artist = 8,
    /// Photos, and clips in the photo library.
    Photo = 13,
}

enum_names! { LibraryKind: Movie "movie", Show "show", Artist "artist", Photo "photo", Other "other" }

impl LibraryKind {
    /// Decodes Plex's name for a library kind; [`LibraryKind::Other`] for unknown names.
    #[doc(hidden)]
    pub fn from_name(name: &str) -> Self {
        let mut kinds = Self::NAMED.iter().copied();
        kinds.find(|kind| kind.name() == name).unwrap_or_default()
    }

    /// Decodes the number of a library kind; [`LibraryKind::Other`] for unknown numbers.
    #[doc(hidden)]
    pub fn from_number(number: i64) -> Self {
        let mut kinds = Self::NAMED.iter().copied();
        kinds.find(|kind| *kind as i64 == number).unwrap_or_default()
    }
}

mod kind_number {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::LibraryKind;

    /// Serializes the kind's number, for serde's `with`.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde requires this signature
    pub fn serialize<S: Serializer>(kind: &LibraryKind, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u8(*kind as u8)
    }

    /// Deserializes a kind's number; [`LibraryKind::Other`] for unknown numbers.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<LibraryKind, D::Error> {
        u8::deserialize(from).map(|number| LibraryKind::from_number(number.into()))
    }
}

mod type_number {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::ItemType;

    /// Serializes the type's number, for serde's `with`.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde requires this signature
    pub fn serialize<S: Serializer>(kind: &ItemType, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u8(kind.number())
    }

    /// Deserializes the number of a type whose items have files; [`ItemType::Other`] for all other numbers.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ItemType, D::Error> {
        u8::deserialize(from).map(ItemType::from_number)
    }
}

/// A leaf item in a library, with the fields that matching and answers need. The store encodes items by the order of
/// these fields.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Item {
    /// Plex's `ratingKey`: an opaque string, never empty.
    pub rating_key: String,
    /// Type of the item.
    #[serde(with = "type_number")]
    pub kind: ItemType,
    /// Title of the item itself, not the show's title.
    pub title: String,
    /// Year of release; 0 if unknown.
    pub year: i32,
    /// Title of the show or artist; empty if the item has none.
    pub show_title: String,
    /// Rating key of the show or artist; empty if the item has none.
    pub show_rating_key: String,
    /// Plex's `guid` attribute of the show or artist; empty if the item has none.
    pub show_guid: String,
    /// Title of the season or album; empty if the item has none.
    pub season_title: String,
    /// Rating key of the season or album; empty if the item has none, or if the show hides its seasons.
    pub season_rating_key: String,
    /// Plex's `guid` attribute of the season or album; empty if the item has none.
    pub season_guid: String,
    /// Season number of an episode (0 is 'Specials') or disc number of a track; -1 if unknown.
    pub season: i32,
    /// Episode number or track number; -1 if unknown.
    pub episode: i32,
    /// Plex's `guid` attribute (`plex://movie/…`, `local://…`, `com.plexapp.agents.…`); empty if unknown.
    pub guid: String,
    /// External IDs (`imdb://…`, `tmdb://…`, `tvdb://…`, `mbid://…`), in the server's order.
    pub guids: Vec<String>,
    /// Paths of the item's files, in the server's spelling and order, without duplicates.
    pub parts: Vec<ByteString>,
    /// Sizes of the files, and more. The last field that is encoded, which an item of an earlier version lacks.
    pub facts: KnownFacts,
    /// Whether the item is in the server's trash. plexindex never stores such an item.
    #[serde(skip)]
    pub trashed: bool,
}

impl Default for Item {
    /// Returns an empty item, with -1 for season and episode.
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
            facts: KnownFacts::default(),
            trashed: false,
        }
    }
}

impl Item {
    /// Returns whether the rating key is valid: not empty, and without a NUL, which terminates each key in a batch.
    #[must_use]
    pub fn has_valid_key(&self) -> bool {
        !self.rating_key.is_empty() && !self.rating_key.contains('\0')
    }

    /// Returns the size of the file with this index in [`Item::parts`], in bytes; 0 if unknown.
    #[must_use]
    pub fn size_of(&self, part: usize) -> u64 {
        let facts = self.facts.0.as_ref();
        facts.and_then(|facts| facts.sizes.get(part)).copied().unwrap_or(0)
    }

    /// Returns all strings of the item except external IDs and paths, in this order: the item's own strings, the show's
    /// strings, and the season's strings.
    #[doc(hidden)]
    pub fn string_fields(&self) -> [&String; 9] {
        // The pattern is exhaustive, so that the compiler reports each new field.
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
            facts: _,
            trashed: _,
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

    /// Returns the strings of the item's show and season, which all episodes of a season share.
    #[doc(hidden)]
    pub fn parent_string_fields(&self) -> [&String; 6] {
        let [_, _, _, show_and_season @ ..] = self.string_fields();
        show_and_season
    }
}

/// Ends an exact change token whose source may have missed a later change, because file times have a limited resolution.
pub const MAY_MISS_NEXT_WRITE: char = '~';

/// The reliability of a change token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(from = "u8", into = "u8")] // stores keep the numbers, which are not those of the variants
#[repr(u8)]
pub enum TokenReliability {
    /// Equal tokens usually mean no change, but the token may be late or miss some kinds of changes.
    #[default]
    Hint = 1,
    /// Equal tokens prove that the library is unchanged. The source then also reports each change of the library, and
    /// the positions of its listings never move.
    Exact = 2,
}

impl From<TokenReliability> for u8 {
    fn from(trust: TokenReliability) -> Self {
        trust as Self
    }
}

impl From<u8> for TokenReliability {
    fn from(number: u8) -> Self {
        Self::from_number(number.into())
    }
}

impl TokenReliability {
    /// Decodes the stored number; [`TokenReliability::Hint`] for unknown numbers.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        if number == Self::Exact as i64 {
            Self::Exact
        } else {
            Self::Hint
        }
    }
}

/// A library's state as the source reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct SourceState {
    /// The change token: an opaque string, compared only for equality with the same library's tokens.
    pub token: String,
    /// Reliability of the change token.
    pub trust: TokenReliability,
    /// Whether the server is scanning the library, so that the contents may change soon.
    pub busy: bool,
    /// Time when the last scan ended, in Unix milliseconds by the server's clock; 0 if unknown.
    pub scanned_ms: i64,
}

/// A library as the server lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)] // a store may lack fields that are new
pub struct Library {
    /// Plex's section ID (`key` in `/library/sections`), such as `1`.
    pub section: String,
    /// Plex's UUID for the library, which renaming does not change. Consists of `section:` and the section ID if the
    /// server reports no UUID.
    pub uuid: String,
    /// Title of the library; several libraries may have the same title.
    pub title: String,
    /// Type of the library.
    #[serde(with = "kind_number")]
    pub kind: LibraryKind,
    /// The library's locations, as server paths.
    pub locations: Vec<String>,
    /// The library's state at the time of the request.
    pub change: SourceState,
}

/// Returns the substitute UUID of a library for which the server reports no UUID.
#[must_use]
pub fn uuid_of_section(section: &str) -> String {
    format!("{SECTION_PREFIX}{section}")
}

const SECTION_PREFIX: &str = "section:";

impl Library {
    /// Returns whether the UUID is from the server, and therefore globally unique.
    #[must_use]
    pub fn has_uuid(&self) -> bool {
        !self.uuid.starts_with(SECTION_PREFIX)
    }

    /// Returns whether the change token is exact, so that deltas report every change, and the positions of a listing never
    /// move.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.change.trust == TokenReliability::Exact
    }
}

/// A library, with the freshness of its listing.
///
/// The JSON uses the field names, except `age_ms` for `age`, and omits `checked` and fields that are `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LibraryInfo {
    /// Section ID of the library, such as `1`.
    pub section: String,
    /// UUID of the library, which renaming does not change. Consists of `section:` and the section ID if the server
    /// reports no UUID.
    pub uuid: String,
    /// Title of the library; several libraries may have the same title.
    pub title: String,
    /// Type of the library.
    pub kind: LibraryKind,
    /// The library's folders, as server paths.
    pub locations: Vec<PathBuf>,
    /// Number of listed items; `None` if the library was never fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// Time when plexindex last checked that the listing is current; `None` if the library was never fetched.
    #[serde(skip)]
    pub checked: Option<SystemTime>,
    /// Time since plexindex last checked that the listing is current; `None` if the library was never fetched.
    #[serde(
        rename = "age_ms",
        serialize_with = "as_millis",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub age: Option<Duration>,
    /// Generation of the listing, which changes only if the listing changes; `None` if the library was never fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Whether the listing is current, so that answers are not stale.
    pub fresh: bool,
}

impl From<Library> for LibraryInfo {
    /// Returns what the server lists of the library, without a listing.
    fn from(library: Library) -> Self {
        Self {
            section: library.section,
            uuid: library.uuid,
            title: library.title,
            kind: library.kind,
            locations: library.locations.into_iter().map(PathBuf::from).collect(),
            items: None,
            checked: None,
            age: None,
            generation: None,
            fresh: false,
        }
    }
}

/// Serializes an optional duration in milliseconds.
#[doc(hidden)]
#[allow(clippy::ref_option)] // serde requires this signature
pub fn as_millis<S: Serializer>(time: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
    time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        .serialize(out)
}

/// The identifier and version of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// The `machineIdentifier`, which is the same for all the server's URLs.
    pub machine_identifier: String,
    /// The server's version, for display; empty if unknown.
    pub version: String,
}

/// The kind of match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum MatchKind {
    /// No match.
    #[doc(hidden)]
    None = 0,
    /// The host recorded the match.
    Confirmed = 1,
    /// The server lists the path.
    ///
    /// Paths with equal normal forms are the same.
    Exact = 2,
    /// A mapping translates the path to a listed path, or a listed path to this path.
    Mapped = 3,
    /// At least the last two components equal those of a listed path.
    ///
    /// No other listed path has a longer common suffix with the path.
    Suffix = 4,
    /// A listed path has the same file name; with the reason of a miss, a similar one.
    FileName = 5,
}

impl MatchKind {
    /// All kinds of match, in the order of their numbers.
    pub const ALL: &'static [Self] = Self::NAMED.split_at(1).1;

    /// Number of kinds, including [`MatchKind::None`]; the length of arrays indexed by kind.
    #[doc(hidden)]
    pub const COUNT: usize = Self::NAMED.len();

    /// Returns whether the whole path is confirmed, listed or mapped; `false` if only a suffix matches.
    #[doc(hidden)]
    pub fn is_listed(self) -> bool {
        self.is_by_plex() || self == Self::Confirmed
    }

    /// Returns whether Plex lists the path, or one that a mapping gives.
    #[doc(hidden)]
    pub fn is_by_plex(self) -> bool {
        matches!(self, Self::Exact | Self::Mapped)
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
    /// Verify the item, or choose among the candidates.
    ///
    /// Several candidates match, or only the suffix of the path matches an item. Show the candidates to a person; do
    /// not edit an item.
    Low = 1,
    /// The item has this file.
    ///
    /// A single item, which is safe to edit: the path is recorded, listed or mapped, or the file's name and size show that
    /// it is the listed file.
    High = 2,
}

/// The reason why a path has no single item, or the evidence for a suffix match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Reason {
    /// The path has a single recorded, listed or mapped item.
    #[doc(hidden)]
    None = 0,
    /// No library has a folder above this path.
    ///
    /// A mapping is missing, or the file is outside the libraries. An item with this reason has a file with a similar
    /// name: low confidence.
    NoLocation = 1,
    /// A library has a folder above this path, but does not list the file.
    ///
    /// An item with this reason probably belongs to a different file: low confidence.
    NotListed = 2,
    /// plexindex never fetched the library completely.
    ///
    /// The library, which is in scope, may have the item.
    NotFetched = 3,
    /// Several items match equally well.
    SeveralItems = 4,
    /// Several libraries list the path.
    SeveralLibraries = 5,
    /// The path was invalidated, and plexindex has not verified its item since.
    Unconfirmed = 6,
    /// Only the root differs, and the size is unknown. Low confidence.
    ///
    /// The path equals the listed path in all components below the library's folder: a mapping may be missing, or the file
    /// is another.
    OnlyRootDiffers = 7,
    // The numbers 8 to 10 are reserved, because earlier versions used them.
    /// The file contains several episodes; the item is the first of them.
    ///
    /// All are candidates. High confidence.
    SeveralEpisodes = 11,
    /// The folder is a library's folder, or contains one, and has no listed files.
    Empty = 12,
    /// The folder contains library folders, and several shows or items.
    AboveLocations = 13,
    /// An unlisted path, and no answer from the server in time. The answer is stale.
    Unavailable = 14,
    /// An unlisted path; a later call asks the server. The answer is stale.
    ///
    /// plexindex has asked about too many other paths recently, or the server needed too long.
    NotAsked = 15,
    /// Only the name or the end of the path equals a listed path. Low confidence.
    SameName = 16,
    /// The file name and the size equal those of a listed file. High confidence.
    ///
    /// No other file could be the listed one.
    SameFile = 17,
    /// The listed file has another size: replaced since the scan, or another file.
    ///
    /// If the path is listed, Plex has not scanned the new file yet; otherwise, the listed file has only the same name: low
    /// confidence.
    SizeDiffers = 18,
    /// Only the size equals that of a listed file: perhaps renamed. Low confidence.
    SameSize = 19,
}

enum_names! { Confidence: None "none", Low "low", High "high" }

enum_names! { Reason:
    None "none", NoLocation "no_location", NotListed "not_listed", NotFetched "not_fetched",
    SeveralItems "several_items", SeveralLibraries "several_libraries", Unconfirmed "unconfirmed",
    OnlyRootDiffers "only_root_differs", SeveralEpisodes "several_episodes", Empty "empty",
    AboveLocations "above_locations", Unavailable "unavailable", NotAsked "not_asked", SameName "same_name",
    SameFile "same_file", SizeDiffers "size_differs", SameSize "same_size"
}

/// The times and the result of the server searches for an unlisted path, or of the questions about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathSearch {
    /// Time of the first search, in Unix milliseconds.
    pub first_ms: i64,
    /// Time of the last search, in Unix milliseconds.
    pub last_ms: i64,
    /// Whether the last search found the path; of a question, whether a search must still follow.
    pub found: bool,
    /// The change sequence when the last call began that asked; 0 for a search.
    pub asked: Sequence,
}

/// What the events since the last probe require for a library.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Hint {
    /// No event.
    #[default]
    None,
    /// Something may have changed, so the library needs a probe.
    Probe,
    /// Items changed. Even if the change token is unchanged, the library needs a refresh, because tokens may be late.
    Changed,
    /// So many items were deleted that the whole library is doubted.
    Deleted,
}

/// What the server lists of an item, beyond what matching always needs. Zero and empty mean unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ItemFacts {
    /// Sizes of the item's files in bytes, one for each path in [`Item::parts`]. They come first, so that a
    /// reader finds the size of one file without decoding the rest.
    pub sizes: Vec<u64>,
    /// The other facts of the files, one for each path.
    pub files: Vec<FileFacts>,
    /// When the server added the item, in Unix seconds.
    pub added_at: u64,
    /// Duration of the item in milliseconds.
    pub duration_ms: u64,
    /// Title of the edition, such as `Director's Cut`.
    pub edition: String,
}

/// What the server lists of a file, except its size. Zero and empty mean unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileFacts {
    /// Plex's id of the part.
    pub part_id: u64,
    /// Plex's id of the version that the part belongs to: the parts of a stacked version share it.
    pub media_id: u64,
    /// Duration of the version in milliseconds.
    pub duration_ms: u64,
    /// Resolution as Plex names it: `4k`, `1080`, `sd`.
    pub resolution: String,
    /// The container, such as `mkv`.
    pub container: String,
    /// Whether the server made the version itself ('Optimized Versions').
    pub is_optimized: bool,
}

/// The facts of an item; `None` if the server was never asked for them, as in a listing of an earlier version. What only
/// one of two replies was asked for is no difference between them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KnownFacts(pub Option<Box<ItemFacts>>);

impl PartialEq for KnownFacts {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(facts), Some(other)) => facts == other,
            _ => true,
        }
    }
}

impl ItemFacts {
    /// Returns the duration of the version that has the file with this number, or else of the item, in ms; 0 if unknown.
    #[must_use]
    pub fn file_duration_ms(&self, number: usize) -> u64 {
        let of_version = self.files.get(number).map(|file| file.duration_ms);
        of_version.filter(|duration| *duration > 0).unwrap_or(self.duration_ms)
    }

    /// Returns the size of all strings in bytes.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let files = self.files.iter();
        self.edition.len()
            + files
                .map(|file| file.resolution.len() + file.container.len())
                .sum::<usize>()
    }

    /// Adds the facts of the next path.
    pub fn push(&mut self, size: u64, file: FileFacts) {
        self.sizes.push(size);
        self.files.push(file);
    }
}

/// Defines the type for one kind of ID, with conversions from and to SQLite values.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        #[cfg(feature = "sqlite")]
        #[allow(clippy::cast_possible_wrap)]
        impl rusqlite::ToSql for $name {
            /// Converts the number to a signed integer with the same bits, since SQLite has no unsigned integers.
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok((self.0 as i64).into())
            }
        }

        #[cfg(feature = "sqlite")]
        #[allow(clippy::cast_sign_loss)]
        impl rusqlite::types::FromSql for $name {
            /// Restores the number from the bits of a signed integer.
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                value.as_i64().map(|number| Self(number as $inner))
            }
        }
    };
}

number! {
    /// The ID of a view: one server's libraries as one user sees them. IDs are never reused; 0 means all views.
    ViewId(i64)
}

number! {
    /// The ID of a library in one view. IDs are never reused; 0 means all libraries.
    LibraryId(i64)
}

number! {
    /// The ID of a host's table. IDs are never reused.
    TableId(i64)
}

number! {
    /// The generation of a library's listing: the change sequence at which its content was published. 0 means never
    /// fetched, and -n that the listing was evicted or lost.
    Generation(i64)
}

number! {
    /// A change sequence of the store, which every write transaction increments.
    Sequence(u64)
}

impl ViewId {
    /// All views.
    pub const ALL: Self = Self(0);
}

impl LibraryId {
    /// All libraries.
    pub const ALL: Self = Self(0);
}

impl Generation {
    /// Returns whether the library has a listing: it was fetched, and has not been evicted since.
    #[must_use]
    pub fn is_fetched(self) -> bool {
        self.0 > 0
    }

    /// Returns whether the library had a listing, which was evicted or lost.
    #[must_use]
    pub fn is_lost(self) -> bool {
        self.0 < 0
    }
}

impl Sequence {
    /// Returns the change sequence of the next transaction.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Returns the change sequence of the transaction before; 0 for 0.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}
