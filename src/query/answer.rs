//! A query's answer, which borrows from a snapshot, and the answers of the Rust API as owned values: matches, folders,
//! items with their files as Plex groups them, and the shows and seasons gathered from a library's items.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::engine::{LibraryRow, LibrarySnapshot, Snapshot, is_locked};
use crate::error::{Error, Result, Status};
use crate::matching::{FolderFacts, FolderResolution, FoundItem, ItemRef, Resolution, byte_string};
use crate::model::{self, Confidence, ItemType, Library, MatchKind, Reason, as_millis};
use crate::platform::files::path_from_bytes;
use crate::source::SourceKind;

/// The answer to a query. An answer borrows from a snapshot, so callers must copy the fields that they keep.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// [`Status::Ok`] for one item; otherwise the status of a miss, of several matches, or of a passed deadline. In a
    /// batch, also the status of an error.
    pub status: Status,
    /// The kind of match.
    pub match_kind: MatchKind,
    /// The confidence that the item belongs to the path.
    pub confidence: Confidence,
    /// The reason for a miss or for several items, or the evidence for a suffix match.
    pub reason: Reason,
    /// Number of matching items.
    pub total: usize,
    /// A sentence for users; empty if there is nothing to explain.
    pub message: &'a str,
    /// Whether the answer may be outdated, because a listing has expired or the server failed.
    pub stale: bool,
    /// Milliseconds since plexindex last checked that the listing is current. `None` without a listing, or if the clock
    /// was set back.
    pub age_ms: Option<i64>,
    /// The kind of source, which determines the format of keys.
    pub kind: &'static SourceKind,
    /// What the folder of the query contains.
    pub folder: FolderFacts,
    /// The matching items, best first, at most [`crate::matching::MAX_CANDIDATES`]. Their `library` fields are indexes into
    /// `rows`.
    pub candidates: &'a [FoundItem<'a>],
    pub(super) rows: &'a [LibraryRow],
    /// The libraries of the rows, in the answer for a path; otherwise empty.
    libraries: &'a [Arc<LibrarySnapshot>],
}

impl<'a> Answer<'a> {
    /// Creates the answer for a path. The caller must set message, age and staleness.
    pub(super) fn of(
        kind: &'static SourceKind,
        outcome: &'a Resolution<'_>,
        snapshot: &'a Snapshot,
        status: Status,
    ) -> Self {
        let rows = &snapshot.rows;
        Self {
            libraries: &snapshot.libraries,
            status,
            match_kind: outcome.match_kind,
            confidence: outcome.confidence,
            reason: outcome.reason,
            ..Self::of_items(kind, outcome.found(), outcome.total, rows)
        }
    }

    /// Creates the answer for a folder. The caller must set message, age and staleness.
    pub(super) fn of_folder(
        kind: &'static SourceKind,
        outcome: &'a FolderResolution<'_>,
        snapshot: &'a Snapshot,
        status: Status,
    ) -> Self {
        Self {
            folder: outcome.facts,
            libraries: &[],
            ..Self::of(kind, &outcome.members, snapshot, status)
        }
    }

    /// Creates an answer from items that match equally well. `total` counts all matching items, including items that
    /// are not in `found`. `rows`: the libraries that the items' `library` fields index.
    pub(super) fn of_items(
        kind: &'static SourceKind,
        found: &'a [FoundItem<'a>],
        total: usize,
        rows: &'a [LibraryRow],
    ) -> Self {
        let (status, confidence, reason) = match total {
            0 => (Status::NotFound, Confidence::None, Reason::NotListed),
            1 => (Status::Ok, Confidence::High, Reason::None),
            _ => (Status::Ambiguous, Confidence::Low, Reason::SeveralItems),
        };
        Self {
            status,
            match_kind: if total == 0 { MatchKind::None } else { MatchKind::Exact },
            confidence,
            reason,
            total,
            message: "",
            stale: false,
            age_ms: None,
            kind,
            folder: FolderFacts::default(),
            candidates: found,
            rows,
            libraries: &[],
        }
    }

    /// Creates the answer of a call that must not wait, when no answer is available without waiting.
    #[must_use]
    pub fn not_yet(kind: &'static SourceKind) -> Self {
        let message = "no answer is available without waiting: call again without AT_ONCE, or offline";
        Self::without_item(kind, Status::NotYet, message)
    }

    /// Creates an answer that says only why there is none, such as for a path whose lookup failed in a batch.
    pub(super) fn without_item(kind: &'static SourceKind, status: Status, message: &'a str) -> Self {
        Self {
            status,
            reason: Reason::None,
            message,
            ..Self::of_items(kind, &[], 0, &[])
        }
    }

    /// Marks the answer as stale if a request failed (`failure`), because the server may list the missing item. For a
    /// missing item, changes `NotFound` to `NotYet` after a timeout if the call has a deadline, and the reason to
    /// [`Reason::Unavailable`] if the server failed. Does not change a confirmed match.
    pub(super) fn mark_stale(&mut self, failure: Option<&Error>, has_deadline: bool) {
        let Some(failure) = failure.filter(|_| self.match_kind != MatchKind::Confirmed) else {
            return;
        };
        self.stale = true;
        if self.status == Status::NotFound {
            if has_deadline && failure.status == Status::Timeout {
                self.status = Status::NotYet;
            }
            // A store error does not mean that the server is unavailable.
            if failure.status.is_server_error()
                && !is_locked(failure)
                && matches!(self.reason, Reason::NotListed | Reason::NoLocation | Reason::Empty)
            {
                self.reason = Reason::Unavailable;
            }
        }
    }

    /// Changes the reason for a missing item to [`Reason::NotAsked`], because the query has not asked the server,
    /// unless the message needs the old reason.
    pub(super) fn mark_not_asked(&mut self) {
        if self.status == Status::NotFound
            && matches!(self.reason, Reason::NotListed | Reason::NoLocation | Reason::Empty)
        {
            self.reason = Reason::NotAsked;
        }
    }

    /// Returns the item if exactly one item matches; otherwise `None`.
    #[must_use]
    pub fn item(&self) -> Option<&FoundItem<'a>> {
        if self.status == Status::Ok {
            self.candidates.first()
        } else {
            None
        }
    }

    /// Returns what Plex lists of a candidate's file. `None` in an answer that is not for a path, or if the server was not
    /// asked. Reads the item from the index, so that answers whose file nobody needs are as fast as before.
    #[must_use]
    pub fn file(&self, candidate: &FoundItem<'_>) -> Option<MatchedFile> {
        let item = self
            .libraries
            .get(candidate.library)?
            .stored_item(candidate.item.rating_key)?;
        MatchedFile::of(&item, candidate.path)
    }

    /// Returns a candidate's library; `None` in an answer without libraries.
    #[must_use]
    pub fn library(&self, candidate: &FoundItem<'_>) -> Option<&'a Library> {
        self.rows.get(candidate.library).map(|row| &row.library)
    }
}

/// The file that an answer is about, as Plex lists it. A field is `None` if Plex did not report a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MatchedFile {
    /// The listed path, in the server's spelling.
    #[serde(serialize_with = "byte_string::path")]
    #[cfg_attr(feature = "schema", schemars(with = "byte_string::ByteString"))]
    pub path: PathBuf,
    /// Size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Plex's id of the part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_id: Option<u64>,
    /// Which part of the version, from 1.
    pub part: usize,
    /// Number of its parts: more than 1 if they are stacked.
    pub parts: usize,
    /// Which version of the item, from 1.
    pub version: usize,
    /// Number of versions.
    pub versions: usize,
    /// The version.
    #[serde(flatten)]
    pub media: MediaFacts,
}

/// What Plex lists of a version of an item. A field is `None` if Plex did not report a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MediaFacts {
    /// Plex's id of the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_id: Option<u64>,
    /// Resolution as Plex names it: `4k`, `1080`, `sd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<String>,
    /// The container, such as `mkv`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Duration in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Whether Plex made the version itself ('Optimized Versions').
    #[serde(rename = "optimized", skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub is_optimized: bool,
}

/// A version of an item, with its files.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Media {
    /// The version.
    #[serde(flatten)]
    pub facts: MediaFacts,
    /// Its files, in order: several if they are stacked.
    pub parts: Vec<MediaPart>,
}

/// A file of a version. A field is `None` if Plex did not report a value. The JSON has no paths: the item's `paths` are
/// those of all parts of all versions, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MediaPart {
    /// The listed path, in the server's spelling.
    #[serde(skip)]
    pub path: PathBuf,
    /// Size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Plex's id of the part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_id: Option<u64>,
}

/// Converts an empty string, which means an unknown value, to `None`.
pub fn non_empty(text: impl Into<String>) -> Option<String> {
    Some(text.into()).filter(|text| !text.is_empty())
}

/// Converts 0, which means unknown, to `None`.
pub(super) fn known(number: u64) -> Option<u64> {
    (number != 0).then_some(number)
}

/// Groups an item's files by version, in Plex's order. Files without a version's id are versions of their own. `None` if
/// the server was not asked.
pub(super) fn media_of(item: &model::Item) -> Option<Vec<Media>> {
    let facts = item.facts.0.as_deref()?;
    let mut media: Vec<Media> = Vec::new();
    for ((path, size), file) in item.parts.iter().zip(&facts.sizes).zip(&facts.files) {
        let part = MediaPart {
            path: path_from_bytes(path.0.clone()),
            size: known(*size),
            part_id: known(file.part_id),
        };
        let media_id = known(file.media_id);
        let is_same = |version: &&mut Media| media_id.is_some() && version.facts.media_id == media_id;
        match media.last_mut().filter(is_same) {
            Some(version) => version.parts.push(part),
            None => media.push(Media {
                facts: MediaFacts {
                    media_id,
                    resolution: non_empty(file.resolution.as_str()),
                    container: non_empty(file.container.as_str()),
                    duration_ms: known(file.duration_ms),
                    is_optimized: file.is_optimized,
                },
                parts: vec![part],
            }),
        }
    }
    Some(media)
}

impl MatchedFile {
    /// Returns the item's file with this listed path; `None` if the item has no such file, or the server was not asked.
    pub(super) fn of(item: &model::Item, path: &[u8]) -> Option<Self> {
        let media = media_of(item)?;
        let path = path_from_bytes(path);
        let versions = media.len();
        media.into_iter().enumerate().find_map(|(version, media)| {
            let part = media.parts.iter().position(|part| part.path == path)?;
            Some(Self {
                size: media.parts[part].size,
                part_id: media.parts[part].part_id,
                path: path.clone(),
                part: part + 1,
                parts: media.parts.len(),
                version: version + 1,
                versions,
                media: media.facts,
            })
        })
    }
}

/// The status of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MatchStatus {
    /// Exactly one item matches.
    Found,
    /// Several items match equally well; the candidates are sorted, best first.
    Ambiguous,
    /// No known item matches. [`Match::reason`](crate::Match::reason) is the reason, such as
    /// [`Reason::NotFetched`](crate::Reason::NotFetched) if the library was never fetched completely.
    NotFound,
    /// The timeout passed before an answer was available. Repeat the query: plexindex resumes the work.
    NotYet,
    /// The server did not respond before the timeout, and repeating the query would fail again. Fetch the library once
    /// without a timeout, using [`Library::refresh`](crate::Library::refresh).
    NeedsWarm,
}

enum_names! { MatchStatus:
    Found "found", Ambiguous "ambiguous", NotFound "not_found", NotYet "not_yet", NeedsWarm "needs_warm"
}

/// The answer to a query: one item, or the reason why there is no single item.
///
/// ```
/// # fn print(found: plexindex::Match) {
/// match found.sure() {
///     Some(item) => println!("{item}: {}", item.key),
///     None => println!("not sure: {}", found.message.as_deref().unwrap_or_default()),
/// }
/// # }
/// ```
///
/// The JSON uses the field names, except `age_ms` for `age`, and omits fields that are `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Match {
    /// The status of the query.
    pub status: MatchStatus,
    /// The kind of match that found the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_kind: Option<MatchKind>,
    /// The confidence of the match: [`Confidence::High`] for the item of [`Match::sure`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// The reason for a miss or for several items, or the evidence for a suffix match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Matching items, best first, at most 16.
    pub candidates: Vec<Item>,
    /// The item's file, as Plex lists it; `None` in answers that are not for a path, without a single item, or if Plex was
    /// not asked about files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<MatchedFile>,
    /// Number of matching items.
    pub total: usize,
    /// An explanation for users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the answer may be out of date, because the listing has expired or something is doubted. Retry a stale
    /// [`MatchStatus::NotFound`] later.
    pub stale: bool,
    /// Time since plexindex last checked that the listing is current. `None` without a listing, or if the clock was set
    /// back.
    #[serde(
        rename = "age_ms",
        serialize_with = "as_millis",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub age: Option<Duration>,
}

impl Match {
    /// Returns the item if exactly one item matches, with high confidence; otherwise `None`.
    #[must_use]
    pub fn sure(&self) -> Option<&Item> {
        self.single(Confidence::High)
    }

    /// Returns the item if exactly one item matches, with low confidence; otherwise `None`. The file may be another work:
    /// verify the item before you change it.
    #[must_use]
    pub fn likely(&self) -> Option<&Item> {
        self.single(Confidence::Low)
    }

    fn single(&self, confidence: Confidence) -> Option<&Item> {
        let is_single = self.status == MatchStatus::Found && self.confidence == Some(confidence);
        self.candidates.first().filter(|_| is_single)
    }

    /// Returns the item of [`Match::sure`].
    #[must_use]
    pub fn into_sure(mut self) -> Option<Item> {
        self.sure().is_some().then(|| self.candidates.swap_remove(0))
    }

    /// Copies an answer into owned values.
    ///
    /// # Errors
    /// Returns the error of a lookup that failed in a batch.
    #[doc(hidden)]
    pub fn of(answer: &Answer<'_>) -> Result<Self> {
        let status = match answer.status {
            Status::Ok => MatchStatus::Found,
            Status::Ambiguous => MatchStatus::Ambiguous,
            Status::NotFound => MatchStatus::NotFound,
            Status::NotYet => MatchStatus::NotYet,
            Status::NeedsWarm => MatchStatus::NeedsWarm,
            error => return Err(Error::new(error, answer.message)),
        };
        let candidates = answer.candidates.iter().map(|found| {
            let library = answer.library(found);
            Item {
                path: (!found.path.is_empty()).then(|| path_from_bytes(found.path)),
                section: library.map(|library| library.section.clone()),
                library_title: library.map(|library| library.title.clone()),
                ..Item::of_ref(&found.item, answer.kind)
            }
        });
        Ok(Self {
            status,
            match_kind: Some(answer.match_kind).filter(|match_kind| *match_kind != MatchKind::None),
            confidence: Some(answer.confidence).filter(|confidence| *confidence != Confidence::None),
            reason: Some(answer.reason).filter(|reason| *reason != Reason::None),
            candidates: candidates.collect(),
            file: answer.item().and_then(|found| answer.file(found)),
            total: answer.total,
            message: non_empty(answer.message),
            stale: answer.stale,
            age: answer.age_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        })
    }
}

/// The answer for a folder: the show or item that all files below the folder belong to, or the reason why there is not
/// exactly one.
///
/// ```
/// # fn print(folder: plexindex::Folder) {
/// match folder.answer.sure() {
///     Some(show) => println!("{show}: {} items in {} files", folder.items, folder.files),
///     None => println!("{}", folder.answer.message.as_deref().unwrap_or_default()),
/// }
/// # }
/// ```
///
/// The JSON merges the fields of `answer` with the other fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Folder {
    /// The answer with the item, which is the show or artist, the season or album if it contains all files, or the only
    /// item. Otherwise up to 16 candidates below the folder.
    #[serde(flatten)]
    pub answer: Match,
    /// [`ItemType::Show`], [`ItemType::Season`], [`ItemType::Artist`], [`ItemType::Album`], or the type of the folder's
    /// only item; otherwise `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ItemType>,
    /// Number of items below the folder; 0 if several folders match.
    pub items: u64,
    /// Number of listed files below the folder; 0 if several folders match.
    pub files: u64,
}

impl Folder {
    /// Copies a folder's answer into owned values.
    ///
    /// # Errors
    /// Returns the error in the answer, if the lookup failed.
    #[doc(hidden)]
    pub fn of(answer: &Answer<'_>) -> Result<Self> {
        Ok(Self {
            answer: Match::of(answer)?,
            kind: Some(answer.folder.kind).filter(|kind| *kind != ItemType::Other),
            items: answer.folder.items,
            files: answer.folder.files,
        })
    }
}

/// A movie, episode, track, clip or photo; in the answer for a folder, also a show, season, artist or album.
///
/// A field is `None` if the server did not report a value. `Display` shows the title, with the year or the show.
///
/// The JSON uses the field names, except `library` for `library_title`, and omits fields that are `None`. A path that
/// is not UTF-8 is `{"bytes": "<Base64>"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Item {
    /// Plex's `key`: the item's path in the server's API, such as `/library/metadata/1002`.
    pub key: String,
    /// Plex's `ratingKey`: the last part of `key`.
    pub rating_key: String,
    /// Type of the item.
    pub kind: ItemType,
    /// Title of the item itself. Also `None` for a confirmed match whose item is not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Year of release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<i32>,
    /// Title of the show or artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_title: Option<String>,
    /// Rating key of the show or artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_rating_key: Option<String>,
    /// GUID of the show or artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_guid: Option<String>,
    /// Season number of an episode (0 is 'Specials'), or disc number of a track. For a season folder, the season
    /// number, even if the item is the show because the season has no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub season: Option<u32>,
    /// Episode number or track number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub episode: Option<u32>,
    /// GUID of the item, such as `plex://movie/…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// External IDs, such as `imdb://…`; `None` in answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guids: Option<Vec<String>>,
    /// Rating key of the season or album; `None` in answers, like the two fields below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub season_rating_key: Option<String>,
    /// Title of the season or album.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub season_title: Option<String>,
    /// GUID of the season or album.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub season_guid: Option<String>,
    /// When Plex added the item, in Unix seconds; `None` in answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added_at: Option<u64>,
    /// Title of the edition; `None` in answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// Duration in milliseconds; `None` in answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The versions of the item, with their files; `None` in answers, and if Plex was not asked about files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<Vec<Media>>,
    /// Paths of all files, in the server's spelling; `None` in answers.
    #[serde(serialize_with = "byte_string::paths", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<byte_string::ByteString>>"))]
    pub paths: Option<Vec<PathBuf>>,
    /// The listed path that matched, in the server's spelling; for a [`MatchKind::Confirmed`] match, the recorded path;
    /// in a change of the feed, the path of the added, changed or removed file.
    #[serde(
        serialize_with = "byte_string::path_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<byte_string::ByteString>"))]
    pub path: Option<PathBuf>,
    /// Section ID of the library, in answers and changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// Title of the library, in answers and changes.
    #[serde(rename = "library", skip_serializing_if = "Option::is_none")]
    pub library_title: Option<String>,
    /// Whether the item is in the server's trash. Only `items.list` with `trashed` returns such items.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub trashed: bool,
}

impl Item {
    /// Converts a listed item, with all files and external IDs.
    pub(crate) fn of(item: model::Item, kind: &SourceKind) -> Self {
        let without_ids = Self::of_ref(&ItemRef::from(&item), kind);
        let facts = item.facts.0.as_deref();
        Self {
            added_at: facts.and_then(|facts| known(facts.added_at)),
            edition: facts.and_then(|facts| non_empty(facts.edition.as_str())),
            duration_ms: facts.and_then(|facts| known(facts.duration_ms)),
            media: media_of(&item),
            season_rating_key: non_empty(item.season_rating_key),
            season_title: non_empty(item.season_title),
            season_guid: non_empty(item.season_guid),
            guids: Some(item.guids),
            trashed: item.trashed,
            paths: Some(item.parts.into_iter().map(|part| path_from_bytes(part.0)).collect()),
            ..without_ids
        }
    }

    /// Converts an item in an answer, without files and external IDs. Unknown values, which are empty strings, 0 or -1,
    /// become `None`.
    fn of_ref(item: &ItemRef<'_>, kind: &SourceKind) -> Self {
        Self {
            key: kind.key(item.rating_key),
            rating_key: item.rating_key.to_owned(),
            kind: item.kind,
            title: non_empty(item.title),
            year: (item.year != 0).then_some(item.year),
            show_title: non_empty(item.show_title),
            show_rating_key: non_empty(item.show_rating_key),
            show_guid: non_empty(item.show_guid),
            season: u32::try_from(item.season).ok(),
            episode: u32::try_from(item.episode).ok(),
            guid: non_empty(item.guid),
            ..Self::default()
        }
    }
}

impl fmt::Display for Item {
    /// Writes the title, with the show and the number, or with the year; the key if the title is unknown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(title) = &self.title else {
            return f.write_str(&self.key);
        };
        if let (ItemType::Show, Some(season)) = (self.kind, self.season) {
            return write!(f, "{title} – Season {season}");
        }
        if let Some(show) = &self.show_title {
            write!(f, "{show} – ")?;
            match (self.kind, self.season, self.episode) {
                (ItemType::Episode, Some(season), Some(episode)) => write!(f, "S{season:02}E{episode:02} – ")?,
                (_, _, Some(number)) => write!(f, "{number} – ")?,
                _ => {}
            }
            return f.write_str(title);
        }
        f.write_str(title)?;
        self.year.map_or(Ok(()), |year| write!(f, " ({year})"))
    }
}

/// A show or artist. A field is `None` if Plex did not report a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Show {
    /// Rating key.
    pub rating_key: String,
    /// Title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// GUID, such as `plex://show/…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// Number of listed episodes or tracks.
    pub items: u64,
}

/// A season or album. A field is `None` if Plex did not report a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Season {
    /// Rating key.
    pub rating_key: String,
    /// Rating key of the show or artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_rating_key: Option<String>,
    /// Number of the season (0 is 'Specials'); `None` for an album.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// GUID, such as `plex://season/…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// Number of listed episodes or tracks.
    pub items: u64,
}

/// Gathers shows and seasons, by rating key.
#[derive(Default)]
pub struct ShowsAndSeasons {
    shows: HashMap<String, Show>,
    seasons: HashMap<String, Season>,
}

impl ShowsAndSeasons {
    /// Returns the shows or artists, sorted by title, and the seasons or albums, sorted by show, number and title.
    pub fn sorted(self) -> (Vec<Show>, Vec<Season>) {
        let (mut shows, mut seasons): (Vec<_>, Vec<_>) =
            (self.shows.into_values().collect(), self.seasons.into_values().collect());
        shows.sort_by(|a: &Show, b| (&a.title, &a.rating_key).cmp(&(&b.title, &b.rating_key)));
        seasons.sort_by(|a: &Season, b| {
            let of_a = (&a.show_rating_key, a.number, &a.title, &a.rating_key);
            of_a.cmp(&(&b.show_rating_key, b.number, &b.title, &b.rating_key))
        });
        (shows, seasons)
    }

    /// Counts an item for its show and season. A film has neither, and Plex reports no key of a hidden season.
    pub fn add(&mut self, item: &model::Item) {
        if let Some(rating_key) = non_empty(item.show_rating_key.as_str()) {
            let show = self.shows.entry(rating_key.clone()).or_insert_with(|| Show {
                rating_key,
                title: non_empty(item.show_title.as_str()),
                guid: non_empty(item.show_guid.as_str()),
                items: 0,
            });
            show.items += 1;
        }
        if let Some(rating_key) = non_empty(item.season_rating_key.as_str()) {
            // The number of a track is that of its disc.
            let number = Some(item.season).filter(|_| item.kind == model::ItemType::Episode);
            let season = self.seasons.entry(rating_key.clone()).or_insert_with(|| Season {
                rating_key,
                show_rating_key: non_empty(item.show_rating_key.as_str()),
                number: number.and_then(|number| u32::try_from(number).ok()),
                title: non_empty(item.season_title.as_str()),
                guid: non_empty(item.season_guid.as_str()),
                items: 0,
            });
            season.items += 1;
        }
    }
}
