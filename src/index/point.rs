//! Point questions: the server is asked about one path.
//!
//! Where a library was never fetched and the caller has little time, one request may give the first answer. Where a path
//! lies in a folder of a library and is not listed, it may be new: one look at the clocks tells whether something moved,
//! and one query whether the server has it all the same. Only what comes back and is exactly this file counts; what
//! does not come back proves nothing. The store remembers what was asked, so that processes do not ask in turn.

use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use super::ask::{QueryState, SHORTLY};
use super::fetch::{SyncJob, Why};
use super::{Deadline, QueryOptions, Shared};
use crate::error::{Result, Status};
use crate::freshness::{self, COLD_QUESTIONS, LOOK_AGAIN_MS};
use crate::matching::point::{file_name, is_same_file, title_in};
use crate::matching::text::{fold_title, has_all_words};
use crate::matching::{Normal, Outcome, Scope};
use crate::model::{Confidence, Rung};
use crate::reading::{Snapshot, places};
use crate::source::{Bounds, Rows};
use crate::store::{LibraryRow, Patience};

/// Rows looked through for the path: a name is rarely in more.
const ROWS: u32 = 100;
/// How long somebody else's look is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

impl Shared {
    /// Whether a library that was never fetched answers with what a path search found a while ago.
    pub(super) fn is_remembered(&self, snapshot: &Snapshot, outcome: &Outcome<'_>, path: &[u8]) -> Result<bool> {
        if outcome.rung == Rung::None || outcome.unverified {
            return Ok(false);
        }
        let (Some(found), Some(identity)) = (outcome.single(), snapshot.identity) else {
            return Ok(false);
        };
        let row = &snapshot.rows[found.library];
        if row.generation > 0 || row.due || !matches!(outcome.rung, Rung::Exact | Rung::Mapped) {
            return Ok(false);
        }
        self.remembers(identity, row, hash(path))
    }

    /// Whether what the server was asked about has been found, and not too long ago.
    fn remembers(&self, identity: i64, row: &LibraryRow, hash: u64) -> Result<bool> {
        let asked = self.store.asked(identity, row.id, hash)?;
        Ok(freshness::is_remembered(asked.as_ref(), &self.policy, self.now_ms()))
    }

    /// Libraries that were never fetched and may have this path, when the caller has not the time to fetch them.
    pub(super) fn cold(
        &self,
        query: &QueryOptions<'_>,
        snapshot: &Snapshot,
        scope: Scope,
        path: &[u8],
    ) -> Vec<LibraryRow> {
        let is_cold = |row: &LibraryRow| row.generation == 0;
        let asked = snapshot.asked(scope);
        if !asked.iter().any(is_cold) || self.until(query).is_none() {
            return Vec::new();
        }
        match scope {
            Scope::One(_) => asked.to_vec(),
            Scope::All => self.owners(snapshot, scope, path).into_iter().filter(is_cold).collect(),
        }
    }

    /// Libraries that should list this path, and do not: it may be new.
    pub(super) fn owners_without_it(
        &self,
        snapshot: &Snapshot,
        scope: Scope,
        outcome: &Outcome<'_>,
        path: &[u8],
    ) -> Vec<LibraryRow> {
        let missed = match outcome.rung {
            Rung::None => true,
            Rung::Suffix | Rung::FileName => outcome.confidence == Confidence::Low,
            _ => false,
        };
        if !missed || outcome.unverified {
            return Vec::new();
        }
        let mut owners = self.owners(snapshot, scope, path);
        owners.retain(|row| row.generation > 0);
        owners
    }

    fn owners(&self, snapshot: &Snapshot, scope: Scope, path: &[u8]) -> Vec<LibraryRow> {
        let owns = snapshot.owners(path, self.reading.mappings());
        places(scope, snapshot.rows.len())
            .filter(|place| owns[*place])
            .map(|place| snapshot.rows[place].clone())
            .collect()
    }

    /// Looks at the clocks, and merges what moved: a path is missing that may be new. Not again within half a minute.
    pub(super) fn look(
        &self,
        query: &QueryOptions<'_>,
        identity: i64,
        owners_without_it: &[LibraryRow],
        state: &mut QueryState,
    ) -> Result<()> {
        let may = |shared: &Self| {
            Ok(freshness::may_look(
                shared.store.last_looked(identity)?,
                shared.now_ms(),
            ))
        };
        if !may(self)? {
            return Ok(());
        }
        // What this query itself has led to is news enough.
        let since = state.since;
        let _held = Patience::now().at_most(SHORTLY).hold();
        let done = self.job(query, |job| {
            // Another one's look is often over soon; it may also have led to a listing.
            let soon = Instant::now() + PATIENCE;
            let bounds = Bounds {
                deadline: Some(job.bounds.deadline.map_or(soon, |deadline| deadline.min(soon))),
                ..job.bounds
            };
            job.single_flight_within(bounds, "look", || {
                if !may(self)? {
                    return Ok(());
                }
                self.store.note_look(identity, self.now_ms())?;
                for row in owners_without_it {
                    job.bring_one(row, row.id, since, Why::Look)?;
                }
                Ok(())
            })?;
            Ok(())
        });
        self.back_off_when_late(state, done)
    }

    /// Asks the server for this path in each of these libraries. With `cold` set it was never asked for its
    /// listing, and may be asked some times in a row.
    pub(super) fn ask_about(
        &self,
        query: &QueryOptions<'_>,
        identity: i64,
        libraries: &[LibraryRow],
        path: &[u8],
        cold: bool,
        state: &mut QueryState,
    ) -> Result<()> {
        let Some(name) = file_name(path) else {
            return Ok(());
        };
        self.ask_once(query, identity, libraries, hash(path), cold, state, &|job, row| {
            job.point(row, path, name)
        })
    }

    /// Asks the server for a title in libraries that were never fetched.
    pub(super) fn ask_for_title(
        &self,
        query: &QueryOptions<'_>,
        identity: i64,
        libraries: &[LibraryRow],
        title: &str,
        state: &mut QueryState,
    ) -> Result<()> {
        self.ask_once(
            query,
            identity,
            libraries,
            title_hash(title),
            true,
            state,
            &|job, row| job.point_title(row, title),
        )
    }

    /// Whether a library that was never fetched was asked for this title a while ago, and had it.
    pub(super) fn knows_title(&self, identity: i64, row: &LibraryRow, title: &str) -> Result<bool> {
        self.remembers(identity, row, title_hash(title))
    }

    /// Asks these libraries in turn, as far as questions are due.
    #[allow(clippy::too_many_arguments)] // one query, whole
    fn ask_once(
        &self,
        query: &QueryOptions<'_>,
        identity: i64,
        libraries: &[LibraryRow],
        hash: u64,
        cold: bool,
        state: &mut QueryState,
        ask: &(dyn Fn(&SyncJob<'_>, &LibraryRow) -> Result<bool> + Sync),
    ) -> Result<()> {
        let begun = self.now_ms();
        // Of one path all libraries are asked that may have it: two that do are ambiguous.
        let rested = || -> Result<bool> {
            let now = self.now_ms();
            let (last, count) = self.store.last_asked(identity, now - LOOK_AGAIN_MS, now)?;
            Ok(if cold {
                count < COLD_QUESTIONS
            } else {
                freshness::may_look(last, now)
            })
        };
        let may = |row: &LibraryRow| -> Result<bool> {
            let asked = self.store.asked(identity, row.id, hash)?;
            let fresh = asked.is_some_and(|asked| asked.found && asked.last_ms >= begun);
            Ok(!fresh && freshness::may_ask_again(asked.as_ref(), &self.policy, self.now_ms()))
        };
        if !rested()? {
            return Ok(());
        }
        let mut wanted = Vec::new();
        for row in libraries {
            if may(row)? {
                wanted.push(row);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        // An answer that takes long is no quick one: half of the time is left for the listing.
        let half = self.until(query).map(|until| {
            let now = Instant::now();
            now + until.saturating_duration_since(now) / 2
        });
        let hurried = QueryOptions {
            deadline: half.map_or(Deadline::None, Deadline::At),
            ..*query
        };
        let _held = Patience::now().at_most(SHORTLY).hold();
        let done = self.job(&hurried, |job| {
            let asked = job.single_flight("query", || {
                if !rested()? {
                    return Ok(());
                }
                for row in &wanted {
                    if !may(row)? {
                        continue;
                    }
                    let found = ask(job, row);
                    // One that failed, or took too long, was a query too.
                    let had = matches!(found, Ok(true));
                    self.store.note_question(identity, row.id, hash, self.now_ms(), had)?;
                    found?;
                }
                Ok(())
            })?;
            asked.ok_or_else(|| job.late())
        });
        self.back_off_when_late(state, done)
    }

    /// A query that came too late is as good as none; what else went wrong is kept for the answer.
    fn back_off_when_late(&self, state: &mut QueryState, done: Result<()>) -> Result<()> {
        match done {
            Err(error) if error.status != Status::Timeout => self.back_off_after(state, error),
            _ => Ok(()),
        }
    }
}

impl SyncJob<'_> {
    /// Whether the server has this path in a library; what it has is merged.
    fn point(&self, row: &LibraryRow, path: &[u8], name: &str) -> Result<bool> {
        let title = title_in(name);
        for kind in row.library.kind.leaf_types() {
            let by_title = title.as_deref().map(Rows::Title);
            for rows in [Some(Rows::FileName(name)), by_title].into_iter().flatten() {
                let (mut items, asked) = self.some_rows(&row.library.section, *kind, rows, 0, ROWS);
                items.retain(|item| {
                    let mut parts = item.parts.iter();
                    parts.any(|part| is_same_file(self.shared.reading.mappings(), path, part.as_bytes()))
                });
                if !items.is_empty() {
                    self.shared.store.merge_items(row, &items, None)?;
                    return Ok(true);
                }
                match asked {
                    // Asking by file name is no documented query: some servers refuse it.
                    Err(error) if matches!(rows, Rows::FileName(_)) && error.status == Status::ServerError => {
                        log::debug!("the server refuses to be asked for a file name: {error}");
                    }
                    other => {
                        other?;
                    }
                }
            }
        }
        Ok(false)
    }

    /// Whether the server has items with this title in a library; what it has is merged. More than a page of them is none:
    /// what is not seen would be missing for as long as the rest is remembered.
    fn point_title(&self, row: &LibraryRow, title: &str) -> Result<bool> {
        let wanted = fold_title(title);
        let mut found = false;
        for kind in row.library.kind.leaf_types() {
            let (mut items, end) = self.some_rows(&row.library.section, *kind, Rows::Title(title), 0, ROWS);
            let end = end?;
            items.retain(|item| has_all_words(&fold_title(&item.title), &wanted));
            self.shared.store.merge_items(row, &items, None)?;
            let all = end.rows < u64::from(ROWS) || end.total.is_some_and(|total| total <= end.rows);
            if !all {
                return Ok(false);
            }
            found |= !items.is_empty();
        }
        Ok(found)
    }
}

fn title_hash(title: &str) -> u64 {
    // No path begins so.
    xxh3_64(format!("\0title\0{}", fold_title(title)).as_bytes())
}

fn hash(path: &[u8]) -> u64 {
    #[allow(clippy::redundant_closure_for_method_calls)] // the method by its name has one lifetime, not any
    Normal::with(path, |normal| normal.hash())
}
