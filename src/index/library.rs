//! One library of an index, or all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::snapshot::Snapshot;
use super::{Deadline, Match, QueryOptions, Shared};
use crate::error::{Error, Result, Status, room};
use crate::matching::Scope;
use crate::model::rating_key_of;
use crate::store::LibraryRow;

/// How often a library is looked for that others clear at the same time.
pub(super) const PERSISTENCE: u32 = 20;

/// How a library is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// A uuid, else a title, else a section id: the first that fits.
    Any(String),
    /// A title.
    Title(String),
    /// A section id.
    Section(String),
    /// A uuid.
    Uuid(String),
    /// All libraries.
    All,
}

/// What a selector means now.
pub(super) enum Resolved {
    /// This scope.
    Scope(Scope),
    /// No known library fits.
    Unknown,
}

/// A library of an index, or all of them. Usable from any thread; outlives no call of its index's `close`.
#[derive(Debug)]
pub struct Library {
    pub(super) shared: Arc<Shared>,
    selector: Selector,
    /// Where it was found last: the snapshot's number, and the index in it in the low 16 bits. One lookup in a million
    /// compares titles.
    place: AtomicU64,
}

impl Library {
    pub(super) fn new(shared: &Arc<Shared>, selector: Selector) -> Result<Self> {
        if let Selector::Any(name) | Selector::Title(name) | Selector::Section(name) | Selector::Uuid(name) = &selector
            && name.is_empty()
        {
            return Err(Error::new(
                Status::InvalidArgument,
                "the library's name is empty: give a title, a section id or a uuid, or select all libraries",
            ));
        }
        shared.catch_up()?;
        let library = Self {
            shared: Arc::clone(shared),
            selector,
            place: AtomicU64::new(0),
        };
        library.resolve(&shared.snapshot.read())?;
        Ok(library)
    }

    /// How it was named.
    #[must_use]
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// Whether a library of this name is known; all libraries always are.
    #[must_use]
    pub fn is_known(&self) -> bool {
        let resolved = self.resolve(&self.shared.snapshot.read());
        matches!(resolved, Ok(Resolved::Scope(_)))
    }

    /// Where it is in this snapshot.
    pub(super) fn resolve(&self, snapshot: &Snapshot) -> Result<Resolved> {
        if self.selector == Selector::All {
            return Ok(Resolved::Scope(Scope::All));
        }
        if let Some(place) = self.remembered(snapshot) {
            return Ok(Resolved::Scope(Scope::One(place)));
        }
        let mut fitting = fitting(&self.selector, &snapshot.rows);
        let Some(place) = fitting.next() else {
            return Ok(Resolved::Unknown);
        };
        if let Some(other) = fitting.next() {
            let ids: Vec<String> = [place, other]
                .into_iter()
                .chain(fitting)
                .filter_map(|place| snapshot.rows.get(place))
                .map(|row| format!("{} ({})", row.library.section, row.library.kind.name()))
                .collect();
            return Err(Error::new(
                Status::LibraryAmbiguous,
                format!(
                    "{} libraries are called '{}': name one by its section id: {}",
                    ids.len(),
                    self.selector.name(),
                    ids.join(", ")
                ),
            ));
        }
        self.place
            .store(snapshot.number << 16 | place as u64, Ordering::Relaxed);
        Ok(Resolved::Scope(Scope::One(place)))
    }

    /// Where it was found last, if that was in this snapshot.
    pub(super) fn remembered(&self, snapshot: &Snapshot) -> Option<usize> {
        let place = self.place.load(Ordering::Relaxed);
        (place >> 16 == snapshot.number && snapshot.number > 0).then(|| usize::try_from(place & 0xFFFF).unwrap_or(0))
    }

    /// The error for a library that the server does not have.
    pub(super) fn unknown(&self, snapshot: &Snapshot) -> Error {
        let names: Vec<String> = snapshot
            .rows
            .iter()
            .map(|row| format!("'{}' (section {})", row.library.title, row.library.section))
            .collect();
        let there_are = if names.is_empty() {
            "no library is known; check the server's URL and whether the token's user may see any".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        };
        Error::new(
            Status::LibraryNotFound,
            format!("the server has no library '{}': {there_are}", self.selector.name()),
        )
    }

    /// A query to this library.
    #[must_use]
    pub fn query(&self) -> QueryOptions<'_> {
        QueryOptions {
            library: Some(self),
            deadline: Deadline::Default,
            offline: false,
            progress: None,
        }
    }

    /// The answer for a path, copied out.
    ///
    /// # Errors
    /// As [`super::Index::match_path`].
    pub fn match_path(&self, path: &[u8]) -> Result<Match> {
        let query = self.query();
        let _timed = self.shared.timed_call("match_path", &query, None);
        self.shared.match_path(&query, path, |answer| Ok(Match::from(answer)))
    }

    /// The key of the item with this path, if a fast lookup knows it: appended to `key` by `then`.
    /// See [`super::lookup`].
    pub fn lookup_key<R>(&self, path: &[u8], then: impl FnOnce(&str) -> R) -> Option<R> {
        self.shared.lookup_key(self, path, then)
    }

    /// [`Library::lookup_key`] for many paths, in order: `each` gets what is known of each.
    pub fn lookup_keys<'p>(&self, paths: impl Iterator<Item = &'p [u8]>, each: impl FnMut(Option<&str>)) {
        self.shared.lookup_keys(self, paths, each);
    }

    /// Confirms matches, all or none: pairs of a path and the item's key or rating key.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`]; [`Status::LibraryNotFound`]; the store's.
    pub fn record_matches(&self, pairs: &[(&[u8], &str)]) -> Result<()> {
        let query = self.query();
        let _timed = self.shared.timed_call("record_matches", &query, Some(pairs.len()));
        let mut checked = room(pairs.len(), "matches")?;
        for (path, key) in pairs {
            self.shared.check_path(path)?;
            checked.push((*path, check_key(key)?));
        }
        let pairs = checked;
        for _ in 0..PERSISTENCE {
            let (identity, row) = self.one("record a match", &self.query())?;
            if self.shared.record_matches(identity, &row, &pairs)? {
                return Ok(());
            }
        }
        Err(Error::new(
            Status::Store,
            format!(
                "library '{}' is cleared again and again: try again later",
                self.selector.name()
            ),
        ))
    }

    /// Invalidates a path: see [`super::upkeep`].
    ///
    /// # Errors
    /// [`Status::InvalidArgument`]; the store's.
    pub fn invalidate_path(&self, path: &[u8]) -> Result<()> {
        self.shared.check_path(path)?;
        self.shared.invalidate_path(self, path)
    }

    /// Invalidates an item, by its key or rating key.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`]; the store's.
    pub fn invalidate_item(&self, key: &str) -> Result<()> {
        self.shared.invalidate_item(self, check_key(key)?)
    }

    /// A listed item by its key or rating key, with all its files and external ids. Asks nobody.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`]; [`Status::LibraryAmbiguous`]; the store's.
    pub fn item(&self, key: &str) -> Result<Option<crate::model::Item>> {
        self.shared.item(self, check_key(key)?)
    }

    /// Keeps a value in this library of the host's, until it expires or all values take more than `limit` bytes. The
    /// one without a name is the library's listing: see [`super::host`].
    ///
    /// # Errors
    /// [`Status::InvalidArgument`]; the store's.
    pub fn put_value(&self, name: &[u8], value: &[u8], expires: crate::options::Ttl, limit: u64) -> Result<()> {
        self.shared.put_value(self, name, value, expires, limit)
    }

    /// Hands a value of this library of the host's to `then` when it has at most `room` bytes: a larger one is not read.
    /// Gives its length, `None` when there is none that has not expired.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`]; the store's.
    pub fn value(&self, name: &[u8], room: usize, then: &mut dyn FnMut(&[u8])) -> Result<Option<usize>> {
        self.shared.value(self, name, room, then)
    }

    /// Makes a full listing due, and forgets the library's confirmed matches.
    ///
    /// # Errors
    /// [`Status::LibraryAmbiguous`]; the store's.
    pub fn invalidate(&self) -> Result<()> {
        self.shared.invalidate(Some(self))
    }

    /// The one library meant, asked for when it is not known yet.
    pub(super) fn one(&self, what: &str, query: &QueryOptions<'_>) -> Result<(i64, LibraryRow)> {
        if self.selector == Selector::All {
            return Err(Error::new(
                Status::InvalidArgument,
                format!("cannot {what} in all libraries at once: name one"),
            ));
        }
        self.shared.catch_up()?;
        let mut asked = 0;
        let mut shown = true;
        loop {
            {
                let snapshot = self.shared.snapshot.read();
                match (self.resolve(&snapshot)?, snapshot.identity) {
                    (Resolved::Scope(Scope::One(place)), Some(identity)) => {
                        if let Some(row) = snapshot.rows.get(place) {
                            return Ok((identity, row.clone()));
                        }
                    }
                    _ if !self.shared.may_ask(query) => return Err(self.unknown(&snapshot)),
                    // When not even others are known, somebody cleared them at once.
                    _ if asked > 0 && (asked == PERSISTENCE || !shown || !snapshot.rows.is_empty()) => {
                        return Err(self.unknown(&snapshot));
                    }
                    _ => {}
                }
            }
            asked += 1;
            let since = self.shared.snapshot.read().sequence();
            shown = self.shared.probe_shows_any(query, since)?;
            self.shared.catch_up()?;
        }
    }
}

/// Places of the rows that a selector fits; for [`Selector::Any`] those of the strongest meaning that fits.
fn fitting<'r>(selector: &'r Selector, rows: &'r [LibraryRow]) -> impl Iterator<Item = usize> + 'r {
    let by = |field: fn(&LibraryRow) -> &str, name: &str| rows.iter().any(|row| field(row) == name);
    let (field, name): (fn(&LibraryRow) -> &str, &str) = match selector {
        Selector::Any(name) if by(uuid, name) => (uuid, name),
        Selector::Any(name) if by(title, name) => (title, name),
        Selector::Any(name) | Selector::Section(name) => (section, name),
        Selector::Title(name) => (title, name),
        Selector::Uuid(name) => (uuid, name),
        Selector::All => (uuid, ""),
    };
    rows.iter()
        .enumerate()
        .filter(move |(_, row)| field(row) == name)
        .map(|(place, _)| place)
}

fn uuid(row: &LibraryRow) -> &str {
    &row.library.uuid
}

fn title(row: &LibraryRow) -> &str {
    &row.library.title
}

fn section(row: &LibraryRow) -> &str {
    &row.library.section
}

impl Selector {
    /// The name given; empty for all.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Any(name) | Self::Title(name) | Self::Section(name) | Self::Uuid(name) => name,
            Self::All => "",
        }
    }
}

/// The rating key in a key, refused when it is none.
pub(super) fn check_key(key: &str) -> Result<&str> {
    let rating_key = rating_key_of(key);
    if rating_key.is_empty() || rating_key.contains(['/', '\0']) {
        return Err(Error::new(
            Status::InvalidArgument,
            format!("'{key}' is no key of an item: give '/library/metadata/<rating key>' or the rating key alone"),
        ));
    }
    Ok(rating_key)
}
