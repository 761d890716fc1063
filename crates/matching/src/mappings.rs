//! Rules that translate between host paths and server paths, compiled once when an index is opened.
//!
//! If a queried path is not listed, plexindex applies the host-to-server rules in order until the result is a listed
//! path. A segment also indexes each listed path as rewritten by the first matching server-to-host rule. With both
//! kinds of rules, no lookup needs to invert a pattern. Patterns run in linear time.
//!
//! [`Samples`] propose missing mappings: for example, 482 of 500 files match if the host maps `/mnt/media` to
//! `/data/media`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};
use smallvec::SmallVec;
use xxhash_rust::xxh3::Xxh3;

use super::normal::{NormalPath, PathShape, normal_form, remove_redundant_components, spelling, unify_separators};
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
        self.to_server_spelled(path, |rewritten, _| each(rewritten))
    }

    /// Like [`Self::to_server`]. The second argument of `each` says whether the path spells the rule's folder as the rule
    /// does: a disk may have another folder of another spelling.
    pub fn to_server_spelled<R>(
        &self,
        path: &NormalPath<'_>,
        mut each: impl FnMut(&[u8], bool) -> Option<R>,
    ) -> Option<R> {
        let rules = &self.0.as_ref()?.to_server;
        rules.iter().find_map(|rule| rule.rewrite(path, &mut each).flatten())
    }

    /// Returns a host path as each matching host-to-server rule rewrites it, in order.
    #[must_use]
    pub fn server_paths(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let each = |rewritten: &[u8]| -> Option<()> {
            found.push(rewritten.to_vec());
            None
        };
        let _ = NormalPath::with(path, |path| self.to_server(path, each));
        found
    }

    /// Rewrites a server path by the first matching server-to-host rule. Returns `None` if no rule changes the path.
    #[must_use]
    pub fn to_host(&self, path: &[u8]) -> Option<Vec<u8>> {
        let rules = self.0.as_ref().filter(|rules| !rules.to_host.is_empty())?;
        NormalPath::with(path, |path| {
            rules
                .to_host
                .iter()
                .find_map(|rule| rule.rewrite(path, &mut |host, _| host.to_vec()))
                .filter(|host| host != path.raw())
        })
    }

    /// Returns whether the server-to-host rule that rewrites this listed path has its folder in the same spelling.
    #[must_use]
    pub fn spells_folder_of(&self, listed: &[u8]) -> bool {
        let rules = self.0.as_ref().map_or(&[][..], |rules| &rules.to_host);
        NormalPath::with(listed, |listed| {
            rules.iter().find_map(|rule| match rule {
                MappingRule::Prefix(prefix) => Some(prefix.strip_folder(listed)?.1),
                MappingRule::Regex(regex, _) => regex.is_match(listed.raw()).then_some(true),
            })
        })
        .unwrap_or(false)
    }

    /// Translates a server path to a host path, under which this machine can open the file; returns the same path if no
    /// rule matches. Tries the server-to-host rules first, and then the inverted host-to-server prefixes.
    #[must_use]
    pub fn host_path<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        let rewrite_inverted = || {
            let rules = &self.0.as_ref()?.inverted;
            let rewrite = |path: &NormalPath<'_>| {
                let mut rules = rules.iter();
                rules.find_map(|rule| rule.rewrite(path, &mut |host, _| host.to_vec()))
            };
            (!rules.is_empty()).then(|| NormalPath::with(path, rewrite))?
        };
        self.to_host(path)
            .or_else(rewrite_inverted)
            .map_or(Cow::Borrowed(path), Cow::Owned)
    }
}

impl MappingRule {
    /// Passes the rewritten path to `then`, and whether the path spells the rule's folder as the rule does. Returns the
    /// result of `then`; `None` if the rule does not match.
    fn rewrite<R>(&self, path: &NormalPath<'_>, then: &mut dyn FnMut(&[u8], bool) -> R) -> Option<R> {
        match self {
            Self::Prefix(prefix) => prefix.rewrite(path, then),
            Self::Regex(regex, template) => match regex.replace(path.raw(), template.as_slice()) {
                Cow::Owned(rewritten) => Some(then(&rewritten, true)),
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
    .with_argument("mappings")
}

/// Maximum length in bytes of a rewritten path that needs no heap memory.
const ON_STACK: usize = 8192;

/// Returns whether a folder is an absolute path, as all listed paths are. A trailing separator is optional, as in `C:`.
pub fn is_absolute(folder: &[u8]) -> bool {
    let is_drive = matches!(folder, [drive, b':'] if drive.is_ascii_alphabetic());
    folder.starts_with(b"/") || PathShape::of(folder).windows || is_drive
}

/// A rule that replaces one folder with another. The rule compares normal forms, so `C:\Media` also matches
/// `c:/media/…`.
#[derive(Debug)]
pub struct PrefixRule {
    /// The folder to replace, without trailing separators.
    from: Vec<u8>,
    from_form: Vec<u8>,
    /// The [`spelling`] of the folder, with a separator behind it.
    from_spelling: Vec<u8>,
    /// The replacement, without trailing separators.
    to: Vec<u8>,
    /// Whether the replacement is a Windows path.
    to_windows: bool,
}

impl PrefixRule {
    /// Creates a rule that replaces `from` with `to`. The folders may have trailing separators.
    pub fn new(from: &[u8], to: &[u8]) -> Self {
        // The root `/` becomes empty, because the root has no components.
        let trim = |folder: &[u8]| {
            let tidied = remove_redundant_components(folder);
            let folder = tidied.as_deref().unwrap_or(folder);
            without_separators(folder, PathShape::of(folder).windows).to_vec()
        };
        let from = trim(from);
        Self {
            from_form: normal_form(&from),
            from_spelling: spelling(&[&from[..], b"/"].concat()).collect(),
            from,
            to: trim(to),
            to_windows: PathShape::of(to).windows,
        }
    }

    /// Passes the rewritten path to `then`, and whether the path spells the rule's folder as the rule does. Returns the
    /// result of `then`; `None` if the path is not under the rule's folder.
    pub fn rewrite<R>(&self, path: &NormalPath<'_>, then: &mut dyn FnMut(&[u8], bool) -> R) -> Option<R> {
        let windows = PathShape::of(path.raw()).windows;
        let (below_folder, is_same_spelling) = self.strip_folder(path)?;
        let mut rewritten = SmallVec::<[u8; ON_STACK]>::new();
        rewritten.extend_from_slice(&self.to);
        rewritten.extend_from_slice(below_folder);
        // In a path that is not a Windows path, `\` is not a separator.
        if windows && !self.to_windows {
            unify_separators(&mut rewritten[self.to.len()..]);
        }
        Some(then(&rewritten, is_same_spelling))
    }

    /// Returns the exact bytes of the path after the rule's folder, including the leading separator, and whether the path
    /// spells the folder as the rule does. `None` if the path does not lie under the folder.
    fn strip_folder<'p>(&self, path: &NormalPath<'p>) -> Option<(&'p [u8], bool)> {
        let raw = path.raw();
        let windows = PathShape::of(raw).windows;
        let is_separator = |byte: &u8| *byte == b'/' || (windows && *byte == b'\\');
        if let Some(below_folder) = raw.strip_prefix(self.from.as_slice())
            && below_folder.first().is_some_and(is_separator)
        {
            return Some((below_folder, true));
        }
        // The raw path may be spelled differently, and its length may differ from the normal form's. So this code
        // counts the separators after the folder in the normal form, and counts as many separators back from the end of
        // the raw path.
        let form_below_folder = path.form().strip_prefix(self.from_form.as_slice())?;
        if form_below_folder.first().is_some_and(|byte| *byte != b'/') {
            return None;
        }
        // Only the raw path can end in a separator.
        let trailing_separator = usize::from(raw.last().is_some_and(is_separator));
        let separators = form_below_folder.split(|byte| *byte == b'/').count() - 1 + trailing_separator;
        let (offset, _) = raw
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| is_separator(byte))
            .nth(separators.checked_sub(1)?)?;
        let is_same_spelling = spelling(&raw[..=offset]).eq(self.from_spelling.iter().copied());
        Some((&raw[offset..], is_same_spelling))
    }
}

/// Translates a replacement template to the syntax of the crate [`regex`].
///
/// `\1` to `\99`, `\g<1>` and `\g<name>` refer to groups, and `\\` is a backslash. A backslash before any other
/// character is a literal backslash, so that Windows paths need no escaping. The error is a message for the user.
fn parse_template(text: &[u8], regex: &Regex) -> Result<Vec<u8>, String> {
    let mut template = Vec::new();
    let mut remaining = text;
    while let Some((byte, tail)) = remaining.split_first() {
        remaining = tail;
        if *byte == b'$' {
            template.extend_from_slice(b"$$");
        } else if *byte != b'\\' {
            template.push(*byte);
        } else if let Some((group, length)) = parse_group(tail, regex)? {
            template.extend_from_slice(format!("${{{group}}}").as_bytes());
            remaining = &tail[length..];
        } else {
            template.push(b'\\');
            remaining = tail.strip_prefix(b"\\").unwrap_or(tail);
        }
    }
    Ok(template)
}

/// Parses the group reference after a backslash. Returns the group's number, and the length of the reference without
/// the backslash; `None` if `text` does not start with a reference. The error is a message for the user: the pattern
/// lacks the group.
fn parse_group(text: &[u8], regex: &Regex) -> Result<Option<(usize, usize)>, String> {
    let (name, length) = match text {
        [b'g', b'<', tail @ ..] => {
            let end = tail
                .iter()
                .position(|byte| *byte == b'>')
                .ok_or("the replacement contains \\g< without a closing >")?;
            (&tail[..end], end + 3) // with `g<` and `>`
        }
        [a, b, ..] if a.is_ascii_digit() && b.is_ascii_digit() => (&text[..2], 2),
        [a, ..] if a.is_ascii_digit() => (&text[..1], 1),
        _ => return Ok(None),
    };
    let name = String::from_utf8_lossy(name);
    let group = match name.parse::<usize>() {
        Ok(number) => Some(number).filter(|number| *number < regex.captures_len()),
        Err(_) => regex.capture_names().position(|group_name| group_name == Some(&*name)),
    };
    match group {
        Some(group) => Ok(Some((group, length))),
        None => Err(format!(
            "the replacement refers to group {name}, which the pattern does not have"
        )),
    }
}

/// Number of files whose sizes agree that make a mapping certain.
const MIN_CERTAIN: usize = 10;

/// What the size of a file shows about the listed file that has the same end of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeEvidence {
    /// Nothing, because a size is unknown.
    None,
    /// It is this file.
    Same,
    /// It is another file.
    Other,
}

/// A prefix mapping that would translate host paths to listed paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedMapping {
    /// The folder as the host spells it.
    pub from: Vec<u8>,
    /// The folder as the server spells it.
    pub to: Vec<u8>,
    /// Number of paths that would match, with the size that Plex lists.
    pub matched: usize,
    /// Number of paths that speak against the mapping: it would lead to a file of another size, or another folder has the
    /// same files.
    pub contradicted: usize,
    /// Number of paths examined.
    pub examined: usize,
}

impl ProposedMapping {
    /// Returns whether sizes leave no doubt about the mapping.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.matched >= MIN_CERTAIN && self.contradicted == 0
    }

    /// Compiles the mapping, so that the caller can apply the mapping to more paths.
    #[must_use]
    pub fn rule(&self) -> PrefixRule {
        PrefixRule::new(&self.from, &self.to)
    }
}

/// Counts how many host paths each prefix mapping would translate to a listed path. Memory use grows with the number of
/// mappings, not with the number of paths.
#[derive(Debug, Default)]
pub struct Samples {
    examined: usize,
    /// The mappings, keyed by the normal forms of `from` and `to`.
    pairs: HashMap<(Vec<u8>, Vec<u8>), ProposedMapping>,
}

impl Samples {
    /// Returns the number of paths examined.
    #[must_use]
    pub fn count(&self) -> usize {
        self.examined
    }

    /// Adds a sample: an unlisted host path, and the listed path with the longest common suffix. `below` is the number
    /// of components that the listed path has below its location. Counts no mapping unless all of these components are
    /// equal, since only then would a mapping lead to this file. Names alone are no evidence.
    pub fn add(&mut self, host_path: &[u8], listed: &[u8], below: usize, evidence: SizeEvidence) {
        self.examined += 1;
        if evidence == SizeEvidence::None {
            return;
        }
        let Some((from, to)) = differing_roots(host_path, listed, below) else {
            return;
        };
        let mapping = self.pairs.entry((normal_form(from), normal_form(to)));
        let mapping = mapping.or_insert_with(|| ProposedMapping {
            from: from.to_vec(),
            to: to.to_vec(),
            matched: 0,
            contradicted: 0,
            examined: 0,
        });
        let count = match evidence {
            SizeEvidence::Same => &mut mapping.matched,
            _ => &mut mapping.contradicted,
        };
        *count += 1;
    }

    /// Returns all mappings with at least two matching paths, best first. If only one path was examined, one is enough. More
    /// paths must agree than contradict.
    #[must_use]
    pub fn proposals(&self) -> Vec<ProposedMapping> {
        let is_supported = |mapping: &&ProposedMapping| {
            (mapping.matched > 1 || mapping.matched == 1 && self.examined == 1)
                && mapping.matched > mapping.contradicted
        };
        let with_examined = |mapping: &ProposedMapping| ProposedMapping {
            examined: self.examined,
            ..mapping.clone()
        };
        let mut proposals: Vec<ProposedMapping> = self.pairs.values().filter(is_supported).map(with_examined).collect();
        let mut of_server: HashMap<Vec<u8>, usize> = HashMap::new();
        for proposal in &proposals {
            *of_server.entry(normal_form(&proposal.to)).or_default() += proposal.matched;
        }
        for proposal in &mut proposals {
            proposal.contradicted += of_server[&normal_form(&proposal.to)] - proposal.matched;
        }
        // The folders break ties, so that the order is reproducible.
        proposals.sort_by(|a, b| (b.matched, &a.from, &a.to).cmp(&(a.matched, &b.from, &b.to)));
        proposals
    }
}

/// Removes the longest common suffix from both paths, and returns the remaining roots of the host path and the server
/// path. `None` if the suffix has fewer than `below` components, if `below` is 0, or if no rule can replace one root with
/// the other.
fn differing_roots<'a>(host_path: &'a [u8], server_path: &'a [u8], below: usize) -> Option<(&'a [u8], &'a [u8])> {
    let (mut from, mut to) = (host_path, server_path);
    let (windows_host, windows_server) = (PathShape::of(host_path).windows, PathShape::of(server_path).windows);
    let mut common_components = 0;
    loop {
        let (host_parent, host_name) = split_last(from, windows_host);
        let (server_parent, server_name) = split_last(to, windows_server);
        if host_name.is_empty() || server_name.is_empty() || normal_form(host_name) != normal_form(server_name) {
            break;
        }
        common_components += 1;
        (from, to) = (host_parent, server_parent);
    }
    let (from, to) = (non_empty_root(from, host_path), non_empty_root(to, server_path));
    // Rules with a relative folder are invalid.
    let is_rule = is_absolute(from) && is_absolute(to) && rewrites(from, to, host_path, server_path);
    (below > 0 && common_components >= below && is_rule).then_some((from, to))
}

/// Returns whether a rule that replaces `from` with `to` rewrites the host path to the server path. Also returns
/// `false` if the two paths are equal, since they need no rule.
fn rewrites(from: &[u8], to: &[u8], host_path: &[u8], server_path: &[u8]) -> bool {
    let rewritten = NormalPath::with(host_path, |path| {
        PrefixRule::new(from, to).rewrite(path, &mut |rewritten, _| normal_form(rewritten))
    });
    let server_form = normal_form(server_path);
    normal_form(host_path) != server_form && rewritten == Some(server_form)
}

/// Splits a path into its parent, without a trailing separator, and its last component. `windows`: `\` is a separator,
/// like `/`.
pub(super) fn split_last(path: &[u8], windows: bool) -> (&[u8], &[u8]) {
    let path = without_separators(path, windows);
    let is_separator = |byte: &u8| *byte == b'/' || (windows && *byte == b'\\');
    let name_start = path.iter().rposition(is_separator).map_or(0, |separator| separator + 1);
    let (parent, name) = path.split_at(name_start);
    (without_separators(parent, windows), name)
}

/// Returns a path without the separators at its end.
fn without_separators(path: &[u8], windows: bool) -> &[u8] {
    let end = path
        .iter()
        .rposition(|byte| *byte != b'/' && !(windows && *byte == b'\\'));
    &path[..end.map_or(0, |last| last + 1)]
}

/// Returns `root`, or the leading separator of `path` if `root` is empty. [`split_last`] strips trailing separators, so
/// the root `/` becomes empty, but a mapping needs a non-empty folder.
fn non_empty_root<'a>(root: &'a [u8], path: &'a [u8]) -> &'a [u8] {
    if root.is_empty() {
        &path[..path.len().min(1)]
    } else {
        root
    }
}
