//! Sends a request until it is answered: retries transient failures, and drops arguments that the server refuses.

use std::time::{Duration, Instant};

use crate::error::{Result, Status};
use crate::model::Item;

use super::super::contract::Bounds;
use super::client::PlexHttp;
use super::question::{MOST_ROWS, OVERSIZE_FACTOR, ServerRequest};
use super::retry::{self, AttemptError};
use super::rows::{Rows, RowsEnd, RowsRequest};
use super::wire::{self, Lists, ReplyHead};

/// After this many refusals by status 500, which may be transient, the request is reduced.
const REFUSALS: u32 = 3;

/// The refusals of one request, and the time spent on it.
#[derive(Default)]
struct Attempts {
    refusals: u32,
    /// The last attempt was refused.
    is_refused: bool,
    /// The refusal is permanent.
    is_final: bool,
    busy: Duration,
}

impl PlexHttp {
    /// Sends a request, follows redirects, retries, and passes the rows to `lists`. Drops arguments that the server
    /// refuses.
    pub(super) fn ask(
        &self,
        question: &ServerRequest<'_>,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
    ) -> Result<ReplyHead> {
        let begun = Instant::now();
        let retry_for = bounds.retry_for.map_or(self.retry_for, |own| own.min(self.retry_for));
        let end = self.pause.now().checked_add(retry_for);
        let mut attempts = Attempts::default();
        let mut answered = self.retry(question, bounds, lists, retry_for, &mut attempts);
        let can_ask_less = !question.optional_arguments().is_empty();
        if let Err(error) = &answered
            && error.status != Status::Aborted
            && attempts.is_refused
            && can_ask_less
        {
            let looking = Instant::now();
            let found = self.find_refused(question, bounds);
            attempts.busy += looking.elapsed();
            match found {
                Err(failure) => answered = Err(failure.error),
                Ok(false) if attempts.is_final || retry_for.is_zero() => {}
                Ok(_) => {
                    let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(self.pause.now()));
                    // From now on a refusal counts as an ordinary failure.
                    attempts.refusals = REFUSALS;
                    answered = self.retry(question, bounds, lists, left, &mut attempts);
                }
            }
        }
        self.meter.paused(begun.elapsed().saturating_sub(attempts.busy));
        answered.map_err(|error| self.scrubbed(error))
    }

    /// Retries transient failures. Ends at the last allowed refusal, so that the request can be reduced, unless it was
    /// before.
    fn retry(
        &self,
        question: &ServerRequest<'_>,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
        time: Duration,
        attempts: &mut Attempts,
    ) -> Result<ReplyHead> {
        let counts_refusals = attempts.refusals < REFUSALS && !question.optional_arguments().is_empty();
        retry::run(&*self.pause, time, bounds, &question.label, || {
            let attempted = Instant::now();
            let result = self.attempt(question, bounds, lists);
            attempts.busy += attempted.elapsed();
            attempts.is_refused = false;
            let failure = match result {
                Ok(head) => return Ok(head),
                Err(failure) => failure,
            };
            // Rows already passed on must not be repeated.
            if matches!(lists, Lists::Rows(rows) if rows.taken > 0) {
                return Err(failure.permanent());
            }
            if failure.is_refusal && counts_refusals {
                attempts.is_refused = true;
                attempts.is_final = !failure.is_transient;
                attempts.refusals += 1;
                let is_enough = attempts.refusals == REFUSALS || question.filters_by_file();
                return Err(if is_enough { failure.permanent() } else { failure });
            }
            // The argument for file names is undocumented: a server that fails would fail again.
            let is_the_server_s = failure.error.status == Status::ServerError;
            Err(if question.filters_by_file() && is_the_server_s {
                failure.permanent()
            } else {
                failure
            })
        })
    }

    /// Sends the request once, unless known refusals already answer it.
    fn attempt(
        &self,
        question: &ServerRequest<'_>,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
    ) -> std::result::Result<ReplyHead, AttemptError> {
        let refused = self.refusals.all();
        match question.implied_reply(refused) {
            Some(answer) => Ok(answer?),
            None => self.send_without(question, refused, bounds, lists),
        }
    }
}

impl PlexHttp {
    /// Passes rows to `sink` while they are parsed.
    ///
    /// Items without a rating key are counted but not passed on; items without files are. If the call fails midway, the
    /// rows passed on so far are valid.
    ///
    /// # Errors
    /// Those of [`crate::source::Source::page`].
    pub fn rows(&self, request: &RowsRequest<'_>, bounds: Bounds<'_>, sink: &mut dyn FnMut(Item)) -> Result<RowsEnd> {
        let question = ServerRequest::page(request);
        let most = OVERSIZE_FACTOR * u64::from(request.size.max(MOST_ROWS));
        let mut sink = |item, _| sink(item);
        let rows = wire::ReplyRows::new(request.kind, most, &mut sink);
        let mut lists = Lists::Rows(rows);
        let head = self.ask(&question, &bounds, &mut lists)?;
        Ok(RowsEnd {
            rows: if let Lists::Rows(rows) = &lists { rows.count } else { 0 },
            total: head.total,
            offset: head.offset,
            disordered: match (request.rows, &lists) {
                (Rows::NewestUpdated, Lists::Rows(rows)) => rows.updated.is_disordered,
                _ => false,
            },
        })
    }

    /// Adds rows to `items`. If another call's interruption closed the connection, requests the rows again.
    pub(super) fn collect_rows(
        &self,
        request: &RowsRequest<'_>,
        bounds: Bounds<'_>,
        items: &mut Vec<Item>,
    ) -> Result<RowsEnd> {
        let before = items.len();
        loop {
            let interruptions = self.transport.interruptions();
            match self.rows(request, bounds, &mut |item| items.push(item)) {
                Err(error)
                    if !matches!(error.status, Status::Aborted | Status::Timeout)
                        && self.transport.interruptions() != interruptions =>
                {
                    log::debug!("rows were cut off by the end of another call; they are asked for again: {error}");
                    items.truncate(before);
                }
                end => return end,
            }
        }
    }
}
