//! Questions by GUID and by title: answered from what the store has an index of.

use std::time::Instant;

use super::answer::Answer;
use super::room::Queries;
use crate::error::{Error, Result, Status};
use crate::freshness::{Need, is_stale, need};
use crate::matching::{Found, LIMIT};
use crate::model::{Confidence, Item, Reason};
use crate::reading::{Snapshot, age};
use crate::stats::Spent;
use crate::store::{LibraryRow, Patience};
use crate::sync::{Call, Unverified};

impl Queries {
    pub fn match_guid<R>(&self, call: &Call<'_>, guid: &str, then: impl FnOnce(&Answer<'_>) -> Result<R>) -> Result<R> {
        if guid.is_empty() {
            return Err(Error::new(
                Status::InvalidArgument,
                "the GUID is empty: give one such as 'imdb://tt1254207'",
            ));
        }
        self.find_items(call, &format!("the GUID '{guid}'"), None, then, |row| {
            self.store.items_with_guid(row.id, guid, LIMIT)
        })
    }

    pub fn search_title<R>(
        &self,
        call: &Call<'_>,
        title: &str,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        if title.trim().is_empty() {
            return Err(Error::new(Status::InvalidArgument, "the title is empty: give one"));
        }
        self.find_items(call, &format!("the title '{title}'"), Some(title), then, |row| {
            self.store.items_with_title(row.id, title, LIMIT)
        })
    }

    /// Which of these items were invalidated, or one of their files, and not confirmed since.
    fn unverified(&self, rows: &[LibraryRow], items: &[(usize, Item)]) -> Vec<Unverified> {
        let snapshot = self.reading.snapshot();
        let mut unverified = Vec::new();
        for (at, item) in items {
            let row = &rows[*at];
            // Another snapshot may have come since the rows were read.
            let Some(place) = snapshot.rows.iter().position(|one| one.id == row.id) else {
                continue;
            };
            let key = item.rating_key.as_str();
            let is_suspect = |path: &[u8]| snapshot.is_suspect(place, path, path, key);
            if is_suspect(b"") || item.parts.iter().any(|part| is_suspect(part.as_bytes())) {
                unverified.push(Unverified {
                    row: row.clone(),
                    rating_key: key.to_owned(),
                    paths: item.parts.iter().map(|part| part.as_bytes().to_vec()).collect(),
                });
            }
        }
        unverified
    }

    /// What the store finds in the libraries that answer, each with the place of its library: so many as an answer holds, and
    /// the count of all.
    fn read_items(
        &self,
        rows: &[LibraryRow],
        answering: &[bool],
        find: impl Fn(&LibraryRow) -> Result<(Vec<Item>, usize)>,
    ) -> Result<(Vec<(usize, Item)>, usize)> {
        let mut items = Vec::new();
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
        Ok((items, total))
    }

    /// For each library whether it answers: it was fetched, or asked for this title a while ago.
    fn answering(&self, snapshot: &Snapshot, rows: &[LibraryRow], title: Option<&str>) -> Result<Vec<bool>> {
        rows.iter()
            .map(|row| match (title, snapshot.identity) {
                _ if row.generation.is_fetched() => Ok(true),
                (Some(title), Some(identity)) => self.sync.remembers_title(identity, row, title),
                _ => Ok(false),
            })
            .collect()
    }

    /// Items by what the store has an index of, in all libraries asked, brought up to date first. For a title a hurried
    /// caller asks libraries that were never fetched for it, as for a path.
    fn find_items<R>(
        &self,
        call: &Call<'_>,
        what: &str,
        title: Option<&str>,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
        find: impl Fn(&LibraryRow) -> Result<(Vec<Item>, usize)>,
    ) -> Result<R> {
        let _held = Patience::now().until(call.until).hold();
        let mut state = self.begin()?;
        loop {
            self.reading.catch_up()?;
            let snapshot = self.reading.snapshot();
            let Some(scope) = self.scope(call, &snapshot, &mut state)? else {
                drop(snapshot);
                self.ask_for_libraries(call, &mut state)?;
                continue;
            };
            let now = self.clock.now_ms();
            let rows = snapshot.asked(scope).to_vec();
            let answering = self.answering(&snapshot, &rows, title)?;
            let settled = rows
                .iter()
                .zip(&answering)
                .any(|(row, answers)| *answers && !row.generation.is_fetched());
            if let Some(title) = title
                && let Some(identity) = self.may_question(call, &snapshot, &state)
                && !settled
                && !state.questioned_cold
                && call.until.is_some()
            {
                state.questioned_cold = true;
                let cold: Vec<LibraryRow> = rows
                    .iter()
                    .filter(|row| !row.generation.is_fetched())
                    .cloned()
                    .collect();
                if !cold.is_empty() && self.sync.back_off().last(0).is_none() {
                    drop(snapshot);
                    let failure = self.sync.find_title(call, identity, &cold, title)?;
                    self.note_failure(&mut state, failure)?;
                    continue;
                }
            }
            if !settled && state.refreshed != Some(snapshot.identity.unwrap_or_default()) && self.sync.may_ask(call) {
                let stale: Vec<LibraryRow> = rows
                    .iter()
                    .filter(|row| need(&age(row), &self.policy, now) != Need::Nothing)
                    .cloned()
                    .collect();
                if !stale.is_empty() {
                    state.refreshed = Some(snapshot.identity.unwrap_or_default());
                    drop(snapshot);
                    let cold = stale.iter().any(|row| !row.generation.is_fetched());
                    self.freshen(call, &stale, cold, &mut state)?;
                    continue;
                }
            }
            drop(snapshot);
            if rows.iter().all(|row| !row.generation.is_fetched())
                && let Some(error) = state.failure
            {
                return Err(error);
            }
            let (items, total) = self.read_items(&rows, &answering, &find)?;
            let unverified = self.unverified(&rows, &items);
            if !unverified.is_empty() && !state.confirmed && self.sync.may_ask(call) && state.failure.is_none() {
                state.confirmed = true;
                if let Err(error) = self.sync.verify(call, &unverified) {
                    self.back_off_after(&mut state, error)?;
                }
                continue;
            }
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
                .filter(|row| row.generation.is_fetched())
                .map(|row| now - row.checked_ms)
                .max();
            answer.stale = rows
                .iter()
                .any(|row| row.generation.is_fetched() && is_stale(&age(row), &self.policy, now));
            let message;
            if !unverified.is_empty() {
                (answer.status, answer.confidence) = (Status::NotFound, Confidence::Low);
                answer.reason = Reason::Unconfirmed;
                message = format!("an item with {what} was invalidated, and the server has not confirmed it since");
                answer.message = &message;
            } else if answer.status == Status::NotFound {
                if let Some(late) = state.late {
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
