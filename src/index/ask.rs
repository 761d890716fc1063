//! Questions: from a path or a GUID to an answer, by way of the server where that is needed and allowed.

use std::fmt::Write;
use std::time::Instant;

use super::fetch::Why;
use super::library::Resolved;
use super::snapshot::{Snapshot, age};
use super::{Answer, COLD_MS, LEAVE_ALONE_MS, Question, Shared, Trouble};
use crate::error::{Error, Result, Status};
use crate::freshness::{Need, is_stale, need};
use crate::matching::{Found, LIMIT, Outcome, Scope, climb};
use crate::model::{Item, Reason, Rung};
use crate::stats::Spent;
use crate::store::LibraryRow;

/// What a question has already done on its way.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools)] // each is one step, taken once
pub(super) struct Tried {
    /// The change sequence when the question came: what was asked later need not be asked again.
    pub(super) since: u64,
    /// When that was, Unix ms.
    begun_ms: i64,
    /// The libraries' list was asked for.
    probed: bool,
    /// Libraries were brought up to date, as far as it went: those of this identity (0: none yet).
    refreshed: Option<i64>,
    /// The deadline came first.
    late: Option<Status>,
    /// Asking failed.
    pub(super) trouble: Option<Error>,
    /// The server was asked for the path where nothing was ever fetched.
    questioned_cold: bool,
    /// Its clocks were looked at because the path is not listed.
    looked: bool,
    /// It was asked for the path because it is not listed.
    questioned: bool,
    /// Suspects were confirmed, or not.
    confirmed: bool,
    /// Warm files were made anew.
    rebuilt: bool,
}

impl Shared {
    /// Whether this question may ask the server.
    pub(super) fn may_ask(&self, question: &Question<'_>) -> bool {
        self.source.is_some() && !question.offline
    }

    pub(super) fn match_path<R>(
        &self,
        question: &Question<'_>,
        path: &[u8],
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        self.check_path(path)?;
        let question = &self.timed(question);
        let mut tried = self.begin()?;
        loop {
            self.catch_up()?;
            let snapshot = self.snapshot.read();
            let Some(scope) = self.scope(question, &snapshot, &mut tried)? else {
                drop(snapshot);
                self.ask_for_libraries(question, &mut tried)?;
                continue;
            };
            let outcome = climb(&snapshot.views, scope, &self.mappings, path);
            if (outcome.broken || snapshot.incomplete) && !tried.rebuilt {
                tried.rebuilt = true;
                drop(snapshot);
                self.rebuild_broken()?;
                continue;
            }
            if outcome.suspect && !tried.confirmed && self.may_ask(question) {
                tried.confirmed = true;
                // What the server says of the item is news enough: whether its file became another item, the next
                // question about it asks.
                (tried.looked, tried.questioned) = (true, true);
                let doubt = outcome.found().first().map(|found| {
                    (
                        snapshot.rows[found.library].clone(),
                        found.item.rating_key.to_owned(),
                        found.path.to_vec(),
                    )
                });
                drop(snapshot);
                if let Some((row, rating_key, listed)) = doubt
                    && let Err(error) = self.confirm(question, &row, &rating_key, &listed, path)
                {
                    self.put_up_with(&mut tried, error)?;
                }
                continue;
            }
            // A confirmed match has no expiry: it needs nobody.
            let settled = (outcome.rung == Rung::Confirmed && !outcome.suspect && !outcome.is_ambiguous())
                || self.is_remembered(&snapshot, &outcome, path)?;
            if !settled
                && !tried.questioned_cold
                && let Some(identity) = self.may_question(question, &snapshot, &tried)
            {
                tried.questioned_cold = true;
                let cold = self.cold(question, &snapshot, scope, path);
                if !cold.is_empty() && self.recent_trouble(0).is_none() {
                    drop(snapshot);
                    self.ask_about(question, identity, &cold, path, true, &mut tried)?;
                    continue;
                }
            }
            if !settled && tried.refreshed != Some(snapshot.identity.unwrap_or(0)) && self.may_ask(question) {
                let wanting = self.wanting(&snapshot, scope, path);
                if !wanting.is_empty() {
                    let cold = wanting.iter().any(|row| row.generation == 0);
                    // Another server may answer: then its libraries are wanted next.
                    tried.refreshed = Some(snapshot.identity.unwrap_or(0));
                    drop(snapshot);
                    self.freshen(question, &wanting, cold, &mut tried)?;
                    continue;
                }
            }
            if !settled
                && !tried.questioned
                && let Some(identity) = self.may_question(question, &snapshot, &tried)
                && tried.late.is_none()
            {
                let lacking = self.lacking(&snapshot, scope, &outcome, path);
                if !lacking.is_empty() && self.recent_trouble(0).is_none() {
                    drop(snapshot);
                    if tried.looked {
                        tried.questioned = true;
                        self.ask_about(question, identity, &lacking, path, false, &mut tried)?;
                    } else {
                        tried.looked = true;
                        self.look(question, identity, &lacking, &mut tried)?;
                    }
                    continue;
                }
            }
            return self.conclude(&snapshot, scope, &outcome, path, tried, then);
        }
    }

    /// Nothing is tried yet, and what was committed before is seen.
    fn begin(&self) -> Result<Tried> {
        self.catch_up()?;
        Ok(Tried {
            since: self.snapshot.read().sequence(),
            begun_ms: self.now_ms(),
            ..Tried::default()
        })
    }

    /// Whose libraries the server may be asked about, beyond bringing them up to date: not when it just failed.
    fn may_question(&self, question: &Question<'_>, snapshot: &Snapshot, tried: &Tried) -> Option<i64> {
        snapshot
            .identity
            .filter(|_| self.may_ask(question) && tried.trouble.is_none())
    }

    /// What the question's library is in this snapshot; `None` when the server has to be asked first.
    fn scope(&self, question: &Question<'_>, snapshot: &Snapshot, tried: &mut Tried) -> Result<Option<Scope>> {
        let Some(library) = question.library else {
            let ask = snapshot.rows.is_empty() && !tried.probed && self.may_ask(question);
            return Ok((!ask).then_some(Scope::All));
        };
        match library.resolve(snapshot)? {
            Resolved::Scope(Scope::All) if snapshot.rows.is_empty() && !tried.probed && self.may_ask(question) => {
                Ok(None)
            }
            Resolved::Scope(scope) => Ok(Some(scope)),
            // Nothing is known to look in: the answer says why.
            Resolved::Unknown if tried.late.is_some() && snapshot.rows.is_empty() => Ok(Some(Scope::All)),
            Resolved::Unknown if tried.probed || !self.may_ask(question) => Err(match tried.trouble.take() {
                Some(error) => error,
                None if snapshot.rows.is_empty() && !self.may_ask(question) => offline(library.selector().name()),
                None => library.unknown(snapshot),
            }),
            Resolved::Unknown => Ok(None),
        }
    }

    fn ask_for_libraries(&self, question: &Question<'_>, tried: &mut Tried) -> Result<()> {
        tried.probed = true;
        match self.probe(question, tried.since) {
            Ok(()) => Ok(()),
            Err(error) if error.status == Status::TimeUp && self.until(question).is_some() => {
                tried.late = Some(Status::NeedsWarm);
                Ok(())
            }
            Err(error) if question.library.is_none() && error.status != Status::Aborted => {
                tried.trouble = Some(error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Libraries that this question needs and that are not fresh.
    fn wanting(&self, snapshot: &Snapshot, scope: Scope, path: &[u8]) -> Vec<LibraryRow> {
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

    /// Brings libraries up to date for a question. A server that just failed is left alone while old answers do.
    fn freshen(&self, question: &Question<'_>, wanting: &[LibraryRow], cold: bool, tried: &mut Tried) -> Result<()> {
        // A server that just failed is left alone: for a while where an old answer stands in, for a moment where not.
        if let Some(error) = self.recent_trouble(if cold { LEAVE_ALONE_MS - COLD_MS } else { 0 })
            && (!cold || matches!(error.status, Status::Connect | Status::TimeUp | Status::Starting))
        {
            tried.trouble = Some(error);
            return Ok(());
        }
        match self.bring_up_to_date(question, wanting, tried.since, Why::Due) {
            Ok(Status::Ok) => Ok(()),
            Ok(late) => {
                if late == Status::NeedsWarm && !cold {
                    self.note_trouble(&Error::new(
                        Status::TimeUp,
                        "the server did not answer within the deadline",
                    ));
                }
                tried.late = Some(late);
                Ok(())
            }
            Err(error) => self.put_up_with(tried, error),
        }
    }

    /// Keeps an error for the answer, unless it ends the call.
    pub(super) fn put_up_with(&self, tried: &mut Tried, error: Error) -> Result<()> {
        if error.status == Status::Aborted || (error.status as i32) < 300 {
            return Err(error);
        }
        self.note_trouble(&error);
        tried.trouble = Some(error);
        Ok(())
    }

    /// Remembers that the server failed; logs it once.
    pub(super) fn note_trouble(&self, error: &Error) {
        self.counters.failed();
        let mut trouble = super::lock(&self.trouble);
        if trouble.as_ref().is_none_or(|known| known.error != *error) {
            log::warn!("the server cannot be asked, old answers stand in: {error}");
        }
        *trouble = Some(Trouble {
            error: error.clone(),
            until_ms: self.now_ms() + LEAVE_ALONE_MS,
        });
    }

    /// The server answered: whatever was wrong is over.
    pub(super) fn forget_trouble(&self) {
        if super::lock(&self.trouble).take().is_some() {
            log::info!("the server answers again");
        }
    }

    /// The server's last failure, unless it is so old that less than `left_ms` of its time is left.
    fn recent_trouble(&self, left_ms: i64) -> Option<Error> {
        let now = self.now_ms() + left_ms;
        super::lock(&self.trouble)
            .as_ref()
            .filter(|trouble| now < trouble.until_ms)
            .map(|trouble| trouble.error.clone())
    }

    fn conclude<R>(
        &self,
        snapshot: &Snapshot,
        scope: Scope,
        outcome: &Outcome<'_>,
        path: &[u8],
        tried: Tried,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let rows = snapshot.asked(scope);
        let unfetched = rows.iter().all(|row| row.generation == 0);
        let status = if outcome.broken {
            return Err(Error::new(
                Status::Store,
                "a warm file is damaged and could not be made anew: see the log, and free some disk space",
            ));
        } else if outcome.suspect {
            Status::NotFound
        } else if outcome.is_ambiguous() {
            Status::Ambiguous
        } else if outcome.single().is_some() {
            Status::Ok
        } else if let Some(late) = tried.late {
            late
        } else {
            Status::NotFound
        };
        if unfetched && status != Status::Ok {
            if let Some(error) = tried.trouble {
                return Err(error);
            }
            if !rows.is_empty() && tried.late.is_none() && self.source.is_none() && status == Status::NotFound {
                log::debug!("nothing was fetched, and nobody may be asked");
            }
        }
        let mut answer = Answer::of(outcome, &snapshot.rows, status);
        let message;
        if outcome.suspect {
            answer.reason = Reason::Unconfirmed;
        }
        if status != Status::Ok || answer.reason != Reason::None {
            message = self.explain(&answer, rows, path, tried.trouble.as_ref());
            answer.message = &message;
        }
        log::debug!(
            "'{}': {}, rung {}",
            self.shown(path),
            status.name(),
            outcome.rung.name()
        );
        if matches!(outcome.rung, Rung::Suffix | Rung::FileName)
            && status == Status::Ok
            && outcome.reason != Reason::Contradicted
            && let Some(found) = outcome.single()
        {
            self.evidence.saw(path, found.path);
        }
        let now = self.now_ms();
        let fetched = || rows.iter().filter(|row| row.generation > 0);
        answer.age_ms = fetched().map(|row| now - row.checked_ms).max();
        let stale = |row: &LibraryRow| {
            // 'At once' asks for each question; this one did.
            let seen = tried.refreshed.is_some() && row.checked_ms >= tried.begun_ms;
            is_stale(&age(row), &self.policy, now) && (!seen || row.doubted || row.due)
        };
        // What a question found a while ago for a library that was never fetched has an age too.
        let old = outcome
            .single()
            .is_some_and(|found| snapshot.rows[found.library].generation == 0)
            && !self.is_remembered(snapshot, outcome, path)?;
        answer.stale = outcome.rung != Rung::Confirmed && (old || fetched().any(stale));
        self.hand_over(&answer, then)
    }

    /// Gives an answer to the host; it counts when the host took it.
    fn hand_over<R>(&self, answer: &Answer<'_>, then: impl FnOnce(&Answer<'_>) -> Result<R>) -> Result<R> {
        let taken = then(answer)?;
        let rung = if answer.status == Status::Ok {
            answer.rung
        } else {
            Rung::None
        };
        self.counters.answered(rung, answer.stale);
        Ok(taken)
    }

    pub(super) fn match_guid<R>(
        &self,
        question: &Question<'_>,
        guid: &str,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        if guid.is_empty() {
            return Err(Error::new(
                Status::InvalidArgument,
                "the GUID is empty: give one such as 'imdb://tt1254207'",
            ));
        }
        self.find_items(question, &format!("the GUID '{guid}'"), None, then, |row| {
            self.store.items_with_guid(row.id, guid, LIMIT)
        })
    }

    pub(super) fn search_title<R>(
        &self,
        question: &Question<'_>,
        title: &str,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        if title.trim().is_empty() {
            return Err(Error::new(Status::InvalidArgument, "the title is empty: give one"));
        }
        self.find_items(question, &format!("the title '{title}'"), Some(title), then, |row| {
            self.store.items_with_title(row.id, title, LIMIT)
        })
    }

    /// For each library whether it answers: it was fetched, or asked for this title a while ago.
    fn answering(&self, snapshot: &Snapshot, rows: &[LibraryRow], title: Option<&str>) -> Result<Vec<bool>> {
        rows.iter()
            .map(|row| match (title, snapshot.identity) {
                _ if row.generation > 0 => Ok(true),
                (Some(title), Some(identity)) => self.knows_title(identity, row, title),
                _ => Ok(false),
            })
            .collect()
    }

    /// Items by what the store has an index of, in all libraries asked, brought up to date first. For a title a hurried
    /// caller asks libraries that were never fetched for it, as for a path.
    fn find_items<R>(
        &self,
        question: &Question<'_>,
        what: &str,
        title: Option<&str>,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
        find: impl Fn(&LibraryRow) -> Result<(Vec<Item>, usize)>,
    ) -> Result<R> {
        let question = &self.timed(question);
        let mut tried = self.begin()?;
        loop {
            self.catch_up()?;
            let snapshot = self.snapshot.read();
            let Some(scope) = self.scope(question, &snapshot, &mut tried)? else {
                drop(snapshot);
                self.ask_for_libraries(question, &mut tried)?;
                continue;
            };
            let now = self.now_ms();
            let rows = snapshot.asked(scope).to_vec();
            let answering = self.answering(&snapshot, &rows, title)?;
            let settled = rows
                .iter()
                .zip(&answering)
                .any(|(row, answers)| *answers && row.generation == 0);
            if let Some(title) = title
                && let Some(identity) = self.may_question(question, &snapshot, &tried)
                && !settled
                && !tried.questioned_cold
                && self.until(question).is_some()
            {
                tried.questioned_cold = true;
                let cold: Vec<LibraryRow> = rows.iter().filter(|row| row.generation == 0).cloned().collect();
                if !cold.is_empty() && self.recent_trouble(0).is_none() {
                    drop(snapshot);
                    self.ask_for_title(question, identity, &cold, title, &mut tried)?;
                    continue;
                }
            }
            if !settled && tried.refreshed != Some(snapshot.identity.unwrap_or(0)) && self.may_ask(question) {
                let wanting: Vec<LibraryRow> = rows
                    .iter()
                    .filter(|row| need(&age(row), &self.policy, now) != Need::Nothing)
                    .cloned()
                    .collect();
                if !wanting.is_empty() {
                    tried.refreshed = Some(snapshot.identity.unwrap_or(0));
                    drop(snapshot);
                    let cold = wanting.iter().any(|row| row.generation == 0);
                    self.freshen(question, &wanting, cold, &mut tried)?;
                    continue;
                }
            }
            drop(snapshot);
            if rows.iter().all(|row| row.generation == 0)
                && let Some(error) = tried.trouble
            {
                return Err(error);
            }
            let mut items: Vec<(usize, Item)> = Vec::new();
            let mut total = 0;
            for (at, row) in rows.iter().enumerate().filter(|(at, _)| answering[*at]) {
                let reading = Instant::now();
                let (found, count) = find(row)?;
                self.counters.spent(Spent::Store, reading.elapsed());
                self.counters.spent(Spent::Away, reading.elapsed());
                total += count;
                items.extend(found.into_iter().map(|item| (at, item)));
            }
            items.truncate(LIMIT);
            let found: Vec<Found<'_>> = items
                .iter()
                .map(|(at, item)| Found {
                    library: *at,
                    ..Found::of(item)
                })
                .collect();
            let mut answer = Answer::of_items(&found, total, &rows);
            answer.age_ms = rows
                .iter()
                .filter(|row| row.generation > 0)
                .map(|row| now - row.checked_ms)
                .max();
            answer.stale = rows
                .iter()
                .any(|row| row.generation > 0 && is_stale(&age(row), &self.policy, now));
            let message;
            if answer.status == Status::NotFound {
                if let Some(late) = tried.late {
                    answer.status = late;
                }
                message = format!("no item of the libraries asked has {what}");
                answer.message = &message;
            } else if answer.status == Status::Ambiguous {
                message = format!("{total} items have {what}");
                answer.message = &message;
            }
            return self.hand_over(&answer, then);
        }
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
                    .evidence
                    .proposal(&|folder| self.shown(folder).into_owned())
                    .unwrap_or_else(|| "a mapping may be missing".into());
                format!(
                    "no library has a folder above '{path}'; their folders are '{}': {mapping}",
                    folders.join("', '")
                )
            }
        };
        if let Some(error) = trouble {
            let _ = write!(text, " (and the server could not be asked: {error})");
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
                "Plex lists '{listed}', but '{path}' tells of another year, number or edition: most likely it is another \
                 file"
            ),
            Reason::NotListed => format!(
                "'{path}' lies in a folder of Plex's, but is not listed (yet): '{listed}' has only its end in common with it"
            ),
            _ => format!(
                "Plex lists '{listed}', which has only its end in common with '{path}': verify that it is the same file"
            ),
        }
    }
}
