//! Questions: from a path or a GUID to an answer, by way of the server where that is needed and allowed.

use std::fmt::Write;
use std::time::Duration;

use super::fetch::{Doubt, Why};
use super::library::Resolved;
use super::snapshot::{Snapshot, age};
use super::{Answer, BACK_OFF_MS, BACK_OFF_NOT_FETCHED_MS, BackOff, QueryOptions, Shared};
use crate::error::{Error, Result, Status};
use crate::freshness::{Need, is_stale, need};
use crate::matching::{Outcome, Scope, climb};
use crate::model::{Reason, Rung};
use crate::store::{LibraryRow, Patience};

/// How long a query that has an old answer waits for other writers.
pub(super) const SHORTLY: Duration = Duration::from_secs(1);

/// How often a query makes images anew that are lost again before it is answered.
const REBUILDS: u32 = 3;

/// What a query has already done on its way.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools)] // each is one step, taken once
pub(super) struct QueryState {
    /// The change sequence when the query came: what was asked later need not be asked again.
    pub(super) since: u64,
    /// When that was, Unix ms.
    begun_ms: i64,
    /// The libraries' list was asked for.
    probed: bool,
    /// Libraries were brought up to date, as far as it went: those of this identity (0: none yet).
    pub(super) refreshed: Option<i64>,
    /// The deadline came first.
    pub(super) late: Option<Status>,
    /// Asking failed.
    pub(super) failure: Option<Error>,
    /// The server was asked for the path where nothing was ever fetched.
    pub(super) questioned_cold: bool,
    /// Its clocks were looked at because the path is not listed.
    looked: bool,
    /// It was asked for the path because it is not listed.
    questioned: bool,
    /// Unverified paths and items were confirmed, or not.
    pub(super) confirmed: bool,
    /// How often images were made anew.
    rebuilt: u32,
}

impl Shared {
    /// Whether this query may ask the server.
    pub(super) fn may_ask(&self, query: &QueryOptions<'_>) -> bool {
        self.source.is_some() && !query.offline
    }

    pub(super) fn match_path<R>(
        &self,
        query: &QueryOptions<'_>,
        path: &[u8],
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        self.check_path(path)?;
        let query = &self.timed(query);
        let _held = Patience::now().until(self.until(query)).hold();
        let mut state = self.begin()?;
        loop {
            self.catch_up()?;
            let snapshot = self.snapshot.read();
            let Some(scope) = self.scope(query, &snapshot, &mut state)? else {
                drop(snapshot);
                self.ask_for_libraries(query, &mut state)?;
                continue;
            };
            let outcome = climb(&snapshot.views, scope, &self.mappings, path);
            let lost = outcome.broken || snapshot.incomplete;
            if lost && state.rebuilt == REBUILDS {
                return Err(Error::new(
                    Status::Store,
                    "an image is missing or damaged, and as often as it is made anew: see the log, and look for who \
                     removes or overwrites files in cache_dir",
                ));
            }
            if lost || state.rebuilt == 0 && self.in_memory.is_due(self.now_ms()) {
                state.rebuilt += 1;
                drop(snapshot);
                self.rebuild_broken()?;
                continue;
            }
            if outcome.unverified && !state.confirmed && self.may_ask(query) {
                state.confirmed = true;
                // What the server says of the item is news enough: whether its file became another item, the next
                // query about it asks.
                (state.looked, state.questioned) = (true, true);
                let doubts: Vec<Doubt> = outcome
                    .found()
                    .iter()
                    .filter(|found| snapshot.is_suspect(found.library, path, found.path, found.item.rating_key))
                    .map(|found| Doubt {
                        row: snapshot.rows[found.library].clone(),
                        rating_key: found.item.rating_key.to_owned(),
                        paths: vec![path.to_vec(), found.path.to_vec()],
                    })
                    .collect();
                drop(snapshot);
                if let Err(error) = self.confirm(query, &doubts) {
                    self.back_off_after(&mut state, error)?;
                }
                continue;
            }
            // A confirmed match has no expiry: it needs nobody.
            let settled = (outcome.rung == Rung::Confirmed && !outcome.unverified && !outcome.is_ambiguous())
                || self.is_remembered(&snapshot, &outcome, path)?;
            if !settled
                && !state.questioned_cold
                && let Some(identity) = self.may_question(query, &snapshot, &state)
            {
                state.questioned_cold = true;
                let cold = self.cold(query, &snapshot, scope, path);
                if !cold.is_empty() && self.backing_off(0).is_none() {
                    drop(snapshot);
                    self.ask_about(query, identity, &cold, path, true, &mut state)?;
                    continue;
                }
            }
            if !settled && state.refreshed != Some(snapshot.identity.unwrap_or(0)) && self.may_ask(query) {
                let stale = self.stale(&snapshot, scope, path);
                if !stale.is_empty() {
                    let cold = stale.iter().any(|row| row.generation == 0);
                    // Another server may answer: then its libraries are wanted next.
                    state.refreshed = Some(snapshot.identity.unwrap_or(0));
                    drop(snapshot);
                    self.freshen(query, &stale, cold, &mut state)?;
                    continue;
                }
            }
            if !settled
                && !state.questioned
                && let Some(identity) = self.may_question(query, &snapshot, &state)
                && state.late.is_none()
            {
                let owners_without_it = self.owners_without_it(&snapshot, scope, &outcome, path);
                if !owners_without_it.is_empty() && self.backing_off(0).is_none() {
                    drop(snapshot);
                    if state.looked {
                        state.questioned = true;
                        self.ask_about(query, identity, &owners_without_it, path, false, &mut state)?;
                    } else {
                        state.looked = true;
                        self.look(query, identity, &owners_without_it, &mut state)?;
                    }
                    continue;
                }
            }
            return self.conclude(&snapshot, scope, &outcome, path, state, then);
        }
    }

    /// Nothing is tried yet, and what was committed before is seen.
    pub(super) fn begin(&self) -> Result<QueryState> {
        self.catch_up()?;
        Ok(QueryState {
            since: self.snapshot.read().sequence(),
            begun_ms: self.now_ms(),
            ..QueryState::default()
        })
    }

    /// Whose libraries the server may be asked about, beyond bringing them up to date: not when it just failed.
    pub(super) fn may_question(
        &self,
        query: &QueryOptions<'_>,
        snapshot: &Snapshot,
        state: &QueryState,
    ) -> Option<i64> {
        snapshot
            .identity
            .filter(|_| self.may_ask(query) && state.failure.is_none())
    }

    /// What the query's library is in this snapshot; `None` when the server has to be asked first.
    pub(super) fn scope(
        &self,
        query: &QueryOptions<'_>,
        snapshot: &Snapshot,
        state: &mut QueryState,
    ) -> Result<Option<Scope>> {
        let Some(library) = query.library else {
            let ask = snapshot.rows.is_empty() && !state.probed && self.may_ask(query);
            return Ok((!ask).then_some(Scope::All));
        };
        match library.resolve(snapshot)? {
            Resolved::Scope(Scope::All) if snapshot.rows.is_empty() && !state.probed && self.may_ask(query) => Ok(None),
            Resolved::Scope(scope) => Ok(Some(scope)),
            // Nothing is known to look in: the answer says why.
            Resolved::Unknown if state.late.is_some() && snapshot.rows.is_empty() => Ok(Some(Scope::All)),
            Resolved::Unknown if state.probed || !self.may_ask(query) => Err(match state.failure.take() {
                Some(error) => error,
                None if snapshot.rows.is_empty() && !self.may_ask(query) => offline(library.selector().name()),
                None => library.unknown(snapshot),
            }),
            Resolved::Unknown => Ok(None),
        }
    }

    pub(super) fn ask_for_libraries(&self, query: &QueryOptions<'_>, state: &mut QueryState) -> Result<()> {
        state.probed = true;
        match self.probe(query, state.since) {
            Ok(()) => Ok(()),
            Err(error) if error.status == Status::Timeout && self.until(query).is_some() => {
                state.late = Some(Status::NeedsWarm);
                Ok(())
            }
            Err(error) if query.library.is_none() && error.status != Status::Aborted => {
                state.failure = Some(error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Libraries that this query needs and that are not fresh.
    fn stale(&self, snapshot: &Snapshot, scope: Scope, path: &[u8]) -> Vec<LibraryRow> {
        let now = self.now_ms();
        let fresh = |row: &LibraryRow| need(&age(row), &self.policy, now) == Need::Nothing;
        // What most calls are; allocates nothing.
        if snapshot.asked(scope).iter().all(fresh) {
            return Vec::new();
        }
        let asked: Vec<usize> = match scope {
            Scope::One(place) => vec![place],
            // Those that can own the path, and those that were fetched before: a library that cannot own it is not
            // fetched for it.
            Scope::All => snapshot
                .owners(path, &self.mappings)
                .into_iter()
                .enumerate()
                .filter(|(place, owns)| *owns || snapshot.rows[*place].generation > 0)
                .map(|(place, _)| place)
                .collect(),
        };
        asked
            .into_iter()
            .filter_map(|place| snapshot.rows.get(place))
            .filter(|row| !fresh(row))
            .cloned()
            .collect()
    }

    /// Brings libraries up to date for a query. A server that just failed is left alone while old answers do.
    pub(super) fn freshen(
        &self,
        query: &QueryOptions<'_>,
        stale: &[LibraryRow],
        cold: bool,
        state: &mut QueryState,
    ) -> Result<()> {
        // A server that just failed is left alone: for a while where an old answer stands in, for a moment where not.
        if let Some(error) = self.backing_off(if cold { BACK_OFF_MS - BACK_OFF_NOT_FETCHED_MS } else { 0 })
            && (!cold || matches!(error.status, Status::Connect | Status::Timeout | Status::Starting))
        {
            state.failure = Some(error);
            return Ok(());
        }
        // Who has an old answer does not wait for long until a new one can be stored.
        let _held = (!cold).then(|| Patience::now().at_most(SHORTLY).hold());
        match self.bring_up_to_date(query, stale, state.since, Why::Due) {
            Ok(Status::Ok) => Ok(()),
            Ok(late) => {
                if late == Status::NeedsWarm && !cold {
                    self.back_off(&Error::new(
                        Status::Timeout,
                        "the server did not answer within the deadline",
                    ));
                }
                state.late = Some(late);
                Ok(())
            }
            Err(error) => self.back_off_after(state, error),
        }
    }

    /// Keeps an error for the answer, unless it ends the call. What cannot be stored is no reason to keep back what is.
    pub(super) fn back_off_after(&self, state: &mut QueryState, error: Error) -> Result<()> {
        if error.status == Status::Aborted || (error.status as i32) < Status::Store as i32 {
            return Err(error);
        }
        self.back_off(&error);
        state.failure = Some(error);
        Ok(())
    }

    /// Remembers that the server failed, or the store; logs it once.
    pub(super) fn back_off(&self, error: &Error) {
        self.counters.failed();
        let mut trouble = super::lock(&self.trouble);
        if trouble.as_ref().is_none_or(|known| known.error != *error) {
            log::warn!("{}, old answers stand in: {error}", cannot(error));
        }
        *trouble = Some(BackOff {
            error: error.clone(),
            at_ms: self.now_ms(),
        });
    }

    /// The server answered: whatever was wrong is over.
    pub(super) fn end_back_off(&self) {
        if super::lock(&self.trouble).take().is_some() {
            log::info!("answers are new again");
        }
    }

    /// The server's last failure, unless it is so old that less than `left_ms` of its time is left.
    pub(super) fn backing_off(&self, left_ms: i64) -> Option<Error> {
        // A clock that was set back does not make it last longer.
        let lasts = 0..BACK_OFF_MS - left_ms;
        let now = self.now_ms();
        super::lock(&self.trouble)
            .as_ref()
            .filter(|trouble| lasts.contains(&now.saturating_sub(trouble.at_ms)))
            .map(|trouble| trouble.error.clone())
    }

    fn conclude<R>(
        &self,
        snapshot: &Snapshot,
        scope: Scope,
        outcome: &Outcome<'_>,
        path: &[u8],
        state: QueryState,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let rows = snapshot.asked(scope);
        let unfetched = rows.iter().all(|row| row.generation == 0);
        let status = if outcome.unverified {
            Status::NotFound
        } else if outcome.is_ambiguous() {
            Status::Ambiguous
        } else if outcome.single().is_some() {
            Status::Ok
        } else if let Some(late) = state.late {
            late
        } else {
            Status::NotFound
        };
        if unfetched && status != Status::Ok {
            if let Some(error) = state.failure {
                return Err(error);
            }
            if !rows.is_empty() && state.late.is_none() && self.source.is_none() && status == Status::NotFound {
                log::debug!("nothing was fetched, and nobody may be asked");
            }
        }
        let mut answer = Answer::of(outcome, &snapshot.rows, status);
        let message;
        if outcome.unverified {
            answer.reason = Reason::Unconfirmed;
        }
        if status != Status::Ok || answer.reason != Reason::None {
            message = self.explain(&answer, rows, path, state.failure.as_ref());
            answer.message = &message;
        }
        log::debug!(
            "'{}': {}, rung {}",
            self.shown(path),
            status.name(),
            outcome.rung.name()
        );
        // A name alone names no folders, and a path in a folder of Plex's lacks no mapping.
        if outcome.rung == Rung::Suffix
            && status == Status::Ok
            && !matches!(outcome.reason, Reason::Contradicted | Reason::NotListed)
            && let Some(found) = outcome.single()
        {
            self.samples.saw(path, found.path);
        }
        let now = self.now_ms();
        let fetched = || rows.iter().filter(|row| row.generation > 0);
        answer.age_ms = fetched().map(|row| now - row.checked_ms).max();
        let stale = |row: &LibraryRow| {
            // 'At once' asks for each query; this one did.
            let seen = state.refreshed.is_some() && row.checked_ms >= state.begun_ms;
            is_stale(&age(row), &self.policy, now) && (!seen || row.held_back || row.due)
        };
        // What a query found a while ago for a library that was never fetched has an age too.
        let old = outcome
            .single()
            .is_some_and(|found| snapshot.rows[found.library].generation == 0)
            && !self.is_remembered(snapshot, outcome, path)?;
        answer.stale = outcome.rung != Rung::Confirmed && (old || fetched().any(stale));
        self.hand_over(&answer, then)
    }

    /// Gives an answer to the host; it counts when the host took it.
    pub(super) fn hand_over<R>(&self, answer: &Answer<'_>, then: impl FnOnce(&Answer<'_>) -> Result<R>) -> Result<R> {
        let taken = then(answer)?;
        let rung = if answer.status == Status::Ok {
            answer.rung
        } else {
            Rung::None
        };
        self.counters.answered(rung, answer.stale);
        Ok(taken)
    }
}

/// What this error keeps from happening.
fn cannot(error: &Error) -> &'static str {
    match error.status {
        Status::Store | Status::StoreFull => "nothing new can be stored",
        _ => "the server could not be asked",
    }
}

fn offline(library: &str) -> Error {
    Error::new(
        Status::Offline,
        format!(
            "library '{library}' is not in the store, and the index may ask nobody: give server_url and token, or drop \
             the offline flag"
        ),
    )
}

impl Shared {
    /// Why there is no single item, or what speaks for one that was found by the end of its path, in a sentence.
    fn explain(&self, answer: &Answer<'_>, rows: &[LibraryRow], path: &[u8], trouble: Option<&Error>) -> String {
        let path = self.shown(path);
        if answer.status == Status::Ok {
            return self.evident(answer, &path);
        }
        let titles = || {
            let titles: Vec<&str> = rows.iter().map(|row| row.library.title.as_str()).collect();
            titles.join("', '")
        };
        let mut text = match (answer.status, answer.reason) {
            (Status::NotYet | Status::NeedsWarm, _) if rows.is_empty() => {
                "the deadline came before the server was asked for its libraries: allow a later one".to_owned()
            }
            (Status::NotYet, _) => format!(
                "the deadline came before '{}' was fetched; ask again, it goes on",
                titles()
            ),
            (Status::NeedsWarm, _) => format!(
                "the server cannot answer for '{}' within such a deadline: fetch it once without one \
             (refresh)",
                titles()
            ),
            (_, Reason::SeveralItems) => format!("{} items fit '{path}' equally well", answer.total),
            (_, Reason::SeveralLibraries) => format!("several libraries list '{path}': name one"),
            (_, Reason::Unconfirmed) => {
                format!("'{path}' was invalidated, and the server has not confirmed it since")
            }
            (_, Reason::NotFetched) if rows.len() > 1 => format!("libraries '{}' were never fetched", titles()),
            (_, Reason::NotFetched) => format!("library '{}' was never fetched", titles()),
            (_, Reason::NotListed) => format!("'{path}' lies in a folder of Plex's, but is not listed (yet)"),
            _ if rows.is_empty() => {
                format!("no library is known, so '{path}' lies in none: a server has to be asked first")
            }
            _ => {
                let folders: Vec<_> = rows
                    .iter()
                    .flat_map(|row| row.library.locations.iter())
                    .map(|folder| self.shown(folder.as_bytes()))
                    .take(6)
                    .collect();
                let mapping = self
                    .samples
                    .proposal(&|folder| self.shown(folder).into_owned())
                    .unwrap_or_else(|| "a mapping may be missing".into());
                format!(
                    "no library has a folder above '{path}'; their folders are '{}': {mapping}",
                    folders.join("', '")
                )
            }
        };
        if let Some(error) = trouble {
            let _ = write!(text, " (and {}: {error})", cannot(error));
        }
        text
    }

    /// What speaks for a single item, or against it.
    fn evident(&self, answer: &Answer<'_>, path: &str) -> String {
        let listed = answer.item().map(|found| self.shown(found.path)).unwrap_or_default();
        match answer.reason {
            Reason::OnlyRootDiffers => {
                format!("Plex lists '{listed}': only the root of '{path}' differs, a mapping is missing")
            }
            Reason::PathTells => format!("Plex lists '{listed}', and '{path}' tells the same item"),
            Reason::Contradicted => format!(
                "Plex lists '{listed}', but '{path}' tells of another year, number or edition, or lies among extras: most \
                 likely it is another file"
            ),
            Reason::NotListed => format!(
                "'{path}' lies in a folder of Plex's, but is not listed (yet): '{listed}' has only its end in common with it"
            ),
            _ => format!(
                "Plex lists '{listed}', which has only its end in common with '{path}': verify that it is the same file, \
                 or give the mapping that is missing"
            ),
        }
    }
}
