//! What answers queries, and the steps that all of them take.

use std::sync::Arc;

use super::answer::Answer;
use super::samples::MappingSamples;
use super::shown::Shown;
use crate::error::{Error, Result, Status};
use crate::freshness::Policy;
use crate::matching::Scope;
use crate::model::{IdentityId, Rung, Sequence};
use crate::options::Options;
use crate::platform::clock::Clock;
use crate::platform::fork::Release;
use crate::reading::{Reading, Resolved, Snapshot};
use crate::stats::Counters;
use crate::store::{LibraryRow, Patience, Store};
use crate::sync::{BACK_OFF_MS, BACK_OFF_NOT_FETCHED_MS, Call, SHORTLY, Syncing, Why};

/// The queries of one handle.
pub struct Queries {
    pub(super) store: Arc<Store>,
    pub(super) reading: Arc<Reading>,
    pub(super) sync: Arc<Syncing>,
    pub(super) policy: Policy,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Arc<Counters>,
    pub(super) shown: Shown,
    pub(super) samples: MappingSamples,
}

/// What a query has already done on its way.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools)] // each is one step, taken once
pub struct QueryState {
    /// The change sequence when the query came: what was asked later need not be asked again.
    pub since: Sequence,
    /// When that was, Unix ms.
    pub begun_ms: i64,
    /// The libraries' list was asked for.
    pub probed: bool,
    /// Libraries were brought up to date, as far as it went: those of this identity (0: none yet).
    pub refreshed: Option<IdentityId>,
    /// The deadline came first.
    pub late: Option<Status>,
    /// Asking failed.
    pub failure: Option<Error>,
    /// The server was asked for the path where nothing was ever fetched.
    pub questioned_cold: bool,
    /// Its clocks were looked at because the path is not listed.
    pub looked: bool,
    /// It was asked for the path because it is not listed.
    pub questioned: bool,
    /// Unverified paths and items were confirmed, or not.
    pub confirmed: bool,
    /// How often images were made anew.
    pub rebuilt: u32,
}

impl Queries {
    pub fn new(
        store: Arc<Store>,
        reading: Arc<Reading>,
        sync: Arc<Syncing>,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        options: &Options,
    ) -> Self {
        Self {
            shown: Shown::new(Arc::clone(&store), options.obfuscate_paths),
            store,
            reading,
            sync,
            policy: Policy::new(options),
            clock,
            counters,
            samples: MappingSamples::default(),
        }
    }

    /// Its locks, held through a fork.
    pub fn hold(self: &Arc<Self>) -> Box<dyn Release> {
        MappingSamples::hold(self, |queries| &queries.samples)
    }

    /// Refuses what no path can be.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`].
    pub fn check_path(&self, path: &[u8]) -> Result<()> {
        self.shown.check_path(path)
    }

    /// What answers by the end of a path speak for.
    pub fn samples(&self) -> &MappingSamples {
        &self.samples
    }

    /// Nothing is tried yet, and what was committed before is seen.
    pub fn begin(&self) -> Result<QueryState> {
        self.reading.catch_up()?;
        Ok(QueryState {
            since: self.reading.snapshot().sequence(),
            begun_ms: self.clock.now_ms(),
            ..QueryState::default()
        })
    }

    /// Whose libraries the server may be asked about, beyond bringing them up to date: not when it just failed.
    pub fn may_question(&self, call: &Call<'_>, snapshot: &Snapshot, state: &QueryState) -> Option<IdentityId> {
        snapshot
            .identity
            .filter(|_| self.sync.may_ask(call) && state.failure.is_none())
    }

    /// What the query's library is in this snapshot; `None` when the server has to be asked first.
    pub fn scope(&self, call: &Call<'_>, snapshot: &Snapshot, state: &mut QueryState) -> Result<Option<Scope>> {
        let Some(library) = call.library else {
            let ask = snapshot.rows.is_empty() && !state.probed && self.sync.may_ask(call);
            return Ok((!ask).then_some(Scope::All));
        };
        match library.resolve(snapshot)? {
            Resolved::Scope(Scope::All) if snapshot.rows.is_empty() && !state.probed && self.sync.may_ask(call) => {
                Ok(None)
            }
            Resolved::Scope(scope) => Ok(Some(scope)),
            // Nothing is known to look in: the answer says why.
            Resolved::Unknown if state.late.is_some() && snapshot.rows.is_empty() => Ok(Some(Scope::All)),
            Resolved::Unknown if state.probed || !self.sync.may_ask(call) => Err(match state.failure.take() {
                Some(error) => error,
                None if snapshot.rows.is_empty() && !self.sync.may_ask(call) => offline(library.selector().name()),
                None => library.unknown(snapshot),
            }),
            Resolved::Unknown => Ok(None),
        }
    }

    pub fn ask_for_libraries(&self, call: &Call<'_>, state: &mut QueryState) -> Result<()> {
        state.probed = true;
        match self.sync.probe(call, state.since) {
            Ok(()) => Ok(()),
            Err(error) if error.status == Status::Timeout && call.until.is_some() => {
                state.late = Some(Status::NeedsWarm);
                Ok(())
            }
            Err(error) if call.library.is_none() && error.status != Status::Aborted => {
                state.failure = Some(error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Brings libraries up to date for a query. A server that just failed is left alone while old answers do.
    pub fn freshen(&self, call: &Call<'_>, stale: &[LibraryRow], cold: bool, state: &mut QueryState) -> Result<()> {
        // A server that just failed is left alone: for a while where an old answer stands in, for a moment where not.
        if let Some(error) = self
            .sync
            .back_off()
            .last(if cold { BACK_OFF_MS - BACK_OFF_NOT_FETCHED_MS } else { 0 })
            && (!cold || matches!(error.status, Status::Connect | Status::Timeout | Status::Starting))
        {
            state.failure = Some(error);
            return Ok(());
        }
        // Who has an old answer does not wait for long until a new one can be stored.
        let _held = (!cold).then(|| Patience::now().at_most(SHORTLY).hold());
        match self.sync.bring_up_to_date(call, stale, state.since, Why::Due) {
            Ok(Status::Ok) => Ok(()),
            Ok(late) => {
                if late == Status::NeedsWarm && !cold {
                    self.sync.back_off().begin(&Error::new(
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
    pub fn back_off_after(&self, state: &mut QueryState, error: Error) -> Result<()> {
        if error.status == Status::Aborted || (error.status as i32) < Status::Store as i32 {
            return Err(error);
        }
        self.sync.back_off().begin(&error);
        state.failure = Some(error);
        Ok(())
    }

    /// The same for a failure, if there was one.
    pub fn note_failure(&self, state: &mut QueryState, failure: Option<Error>) -> Result<()> {
        failure.map_or(Ok(()), |error| self.back_off_after(state, error))
    }

    /// Gives an answer to the host; it counts when the host took it.
    pub fn hand_over<R>(&self, answer: &Answer<'_>, then: impl FnOnce(&Answer<'_>) -> Result<R>) -> Result<R> {
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

fn offline(library: &str) -> Error {
    Error::new(
        Status::Offline,
        format!(
            "library '{library}' is not in the store, and the index may ask nobody: give server_url and token, or drop \
             the offline flag"
        ),
    )
}
