//! Rules between host paths and server paths, compiled once when an index is opened.
//!
//! Host-to-server rules rewrite the requested path, in order, until the result is a listed path. They run only if the
//! path itself is not listed. Server-to-host rules run over the listed paths when a segment is built: the result of the
//! first rule that matches a path is indexed too. So no pattern has to be inverted. Patterns run in linear time.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};
use xxhash_rust::xxh3::Xxh3;

use super::normal::Normal;
use super::rewrite::{PrefixRule, is_full, template};
use crate::error::{Error, Result, Status};

/// The direction of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MappingKind {
    /// From the host's paths to the server's: rewrites the path of a query.
    HostToServer,
    /// From the server's paths to the host's: applied to the listed paths when a segment is built.
    ServerToHost,
}

enum_names! { MappingKind: HostToServer "host_to_server", ServerToHost "server_to_host" }

/// The pattern of a mapping.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pattern {
    /// A folder, named from the root on; compared by component in the normal form.
    Prefix(Vec<u8>),
    /// A regular expression without look-around and backreferences; found anywhere unless it is anchored.
    Regex(String),
}

/// A rule between paths as the host sees them and paths as the server sees them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Mapping {
    /// The direction.
    pub kind: MappingKind,
    /// The pattern to replace.
    pub from: Pattern,
    /// The replacement: a folder, or for a pattern a text with `\1`, `\g<1>` or `\g<name>`.
    pub to: Vec<u8>,
}

impl Mapping {
    /// A rule that replaces a folder of the host by a folder of the server.
    #[must_use]
    pub fn host_to_server(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Self {
        Self::of_folders(MappingKind::HostToServer, from.as_ref(), to.as_ref())
    }

    /// A rule that replaces a folder of the server by a folder of the host.
    #[must_use]
    pub fn server_to_host(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Self {
        Self::of_folders(MappingKind::ServerToHost, from.as_ref(), to.as_ref())
    }

    /// Replaces the matches of a regular expression; `\1`, `\g<1>` and `\g<name>` are its groups.
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

    /// A rule for a folder, in either direction.
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

/// The compiled rules; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Mappings(Option<Arc<CompiledMappings>>);

#[derive(Debug)]
struct CompiledMappings {
    to_server: Vec<MappingRule>,
    to_host: Vec<MappingRule>,
    /// Inverted host-to-server prefixes.
    inverted: Vec<PrefixRule>,
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
    /// [`Status::InvalidArgument`], naming the rule and what is wrong with it.
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
            let rule = compile(mapping).map_err(|why| refuse(index, mapping, &why))?;
            match mapping.kind {
                MappingKind::HostToServer => {
                    if let Pattern::Prefix(from) = &mapping.from {
                        rules.inverted.push(PrefixRule::new(&mapping.to, from));
                    }
                    rules.to_server.push(rule);
                }
                MappingKind::ServerToHost => {
                    let (tag, from) = match &mapping.from {
                        Pattern::Prefix(from) => (b'p', from.as_slice()),
                        Pattern::Regex(from) => (b'r', from.as_bytes()),
                    };
                    // Lengths keep ("a", "bc") and ("ab", "c") apart.
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
            // 0 stands for 'none'.
            rules.digest = digest.digest().max(1);
        }
        Ok(Self(Some(Arc::new(rules))))
    }

    /// Returns a hash of the server-to-host rules, which segments depend on; 0 without any.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.0.as_ref().map_or(0, |rules| rules.digest)
    }

    /// Returns whether there are host-to-server rules.
    #[inline]
    #[must_use]
    pub fn has_host_rules(&self) -> bool {
        self.0.as_ref().is_some_and(|rules| !rules.to_server.is_empty())
    }

    /// Returns whether [`Self::host_path`] is right for every file. Patterns over host paths cannot be inverted.
    #[must_use]
    pub fn name_each_file(&self) -> bool {
        let is_prefix = |rule: &MappingRule| matches!(rule, MappingRule::Prefix(_));
        self.0
            .as_ref()
            .is_none_or(|rules| rules.to_server.iter().all(is_prefix))
    }

    /// Rewrites a host path by each rule that matches, in order, until `each` returns `Some`.
    pub fn to_server<R>(&self, path: &Normal<'_>, mut each: impl FnMut(&[u8]) -> Option<R>) -> Option<R> {
        let rules = self.0.as_ref()?;
        rules
            .to_server
            .iter()
            .find_map(|rule| rule.rewrite(path, &mut |rewritten| each(rewritten)).flatten())
    }

    /// Maps a server path to the host's by the first rule that matches and changes it.
    #[must_use]
    pub fn to_host(&self, path: &[u8]) -> Option<Vec<u8>> {
        let rules = self.0.as_ref().filter(|rules| !rules.to_host.is_empty())?;
        Normal::with(path, |path| {
            rules
                .to_host
                .iter()
                .find_map(|rule| rule.rewrite(path, &mut <[u8]>::to_vec))
                .filter(|host| host != path.raw())
        })
    }

    /// Returns the host's path for a server path, or the same path if no rule matches. Server-to-host rules come first,
    /// then inverted host-to-server prefixes; patterns are not inverted.
    #[must_use]
    pub fn host_path<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        let by_inverted = || {
            let rules = &self.0.as_ref()?.inverted;
            let rewritten = |path: &Normal<'_>| rules.iter().find_map(|rule| rule.rewrite(path, &mut <[u8]>::to_vec));
            (!rules.is_empty()).then(|| Normal::with(path, rewritten))?
        };
        self.to_host(path)
            .or_else(by_inverted)
            .map_or(Cow::Borrowed(path), Cow::Owned)
    }
}

impl MappingRule {
    fn rewrite<R>(&self, path: &Normal<'_>, then: &mut dyn FnMut(&[u8]) -> R) -> Option<R> {
        match self {
            Self::Prefix(prefix) => prefix.rewrite(path, then),
            Self::Regex(regex, template) => match regex.replace(path.raw(), template.as_slice()) {
                Cow::Owned(rewritten) => Some(then(&rewritten)),
                Cow::Borrowed(_) => None,
            },
        }
    }
}

fn compile(mapping: &Mapping) -> std::result::Result<MappingRule, String> {
    match &mapping.from {
        Pattern::Prefix(from) => {
            if from.is_empty() {
                return Err("the folder to replace is empty".into());
            }
            if mapping.to.is_empty() {
                return Err("the folder to put in its place is empty; `/` is the root".into());
            }
            let folders = [
                (from, "the folder to replace"),
                (&mapping.to, "the folder to put in its place"),
            ];
            if let Some((_, which)) = folders.iter().find(|(folder, _)| !is_full(folder)) {
                return Err(format!(
                    "{which} is not a full path: begin it with `/`, `\\\\` or a drive such as `C:\\`"
                ));
            }
            Ok(MappingRule::Prefix(PrefixRule::new(from, &mapping.to)))
        }
        Pattern::Regex(pattern) => {
            let regex = RegexBuilder::new(pattern)
                .build()
                .map_err(|why| explain(pattern, &why))?;
            let template = template(&mapping.to, &regex)?;
            Ok(MappingRule::Regex(regex, template))
        }
    }
}

/// Returns a readable error text for a pattern that the engine rejects.
fn explain(pattern: &str, why: &regex::Error) -> String {
    let text = why.to_string();
    // The engine's text shows the pattern over several lines; the last line has the error.
    let last = text.lines().last().unwrap_or_default();
    let last = last.strip_prefix("error: ").unwrap_or(last);
    if ["(?=", "(?!", "(?<=", "(?<!"]
        .iter()
        .any(|around| pattern.contains(around))
    {
        return format!("look-around is not supported, since it can take exponential time ({last})");
    }
    if text.contains("backreference") {
        return format!("a pattern cannot refer back to its own groups, since that can take exponential time ({last})");
    }
    last.to_owned()
}

fn refuse(index: usize, mapping: &Mapping, why: &str) -> Error {
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
        format!("mapping {number} ({direction}, {from} to {to:?}): {why}"),
    )
}
