//! What every answer may be. The model knows what each server had at each step, what hosts told the index, and what
//! `docs/design/` promises from that: it never looks into the index.
//!
//! An item that is answered was on the server so, at a step that the answer's own age allows; what is not answered was not
//! there for all of that time. What a host invalidated is answered as the server had it since, or stale; by a path that it
//! invalidated, never stale. What it recorded is answered until it is invalidated or its item goes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::support::index::Match;
use plexindex::Item;
use plexindex::error::Status;
use plexindex::model::{Confidence, MatchKind, Reason};

use crate::net::sees;
use crate::world::TITLES;
use plexindex_tests::memory::Token;

pub const TTL_MS: i64 = 3_600_000;
pub const MAX_AGE_MS: i64 = 24 * 3_600_000;
/// A listing that was cut off goes on within this time: what it read before is so much older.
const RESUMED_MS: i64 = 600_000;
/// A step of the clock that makes no listing old.
const STEP_MS: i64 = 60_000;

/// Who asks: a URL, and a user. The view of a server that a store keeps apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who {
    pub url: usize,
    pub user: usize,
}

impl Who {
    /// A user that is known by the token only.
    pub fn is_token(self) -> bool {
        self.user == 2
    }
}

/// A row of a server for some steps.
#[derive(Clone, Debug)]
pub struct Fact {
    pub path: String,
    pub title: String,
    /// The disk is there, so that it is listed.
    pub shown: bool,
    /// The server that has it.
    pub server: usize,
    pub from: usize,
    /// The first step at which it is so no more.
    pub to: Option<usize>,
    /// It began, or ended, as a change of an item that stays: such changes are noticed late.
    pub began_silently: bool,
    pub ended_silently: bool,
}

/// A row as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub path: String,
    pub title: String,
    pub shown: bool,
}

/// A confirmed match: what may be answered for the path.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Any of these; more than one after a kill.
    pub keys: Vec<String>,
    /// What was recorded last for each spelling. For a path in that spelling it comes before a newer one of another.
    pub spelled: BTreeMap<String, String>,
    /// Since this step it must be answered, as long as its item is there.
    pub must: Option<usize>,
}

impl Recorded {
    /// Whether an answer may be this item.
    fn may_be(&self, key: &str) -> bool {
        self.keys.iter().chain(self.spelled.values()).any(|one| one == key)
    }
}

/// What a host has told the index of one library, by step.
#[derive(Clone, Debug, Default)]
struct Told {
    paths: BTreeMap<String, usize>,
    keys: BTreeMap<String, usize>,
    /// Paths and keys of which the same may have been told, by calls that failed or were killed too.
    marked: BTreeSet<String>,
    /// What is answered as fresh was read since.
    fresh: usize,
    /// What is answered at all was read since.
    all: usize,
    /// Its listing was seen.
    fetched: Option<usize>,
    /// It was answered from last at this step.
    answered: usize,
    /// A `clear` may have been made at this step.
    cleared: usize,
    /// Its matches ended.
    ended: usize,
    /// Paths that were asked for.
    asked: BTreeSet<String>,
}

#[derive(Default)]
pub struct Model {
    token: Option<Token>,
    /// What the clock showed at each step.
    pub times: Vec<i64>,
    /// The step at which the call began, during which a server may change.
    pub begun: usize,
    /// By URL, library and key.
    facts: BTreeMap<(usize, String, String), Vec<Fact>>,
    hosts: Hosts,
}

/// What hosts told the index: all that a store holds and no server has.
#[derive(Clone, Default)]
pub struct Hosts {
    /// By server, user and library.
    told: BTreeMap<(usize, Who, String), Told>,
    /// By server, user, library and path in lower case.
    pub records: BTreeMap<(usize, usize, String, String), Recorded>,
    /// All that was ever recorded: server, library, path in lower case, key.
    ever: HashSet<(usize, String, String, String)>,
}

/// A question, and what is known of how it was asked.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that have nothing to do with each other"
)]
pub struct Asked<'a> {
    pub who: Who,
    pub server: usize,
    /// The library's title; all of them.
    pub library: Option<&'a str>,
    pub path: &'a str,
    pub offline: bool,
    /// A request failed during the call, or so shortly before that the server is left alone.
    pub failed: bool,
    /// What the server says cannot be stored.
    pub full: bool,
    /// The call was killed: what it did may be undone.
    pub killed: bool,
}

fn fold(path: &str) -> String {
    path.to_lowercase()
}

/// An old listing that answers unmarked has just got the item from the server: it is right now.
fn is_just_found(found: &Match) -> bool {
    matches!(found.match_kind, MatchKind::Exact | MatchKind::Mapped) && found.age_ms.is_some_and(|age| age > TTL_MS)
}

impl Model {
    /// Before the first step.
    pub fn new(token: Token, now_ms: i64) -> Self {
        Self {
            token: Some(token),
            times: vec![now_ms],
            ..Self::default()
        }
    }

    pub fn now(&self) -> usize {
        self.times.len() - 1
    }

    pub fn now_ms(&self) -> i64 {
        self.times[self.now()]
    }

    /// Takes over what a URL's server has now.
    pub fn see(&mut self, url: usize, server: usize, rows: &BTreeMap<(String, String), Row>) {
        let now = self.now();
        for ((at, library, key), facts) in &mut self.facts {
            let Some(last) = facts.last_mut().filter(|fact| *at == url && fact.to.is_none()) else {
                continue;
            };
            let row = rows.get(&(library.clone(), key.clone()));
            let same = |row: &Row| (&row.path, &row.title, row.shown) == (&last.path, &last.title, last.shown);
            if row.is_some_and(same) && last.server == server {
                continue;
            }
            last.to = Some(now);
            last.ended_silently = row.is_some_and(|row| row.shown == last.shown) && last.server == server;
        }
        for ((library, key), row) in rows {
            let facts = self.facts.entry((url, library.clone(), key.clone())).or_default();
            let before = facts.last();
            if before.is_some_and(|fact| fact.to.is_none()) {
                continue;
            }
            // One that comes back is of a server that was away, and may have changed silently before it went.
            let silently =
                before.is_some_and(|fact| fact.to < Some(now) || fact.server != server || fact.ended_silently);
            facts.push(Fact {
                path: row.path.clone(),
                title: row.title.clone(),
                shown: row.shown,
                server,
                from: now,
                to: None,
                began_silently: silently,
                ended_silently: false,
            });
        }
    }

    /// Whether anything was said of items or paths, which the server may not have confirmed yet.
    pub fn has_told_items(&self) -> bool {
        self.hosts
            .told
            .values()
            .any(|told| !told.keys.is_empty() || !told.paths.is_empty())
    }

    fn told(&mut self, server: usize, who: Who, library: &str) -> &mut Told {
        self.hosts.told.entry((server, who, library.to_owned())).or_default()
    }

    fn told_of(&self, asked: &Asked<'_>, library: &str) -> Told {
        let place = (asked.server, asked.who, library.to_owned());
        self.hosts.told.get(&place).cloned().unwrap_or_default()
    }

    /// A call that records matches returned, or was killed before it did.
    pub fn record(
        &mut self,
        server: usize,
        who: Who,
        library: &str,
        path: &str,
        key: &str,
        listed: bool,
        killed: bool,
    ) {
        let now = self.now();
        self.hosts
            .ever
            .insert((server, library.to_owned(), fold(path), key.to_owned()));
        // What the host records ends an earlier invalidation of the path. The item stays doubted for other paths.
        let told = self.told(server, who, library);
        told.paths.remove(&fold(path));
        if !killed {
            told.marked.remove(&fold(path));
        }
        let place = (server, who.user, library.to_owned(), fold(path));
        let record = self.hosts.records.entry(place).or_default();
        if killed {
            record.keys.push(key.to_owned());
            record.must = None;
        } else {
            record.keys = vec![key.to_owned()];
            record.must = listed.then_some(now);
            record.spelled.insert(path.to_owned(), key.to_owned());
        }
    }

    /// Matches end, of those that `which` picks by path in lower case and keys.
    fn end_records(
        &mut self,
        server: usize,
        who: Who,
        library: &str,
        killed: bool,
        which: impl Fn(&str, &Recorded) -> bool,
    ) {
        self.hosts.records.retain(|(at, user, of, path), record| {
            if (*at, *user, of.as_str()) != (server, who.user, library) || !which(path, record) {
                return true;
            }
            record.must = None;
            killed
        });
    }

    pub fn invalidate_path(&mut self, server: usize, who: Who, library: &str, path: &str, killed: bool) {
        let now = self.now();
        self.end_records(server, who, library, killed, |at, _| at == fold(path));
        self.told(server, who, library).marked.insert(fold(path));
        if !killed {
            self.told(server, who, library).paths.insert(fold(path), now);
        }
    }

    pub fn invalidate_item(&mut self, server: usize, who: Who, library: &str, key: &str, killed: bool) {
        let now = self.now();
        self.told(server, who, library).marked.insert(key.to_owned());
        self.end_records(server, who, library, true, |_, record| record.may_be(key));
        if !killed {
            for ((at, user, of, _), record) in &mut self.hosts.records {
                if (*at, *user, of.as_str()) == (server, who.user, library) {
                    record.keys.retain(|one| one != key);
                    record.spelled.retain(|_, one| one != key);
                }
            }
            self.told(server, who, library).keys.insert(key.to_owned(), now);
        }
    }

    /// The server said that an item is gone: it is answered no more before it was asked for. Its matches stay.
    pub fn deleted(&mut self, server: usize, who: Who, library: &str, key: &str, killed: bool) {
        let now = self.now();
        self.told(server, who, library).marked.insert(key.to_owned());
        if !killed {
            self.told(server, who, library).keys.insert(key.to_owned(), now);
        }
        for ((at, user, of, _), record) in &mut self.hosts.records {
            if (*at, *user, of.as_str()) == (server, who.user, library) && record.may_be(key) {
                record.must = None;
            }
        }
    }

    pub fn invalidate(&mut self, server: usize, who: Who, library: &str, killed: bool) {
        let now = self.now();
        self.end_records(server, who, library, killed, |_, _| true);
        if !killed {
            let told = self.told(server, who, library);
            (told.fresh, told.ended) = (now, now);
        }
    }

    pub fn clear(&mut self, server: usize, who: Who, library: &str, killed: bool) {
        self.invalidate(server, who, library, killed);
        let now = self.now();
        let told = self.told(server, who, library);
        told.cleared = now;
        if !killed {
            told.all = now;
        }
    }

    /// A library was listed anew, whatever its token said.
    pub fn listed(&mut self, server: usize, who: Who, library: &str) {
        let begun = self.begun;
        self.told(server, who, library).fresh = begun;
    }

    /// Whether this library was answered from since the last `clear`, so that there is an old answer.
    pub fn has_answered(&self, asked: &Asked<'_>) -> bool {
        asked.library.is_some_and(|library| {
            let told = self.told_of(asked, library);
            told.answered > told.cleared
        })
    }

    /// What hosts told so far.
    pub fn hosts(&self) -> Hosts {
        self.hosts.clone()
    }

    /// A store of that time has taken the place of the one of now.
    pub fn put_back(&mut self, hosts: Hosts) {
        self.hosts = hosts;
    }

    /// Those recorded longest ago may have gone, where all that may live is more than the limit. What has ended counts
    /// for nothing.
    pub fn compacted(&mut self, limit: u64) {
        let bytes = |path: &str, record: &Recorded| {
            let key = record.keys.iter().map(String::len).max().unwrap_or(0);
            (path.len() + key + 64) as u64
        };
        let living = self
            .hosts
            .records
            .iter()
            .map(|((.., path), record)| bytes(path, record));
        if living.sum::<u64>() > limit {
            self.hosts.records.values_mut().for_each(|record| record.must = None);
        }
    }

    /// The database was lost: nothing recorded has to be there.
    pub fn lose_records(&mut self) {
        self.hosts.records.values_mut().for_each(|record| record.must = None);
        for told in self.hosts.told.values_mut() {
            (told.fetched, told.answered) = (None, 0);
        }
    }

    /// The step at which a listing of this age was seen to be current, the earliest that it can be.
    fn first_at(&self, ms: i64) -> Option<usize> {
        self.times.iter().position(|at| *at == ms)
    }

    /// The first step at which a listing of this age may have been checked. The age of one that was checked before the
    /// clock was set back a little is 0, too.
    fn checked_at(&self, age: i64) -> Option<usize> {
        let at = self.now_ms() - age;
        let ahead = if age == 0 { STEP_MS } else { 1 };
        self.times.iter().position(|time| (at..at + ahead).contains(time))
    }

    /// The earliest step from which a listing may stem that answers as fresh and was compared with the server only now and
    /// then.
    fn first_of_a_day(&self) -> usize {
        let now = self.now_ms();
        let may = |at: &i64| (-STEP_MS..MAX_AGE_MS + RESUMED_MS).contains(&(now - at));
        self.times.iter().position(may).unwrap_or(self.now())
    }

    /// Where what is answered as fresh must have held, or a step after it. `silently`: it began or ended so.
    fn since(&self, age_ms: Option<i64>, silently: bool) -> Result<usize, String> {
        let now = self.now_ms();
        let Some(age) = age_ms else {
            // What a query found a while ago in a library that was never fetched.
            let may = |at: &i64| (0..TTL_MS).contains(&(now - at));
            return Ok(self.times.iter().position(may).unwrap_or(self.now()));
        };
        let Some(first) = self.first_at(now - age) else {
            return Err(format!("an age of {age} ms: the clock never showed such a time"));
        };
        Ok(match self.token {
            Some(Token::Exact) => first,
            Some(Token::Coarse) if !silently => first,
            _ => self.first_of_a_day().min(first),
        })
    }

    /// Checks an answer. `mapped`: the path as the server spells it, where the handle has a mapping.
    pub fn check(&mut self, asked: &Asked<'_>, found: &Match, mapped: Option<&str>) -> Result<(), String> {
        if let (Some(library), Some(_), false) = (asked.library, found.age_ms, asked.killed) {
            let now = self.now();
            let told = self.told(asked.server, asked.who, library);
            told.fetched.get_or_insert(now);
            told.answered = now;
        }
        if !found.stale
            && found.match_kind != MatchKind::Confirmed
            && asked.library.is_some()
            && let Some(age) = found.age_ms
            && !(0..=TTL_MS).contains(&age)
            && !is_just_found(found)
        {
            // With an exact token an age is renewed by a probe only, too.
            return Err(format!("a listing of {age} ms answers and is not marked as stale"));
        }
        if found.status == Status::Ok && found.item.is_none() || found.candidates.len() > found.total {
            return Err("status, item and count disagree".to_owned());
        }
        if matches!(found.status, Status::Ok | Status::Ambiguous) {
            for candidate in &found.candidates {
                self.justify(asked, found, candidate)?;
            }
        }
        self.confirmed_stays(asked, found)?;
        let done = self.nothing_is_missing(asked, found, mapped);
        if !asked.path.is_empty() && !asked.offline {
            let path = fold(mapped.unwrap_or(asked.path));
            for library in asked.library.map_or_else(|| TITLES.to_vec(), |library| vec![library]) {
                self.told(asked.server, asked.who, library).asked.insert(path.clone());
            }
        }
        done
    }

    /// Whether the server had such a row when it may have been asked.
    fn justify(&self, asked: &Asked<'_>, found: &Match, candidate: &Item) -> Result<(), String> {
        let (key, library) = (&candidate.rating_key, candidate.library_title.as_ref().expect("named"));
        if found.match_kind == MatchKind::Confirmed {
            return self.justify_confirmed(asked, found, candidate);
        }
        if !sees(asked.who.user, key) {
            return Err(format!("{key}: the user is not shown it"));
        }
        let path = candidate.path.as_deref().unwrap_or("".as_ref());
        let (path, title) = (path.to_string_lossy(), candidate.title.as_deref().unwrap_or_default());
        let told = self.told_of(asked, library);
        let of = |map: &BTreeMap<String, usize>, name: &str| map.get(name).copied().unwrap_or(0);
        let mut floor = (told.all)
            .max(of(&told.paths, &fold(asked.path)))
            .max(of(&told.paths, &fold(&path)));
        // A doubted item may be answered, and is then marked.
        if !found.stale {
            floor = floor.max(of(&told.keys, key));
        }
        let place = (asked.who.url, library.clone(), key.clone());
        let Some(facts) = self.facts.get(&place) else {
            return Err(format!("{key}: the server never had such an item in '{library}'"));
        };
        let mut why = format!("{key}: it never was '{path}' with the title '{title}'");
        for fact in facts {
            let same = path.is_empty() || fold(&fact.path) == fold(&path);
            if !same || fact.server != asked.server || fact.title != title {
                continue;
            }
            // While its disk is away an item exists and is not listed: asked for by its key, it is there.
            let mut least = floor;
            if !found.stale {
                least = least.max(told.fresh);
                least = least.max(if is_just_found(found) {
                    self.begun
                } else {
                    self.since(found.age_ms, fact.ended_silently)?
                });
            }
            match fact.to {
                Some(to) if to <= least => {
                    why = format!("{key}: it is '{path}' no more since step {to}; the answer must be of step {least}");
                }
                _ => return Ok(()),
            }
        }
        Err(why)
    }

    fn justify_confirmed(&self, asked: &Asked<'_>, found: &Match, candidate: &Item) -> Result<(), String> {
        let (key, library) = (&candidate.rating_key, candidate.library_title.as_ref().expect("named"));
        let path = fold(asked.path);
        let told = self.told_of(asked, library);
        let own = (self.hosts.records).get(&(asked.server, asked.who.user, library.clone(), path.clone()));
        let is_own = own.is_some_and(|record| record.may_be(key));
        if !is_own {
            if let Some(record) = own.filter(|record| record.must.is_some()) {
                return Err(format!("{key} is confirmed, and {:?} was recorded", record.keys));
            }
            // Of another token: taken over when the library was fetched first.
            let place = (asked.server, library.clone(), path.clone(), key.clone());
            let of_others = self.hosts.ever.contains(&place);
            let of = |map: &BTreeMap<String, usize>, name: &str| map.get(name).copied().unwrap_or(0);
            let ended = told.ended.max(of(&told.paths, &path)).max(of(&told.keys, key));
            let dead = told.fetched.is_some_and(|fetched| ended > fetched);
            if !of_others || dead || !sees(asked.who.user, key) {
                return Err(format!(
                    "{key} is confirmed, and was not recorded, or invalidated since"
                ));
            }
        }
        let facts = self.facts.get(&(asked.who.url, library.clone(), key.clone()));
        // Its item is in the newest listing.
        if let (Some(age), Some(facts), Some(_)) = (found.age_ms, facts, asked.library)
            && matches!(self.token, Some(Token::Exact | Token::Coarse))
            && !found.stale
            && let Some(to) = facts.last().and_then(|fact| fact.to)
            && let Some(first) = self.checked_at(age)
            && to <= first
            && facts
                .last()
                .is_some_and(|fact| fact.shown && fact.server == asked.server)
        {
            return Err(format!("{key} is confirmed, and is gone since step {to}"));
        }
        Ok(())
    }

    /// What was recorded and acknowledged is answered.
    fn confirmed_stays(&self, asked: &Asked<'_>, found: &Match) -> Result<(), String> {
        let path = fold(asked.path);
        let mut wanted = Vec::new();
        for ((server, user, library, at), record) in &self.hosts.records {
            let here = (*server, *user, at) == (asked.server, asked.who.user, &path);
            if here && asked.library.is_none_or(|one| one == library) {
                wanted.push((library, record));
            }
        }
        let [(library, record)] = wanted[..] else {
            return Ok(());
        };
        let Some(since) = record.must else {
            return Ok(());
        };
        let key = match record.spelled.get(asked.path) {
            Some(key) => key,
            None if record.spelled.len() > 1 => return Ok(()), // each spelling is a candidate
            None => &record.keys[0],
        };
        if !self.stays(asked.who, library, key, since)
            || self
                .paths(asked.who.url, None, true)
                .iter()
                .any(|one| fold(one) == path)
        {
            return Ok(());
        }
        // Marked as unverified by what hosts said of the item since, or of the path: the server has to be asked.
        let told = self.told_of(asked, library);
        let marked = told.keys.get(key).is_some_and(|at| *at > since) || told.paths.contains_key(&path);
        if marked && (asked.offline || asked.failed || asked.full) {
            return Ok(());
        }
        let own =
            found.match_kind == MatchKind::Confirmed && found.item.as_ref().is_some_and(|item| item.rating_key == *key);
        if own && found.confidence == Confidence::High {
            return Ok(());
        }
        Err(format!(
            "{key} was recorded in '{library}' at step {since}, is on the server since, and is not answered"
        ))
    }

    /// Whether an item was shown to a user all the time since a step.
    pub fn stays(&self, who: Who, library: &str, key: &str, since: usize) -> bool {
        let facts = self.facts.get(&(who.url, library.to_owned(), key.to_owned()));
        let facts = facts.filter(|_| sees(who.user, key));
        let mut from = usize::MAX;
        for fact in facts.into_iter().flatten().rev() {
            if !fact.shown || fact.to.is_some_and(|to| to != from) || (fact.to.is_none() && from != usize::MAX) {
                break;
            }
            from = fact.from;
        }
        from <= since
    }

    /// A fresh answer of 'not listed' while the path was there all the time that the listing can be of.
    fn nothing_is_missing(&self, asked: &Asked<'_>, found: &Match, mapped: Option<&str>) -> Result<(), String> {
        let Some(library) = asked.library else {
            return Ok(());
        };
        if found.stale
            || asked.failed
            || found.age_ms.is_none()
            || found.status == Status::Ok && found.confidence == Confidence::High
            || found.status == Status::Ambiguous && found.match_kind <= MatchKind::Mapped
        {
            return Ok(());
        }
        let (path, told) = (fold(mapped.unwrap_or(asked.path)), self.told_of(asked, library));
        for ((url, of, key), facts) in &self.facts {
            let Some(fact) = facts.last().filter(|fact| fact.to.is_none() && fact.shown) else {
                continue;
            };
            if *url != asked.who.url || of != library || fold(&fact.path) != path || !sees(asked.who.user, key) {
                continue;
            }
            if found.reason == Reason::Unconfirmed && self.shares_an_unconfirmed_path(asked, library, &path, found, key)
            {
                continue;
            }
            let mut since = self.since(found.age_ms, fact.began_silently)?;
            let is_told = !fact.began_silently && matches!(self.token, Some(Token::Exact | Token::Coarse));
            if is_told && !asked.offline && !asked.full && !told.asked.contains(&path) {
                since = self.begun; // a path that was never asked for is asked for
            }
            if fact.from <= since {
                return Err(format!(
                    "{key} has this path since step {}, and the listing of step {since} or later is said not to have it",
                    fact.from
                ));
            }
        }
        Ok(())
    }

    /// Whether 'unconfirmed' is an answer for this item: it was invalidated, and the server was not asked.
    fn may_be_unconfirmed(&self, asked: &Asked<'_>, library: &str, key: &str) -> bool {
        let told = self.told_of(asked, library);
        let facts = self.facts.get(&(asked.who.url, library.to_owned(), key.to_owned()));
        let mut paths = facts.into_iter().flatten().map(|fact| fold(&fact.path));
        let marked = told.marked.contains(key)
            || told.marked.contains(&fold(asked.path))
            || paths.any(|path| told.marked.contains(&path));
        marked && (asked.offline || asked.full)
    }

    /// Whether 'unconfirmed' is an answer for a path that this item has, perhaps with others: as long as one of them may be
    /// unconfirmed the path is, and all that is known to have it is shown.
    fn shares_an_unconfirmed_path(
        &self,
        asked: &Asked<'_>,
        library: &str,
        path: &str,
        found: &Match,
        key: &str,
    ) -> bool {
        let others = self.facts.iter().filter(|((url, of, other), facts)| {
            (*url, of.as_str()) == (asked.who.url, library)
                && other != key
                && facts.iter().any(|fact| fold(&fact.path) == path)
        });
        let shown = found.candidates.iter().any(|one| one.rating_key == key);
        self.may_be_unconfirmed(asked, library, key)
            || shown
                && others
                    .into_iter()
                    .any(|((.., other), _)| self.may_be_unconfirmed(asked, library, other))
    }

    /// A GUID that only this item has: it is found where it was there all along.
    pub fn check_guid(&self, asked: &Asked<'_>, found: &Match, key: &str) -> Result<(), String> {
        let Some(library) = asked.library else {
            return Ok(());
        };
        if found.stale
            || asked.failed
            || found.age_ms.is_none()
            || found.status == Status::Ok
            || found.reason == Reason::Unconfirmed && self.may_be_unconfirmed(asked, library, key)
        {
            return Ok(());
        }
        let told = self.told_of(asked, library);
        let since = self.since(found.age_ms, false)?;
        if asked.offline && (!told.keys.is_empty() || !told.paths.is_empty()) {
            return Ok(());
        }
        if self.stays(asked.who, library, key, since) {
            return Err(format!(
                "{key} is there since before step {since}, and its GUID is not found"
            ));
        }
        Ok(())
    }

    /// The items of a library, or of all of them, that are there or were.
    fn items<'m>(&'m self, url: usize, library: Option<&'m str>) -> impl Iterator<Item = (&'m String, &'m [Fact])> {
        let is_of = move |at: usize, title: &str| at == url && library.is_none_or(|one| one == title);
        let here = self.facts.iter().filter(move |((at, title, _), _)| is_of(*at, title));
        here.map(|((.., key), facts)| (key, &facts[..]))
    }

    /// The paths of a library, or of all of them: of items that are there, and of those that were.
    pub fn paths(&self, url: usize, library: Option<&str>, also_old: bool) -> Vec<String> {
        let facts = self.items(url, library).flat_map(|(_, facts)| facts);
        let facts = facts.filter(|fact| also_old || fact.to.is_none());
        let mut paths: Vec<String> = facts.map(|fact| fact.path.clone()).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// The same for keys, of what is there and what was.
    pub fn keys(&self, url: usize, library: Option<&str>) -> Vec<String> {
        self.items(url, library).map(|(key, _)| key.clone()).collect()
    }

    /// The titles of what is there.
    pub fn titles(&self, url: usize, library: Option<&str>) -> Vec<String> {
        let last = self.items(url, library).filter_map(|(_, facts)| facts.last());
        let here = last.filter(|fact| fact.to.is_none());
        here.map(|fact| fact.title.clone()).collect()
    }
}
