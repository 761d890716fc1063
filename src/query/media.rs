//! The files of an item as Plex groups them: versions, and the parts of each.

use std::path::PathBuf;

use serde::Serialize;

use crate::matching::byte_string;
use crate::model;
use crate::platform::files::path_from_bytes;

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
