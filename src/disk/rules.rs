//! The rules by which Plex's scanner ignores files and folders. Plex published its scanners in `Scanners.bundle`:
//! `BloomFilter.py`, `VideoFiles.py`, `AudioFiles.py`, `PhotoFiles.py`.

use std::fs;
use std::path::Path;

use crate::error::{Result, invalid_argument_error, truncate_for_message};
use crate::matching::LowerName;
use crate::model::LibraryKind;
use crate::platform::files::may_read;

/// A rule by which a scan ignores files or folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Files with an extension that does not belong to the library's media types. The walk never reports these files.
    Extension,
    /// Names that start with a dot.
    Hidden,
    /// Folders that operating systems and programs create.
    System,
    /// Folders from an unfinished or failed extraction of an archive.
    Unpacking,
    /// Empty files, dangling links and unreadable files.
    Empty,
    /// Video samples.
    Samples,
    /// Trailers and other extras of an item.
    Extras,
    /// Folders with the content of a DVD or Blu-ray disc.
    Discs,
    /// Files and folders that a line in a `.plexignore` file matches.
    Plexignore,
}

impl Rule {
    /// All rules, in the order of their bits.
    pub const ALL: [Self; 9] = [
        Self::Extension,
        Self::Hidden,
        Self::System,
        Self::Unpacking,
        Self::Empty,
        Self::Samples,
        Self::Extras,
        Self::Discs,
        Self::Plexignore,
    ];

    /// Returns the name of the rule in findings.
    #[must_use]
    pub fn name(self) -> &'static str {
        const NAMES: [&str; Rule::ALL.len()] = [
            "extension",
            "hidden",
            "system",
            "unpacking",
            "empty",
            "samples",
            "extras",
            "discs",
            "plexignore",
        ];
        NAMES[self as usize]
    }

    /// Returns the rule's bit in [`Rules`].
    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of rules, with one bit for each rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules(u32);

impl Rules {
    /// The set of all rules.
    pub const ALL: Self = Self((1 << Rule::ALL.len()) - 1);

    /// Creates a set from the names of its rules.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`] for an unknown name.
    pub fn from_names<N: AsRef<str>>(names: &[N]) -> Result<Self> {
        let mut set = 0;
        for name in names {
            let Some(rule) = Rule::ALL.into_iter().find(|rule| rule.name() == name.as_ref()) else {
                let names = Rule::ALL.map(Rule::name).join(", ");
                return invalid_argument_error(format!(
                    "unknown rule '{}'; use one or more of {names}",
                    truncate_for_message(name.as_ref().as_bytes())
                ));
            };
            set |= rule.bit();
        }
        Ok(Self(set))
    }

    /// Returns whether the set contains a rule.
    #[must_use]
    pub fn has(self, rule: Rule) -> bool {
        self.0 & rule.bit() != 0
    }

    /// Returns the rules in this set that also apply to files outside all libraries.
    #[must_use]
    pub fn outside_libraries(self) -> Self {
        const EVERYWHERE: u32 = Rule::Extension.bit() | Rule::Hidden.bit() | Rule::System.bit() | Rule::Empty.bit();
        Self(self.0 & EVERYWHERE)
    }
}

/// The media types of a folder's libraries, with one bit for each type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaTypes(u8);

impl MediaTypes {
    const VIDEO: u8 = 1;
    const AUDIO: u8 = 2;
    const PHOTO: u8 = 4;
    /// A flag, not a media type: whether Plex's rules for videos (samples, extras and discs) apply.
    const VIDEO_RULES: u8 = 8;

    /// Returns the media types of libraries of these kinds. If `kinds` is empty, for a folder outside all libraries,
    /// returns all media types.
    #[must_use]
    pub fn of(kinds: &[LibraryKind]) -> Self {
        const ALL: u8 = MediaTypes::VIDEO | MediaTypes::AUDIO | MediaTypes::PHOTO;
        let media_of = |kind: &LibraryKind| match kind {
            LibraryKind::Movie | LibraryKind::Show => Self::VIDEO | Self::VIDEO_RULES,
            LibraryKind::Artist => Self::AUDIO,
            LibraryKind::Photo => Self::PHOTO | Self::VIDEO | Self::VIDEO_RULES,
            _ => ALL, // any file can be media, but no rule for videos applies
        };
        if kinds.is_empty() {
            return Self(ALL | Self::VIDEO_RULES);
        }
        Self(kinds.iter().map(media_of).fold(0, |sum, media| sum | media))
    }

    /// Returns whether the set has this bit: a media type, or [`MediaTypes::VIDEO_RULES`].
    fn has_bit(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// Returns whether the file name has an extension that belongs to one of these media types.
    #[must_use]
    pub fn has_extension(self, name: &[u8]) -> bool {
        const MAX_EXTENSION: usize = 6; // length of the longest known extension, `dvr-ms`
        let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else {
            return false;
        };
        let mut lower = [0; MAX_EXTENSION];
        let extension = &name[dot + 1..];
        let Some(lower) = lower.get_mut(..extension.len()) else {
            return false;
        };
        lower.copy_from_slice(extension);
        lower.make_ascii_lowercase();
        self.has_bit(Self::VIDEO) && is_video(lower)
            || self.has_bit(Self::AUDIO) && is_audio(lower)
            || self.has_bit(Self::PHOTO) && is_photo(lower)
    }
}

/// Returns whether Plex treats files with this lower-case extension as videos.
#[rustfmt::skip]
fn is_video(extension: &[u8]) -> bool {
    matches!(extension,
        b"3g2" | b"3gp" | b"asf" | b"asx" | b"avc" | b"avi" | b"avs" | b"bivx" | b"bup" | b"divx" | b"dv" | b"dvr-ms"
        | b"evo" | b"fli" | b"flv" | b"m2t" | b"m2ts" | b"m2v" | b"m4v" | b"mkv" | b"mov" | b"mp4" | b"mpeg" | b"mpg"
        | b"mts" | b"nsv" | b"nuv" | b"ogm" | b"ogv" | b"tp" | b"pva" | b"qt" | b"rm" | b"rmvb" | b"sdp" | b"svq3"
        | b"strm" | b"ts" | b"ty" | b"vdr" | b"viv" | b"vob" | b"vp3" | b"wmv" | b"wpl" | b"wtv" | b"xsp" | b"xvid"
        | b"webm")
}

/// Returns whether Plex treats files with this lower-case extension as audio.
#[rustfmt::skip]
fn is_audio(extension: &[u8]) -> bool {
    matches!(extension,
        b"mp3" | b"m4a" | b"m4b" | b"flac" | b"aac" | b"rm" | b"rma" | b"mpa" | b"wav" | b"wma" | b"ogg" | b"mp2"
        | b"mka" | b"ac3" | b"dts" | b"ape" | b"mpc" | b"mp+" | b"mpp" | b"shn" | b"oga" | b"aiff" | b"aif" | b"wv"
        | b"dsf" | b"dsd" | b"opus" | b"alac")
}

/// Returns whether Plex treats files with this lower-case extension as photos.
#[rustfmt::skip]
fn is_photo(extension: &[u8]) -> bool {
    matches!(extension,
        b"png" | b"jpg" | b"jpeg" | b"bmp" | b"gif" | b"ico" | b"tif" | b"tiff" | b"tga" | b"pcx" | b"dng" | b"nef"
        | b"cr2" | b"crw" | b"orf" | b"arw" | b"erf" | b"3fr" | b"dcr" | b"x3f" | b"mef" | b"raf" | b"mrw" | b"pef"
        | b"sr2" | b"mpo" | b"jps" | b"rw2" | b"jp2" | b"j2k" | b"heic" | b"heif" | b"webp")
}

/// Returns the rule by which Plex ignores a folder with this name; `None` if Plex reads the folder. `rules` and
/// `media_types`: from the folder's location. `at_root`: whether the folder is directly in a location.
#[must_use]
pub fn rule_for_folder(name: &[u8], rules: Rules, media_types: MediaTypes, at_root: bool) -> Option<Rule> {
    let lower = name.to_ascii_lowercase();
    let name = LowerName(&lower);
    let video_rule = |rule: Rule| media_types.has_bit(MediaTypes::VIDEO_RULES) && rules.has(rule);
    if rules.has(Rule::System) && (name.is_system_folder() || at_root && name.is_root_system_folder()) {
        Some(Rule::System)
    } else if rules.has(Rule::Hidden) && name.starts_with(b".") {
        Some(Rule::Hidden)
    } else if rules.has(Rule::Unpacking) && name.is_being_unpacked() {
        Some(Rule::Unpacking)
    } else if video_rule(Rule::Discs) && (name.equals(b"bdmv") || name.equals(b"video_ts")) {
        Some(Rule::Discs)
    } else if video_rule(Rule::Samples) && name.is_samples_folder() {
        Some(Rule::Samples)
    } else if video_rule(Rule::Extras) && !at_root && name.is_extras_folder() {
        Some(Rule::Extras)
    } else {
        None
    }
}

/// A video of at least 300 MiB is never a sample, even if its name suggests a sample.
const MAX_SAMPLE_BYTES: u64 = 300 << 20;

/// Returns the rule by which Plex ignores a file; `None` if Plex does not ignore the file. `name`: the path's last
/// component. `rules` and `media_types`: from the file's location. Reads the file's size, which is slow, so call this
/// function only for files that no library lists.
#[must_use]
pub fn rule_for_file(path: &Path, name: &[u8], rules: Rules, media_types: MediaTypes) -> Option<Rule> {
    let lower = name.to_ascii_lowercase();
    let name = LowerName(&lower);
    // A file without metadata, such as a dangling link, counts as empty.
    let size = || fs::metadata(path).map_or(0, |facts| facts.len());
    let video_rule = |rule: Rule| media_types.has_bit(MediaTypes::VIDEO_RULES) && rules.has(rule);
    if rules.has(Rule::Hidden) && name.starts_with(b".") {
        Some(Rule::Hidden)
    } else if rules.has(Rule::Empty) && (size() == 0 || !may_read(path)) {
        Some(Rule::Empty)
    } else if video_rule(Rule::Samples) && name.is_sample() && size() < MAX_SAMPLE_BYTES {
        Some(Rule::Samples)
    } else if video_rule(Rule::Extras) && name.is_extra() {
        Some(Rule::Extras)
    } else {
        None
    }
}
