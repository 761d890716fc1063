//! Rules that translate between host paths and server paths, compiled once when an index is opened.
//!
//! If a queried path is not listed, plexindex applies the host-to-server rules in order until the result is a listed
//! path. A segment also indexes each listed path as rewritten by the first matching server-to-host rule. With both
//! kinds of rules, no lookup needs to invert a pattern. Patterns run in linear time.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};
use xxhash_rust::xxh3::Xxh3;

use super::normal::NormalPath;
use super::rewrite::{PrefixRule, is_absolute, parse_template};
use crate::error::{Error, Result, Status};

/// The direction of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MappingKind {
    /// From host path to server path: rewrites the queried path.
    HostToServer,
    /// From server path to host path: rewrites the listed paths when plexindex builds a segment.
    ServerToHost,
}

enum_names! { MappingKind: HostToServer "host_to_server", ServerToHost "server_to_host" }

/// The pattern of a mapping.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pattern {
    /// An absolute folder. Rules compare normal forms component by component.
    Prefix(Vec<u8>),
    /// A regular expression without look-around or backreferences. An unanchored expression matches anywhere.
    Regex(String),
}

/// A rule that translates a host path to a server path, or a server path to a host path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Mapping {
    /// The direction of the translation.
    pub kind: MappingKind,
    /// The pattern to replace.
    pub from: Pattern,
    /// The replacement: a folder for a prefix, or a template for a regular expression. A template can refer to groups:
    /// `\1`, `\g<1>`, `\g<name>`.
    pub to: Vec<u8>,
}

impl Mapping {
    /// Creates a rule that replaces a host folder with a server folder.
    #[must_use]
    pub fn host_to_server(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Self {
        Self::of_folders(MappingKind::HostToServer, from.as_ref(), to.as_ref())
    }

    /// Creates a rule that replaces a server folder with a host folder.
    #[must_use]
    pub fn server_to_host(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Self {
        Self::of_folders(MappingKind::ServerToHost, from.as_ref(), to.as_ref())
    }

    /// Creates a rule that replaces the first match of a regular expression. `to` can refer to groups: `\1`, `\g<1>`,
    /// `\g<name>`.
    ///
    /// ```
    /// # use plexindex_matching as plexindex;
    /// use plexindex::{Mapping, MappingKind};
    ///
    /// // `/mnt/disk3/films/a.mkv` is `/data/films/a.mkv` on the server.
    /// let disks = Mapping::pattern(MappingKind::HostToServer, r"^/mnt/disk\d+/(films|shows)/", r"/data/\1/");
    /// # let _ = disks;
    /// ```
    #[must_use]
    pub fn pattern(kind: MappingKind, pattern: impl Into<String>, to: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            from: Pattern::Regex(pattern.into()),
            to: to.into(),
        }
    }

    /// Creates a rule that replaces a folder. `kind` is the direction.
    #[doc(hidden)]
    #[must_use]
    pub fn of_folders(kind: MappingKind, from: &Path, to: &Path) -> Self {
        let bytes = |folder: &Path| folder.as_os_str().as_encoded_bytes().to_vec();
        Self {
            kind,
            from: Pattern::Prefix(bytes(from)),
            to: bytes(to),
        }
    }
}

/// The compiled rules of an index. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Mappings(Option<Arc<CompiledMappings>>);

#[derive(Debug)]
struct CompiledMappings {
    to_server: Vec<MappingRule>,
    to_host: Vec<MappingRule>,
    /// The host-to-server prefix rules with `from` and `to` swapped, which translate a server path to a host path.
    inverted: Vec<PrefixRule>,
    /// Hash of the server-to-host rules; 0 if there are none.
    digest: u64,
}

#[derive(Debug)]
enum MappingRule {
    Prefix(PrefixRule),
    Regex(Regex, Vec<u8>),
}

impl Mappings {
    /// Compiles the rules.
    ///
    /// # Errors
    /// Returns [`Status::InvalidArgument`] if a rule is invalid. The message quotes the rule.
    pub fn new(mappings: &[Mapping]) -> Result<Self> {
        if mappings.is_empty() {
            return Ok(Self::default());
        }
        let mut rules = CompiledMappings {
            to_server: Vec::new(),
            to_host: Vec::new(),
            inverted: Vec::new(),
            digest: 0,
        };
        let mut digest = Xxh3::new();
        for (index, mapping) in mappings.iter().enumerate() {
            let rule = compile(mapping).map_err(|cause| invalid_mapping(index, mapping, &cause))?;
            match mapping.kind {
                MappingKind::HostToServer => {
                    if let Pattern::Prefix(from) = &mapping.from {
                        rules.inverted.push(PrefixRule::new(&mapping.to, from));
                    }
                    rules.to_server.push(rule);
                }
                MappingKind::ServerToHost => {
                    // Only server-to-host rules translate the paths in segments, so only they are in the digest.
                    let (tag, from) = match &mapping.from {
                        Pattern::Prefix(from) => (b'p', from.as_slice()),
                        Pattern::Regex(from) => (b'r', from.as_bytes()),
                    };
                    // Hashing the lengths distinguishes ("a", "bc") from ("ab", "c").
                    digest.update(&[tag]);
                    digest.update(&from.len().to_le_bytes());
                    digest.update(from);
                    digest.update(&mapping.to.len().to_le_bytes());
                    digest.update(&mapping.to);
                    rules.to_host.push(rule);
                }
            }
        }
        if !rules.to_host.is_empty() {
            // A digest of 0 means that there are no server-to-host rules.
            rules.digest = digest.digest().max(1);
        }
        Ok(Self(Some(Arc::new(rules))))
    }

    /// Returns a hash of the server-to-host rules; 0 if there are no such rules. A segment stores the hash, because the
    /// mapped paths in the segment are valid only for the same rules.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.0.as_ref().map_or(0, |rules| rules.digest)
    }

    /// Returns whether there are server-to-host rules.
    #[inline]
    #[must_use]
    pub fn has_server_to_host_rules(&self) -> bool {
        self.digest() != 0
    }

    /// Returns whether there are host-to-server rules.
    #[inline]
    #[must_use]
    pub fn has_host_to_server_rules(&self) -> bool {
        self.0.as_ref().is_some_and(|rules| !rules.to_server.is_empty())
    }

    /// Rewrites a host path by each matching host-to-server rule in order, and calls `each` with each result. Returns
    /// the first `Some` that `each` returns; `None` if `each` never returns `Some`.
    pub fn to_server<R>(&self, path: &NormalPath<'_>, mut each: impl FnMut(&[u8]) -> Option<R>) -> Option<R> {
        let rules = self.0.as_ref()?;
        rules
            .to_server
            .iter()
            .find_map(|rule| rule.rewrite(path, &mut |rewritten| each(rewritten)).flatten())
    }

    /// Rewrites a server path by the first matching server-to-host rule. Returns `None` if no rule changes the path.
    #[must_use]
    pub fn to_host(&self, path: &[u8]) -> Option<Vec<u8>> {
        let rules = self.0.as_ref().filter(|rules| !rules.to_host.is_empty())?;
        NormalPath::with(path, |path| {
            rules
                .to_host
                .iter()
                .find_map(|rule| rule.rewrite(path, &mut <[u8]>::to_vec))
                .filter(|host| host != path.raw())
        })
    }

    /// Translates a server path to a host path, under which this machine can open the file; returns the same path if no
    /// rule matches. Tries the server-to-host rules first, and then the inverted host-to-server prefixes.
    #[must_use]
    pub fn host_path<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        let rewrite_inverted = || {
            let rules = &self.0.as_ref()?.inverted;
            let rewrite = |path: &NormalPath<'_>| rules.iter().find_map(|rule| rule.rewrite(path, &mut <[u8]>::to_vec));
            (!rules.is_empty()).then(|| NormalPath::with(path, rewrite))?
        };
        self.to_host(path)
            .or_else(rewrite_inverted)
            .map_or(Cow::Borrowed(path), Cow::Owned)
    }
}

impl MappingRule {
    /// Passes the rewritten path to `then` and returns the result of `then`; `None` if the rule does not match.
    fn rewrite<R>(&self, path: &NormalPath<'_>, then: &mut dyn FnMut(&[u8]) -> R) -> Option<R> {
        match self {
            Self::Prefix(prefix) => prefix.rewrite(path, then),
            Self::Regex(regex, template) => match regex.replace(path.raw(), template.as_slice()) {
                Cow::Owned(rewritten) => Some(then(&rewritten)),
                Cow::Borrowed(_) => None,
            },
        }
    }
}

/// Validates and compiles one rule. The error says what is wrong, but does not quote the rule.
fn compile(mapping: &Mapping) -> std::result::Result<MappingRule, String> {
    match &mapping.from {
        Pattern::Prefix(from) => {
            if from.is_empty() {
                return Err("the folder to replace is empty: specify an absolute path".into());
            }
            if mapping.to.is_empty() {
                return Err("the replacement folder is empty: specify an absolute path; `/` is the root".into());
            }
            let folders = [(from, "the folder to replace"), (&mapping.to, "the replacement folder")];
            if let Some((_, description)) = folders.iter().find(|(folder, _)| !is_absolute(folder)) {
                return Err(format!(
                    "{description} is not an absolute path: start it with `/`, `\\\\` or a drive such as `C:\\`"
                ));
            }
            Ok(MappingRule::Prefix(PrefixRule::new(from, &mapping.to)))
        }
        Pattern::Regex(pattern) => {
            let regex = RegexBuilder::new(pattern)
                .build()
                .map_err(|error| regex_error_message(pattern, &error))?;
            let template = parse_template(&mapping.to, &regex)?;
            Ok(MappingRule::Regex(regex, template))
        }
    }
}

/// Returns a readable error message for a pattern that the `regex` crate rejects.
fn regex_error_message(pattern: &str, error: &regex::Error) -> String {
    let text = error.to_string();
    // The `regex` crate's error shows the pattern on several lines; only the last line describes the error.
    let last_line = text.lines().last().unwrap_or_default();
    let cause = last_line.strip_prefix("error: ").unwrap_or(last_line);
    if ["(?=", "(?!", "(?<=", "(?<!"]
        .iter()
        .any(|look_around| pattern.contains(look_around))
    {
        return format!("look-around is not supported, because it can take exponential time ({cause})");
    }
    if text.contains("backreference") {
        return format!("backreferences are not supported, because they can take exponential time ({cause})");
    }
    cause.to_owned()
}

/// Returns the error for an invalid rule. `index` is the rule's index in the host's list; `cause` says what is wrong.
fn invalid_mapping(index: usize, mapping: &Mapping, cause: &str) -> Error {
    let direction = match mapping.kind {
        MappingKind::HostToServer => "host to server",
        MappingKind::ServerToHost => "server to host",
    };
    let from = match &mapping.from {
        Pattern::Prefix(from) => format!("prefix {:?}", String::from_utf8_lossy(from)),
        Pattern::Regex(from) => format!("pattern {from:?}"),
    };
    let to = String::from_utf8_lossy(&mapping.to);
    let number = index + 1;
    Error::new(
        Status::InvalidArgument,
        format!("mapping {number} ({direction}, {from} to {to:?}): {cause}"),
    )
}
