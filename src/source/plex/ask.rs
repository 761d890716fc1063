//! A question until it has an answer: tried again after failures that pass, and without what the server refuses.

use std::time::{Duration, Instant};

use crate::error::{Result, Status};
use crate::model::Item;

use super::super::contract::Bounds;
use super::client::PlexHttp;
use super::question::{MOST_ROWS, PAGES, ServerRequest};
use super::retry::{self, AttemptError};
use super::rows::{Rows, RowsEnd, RowsRequest};
use super::wire::{self, Lists, ReplyHead};

/// So often a question that can do with less is refused by 500, which may pass, before it is asked with less.
const REFUSALS: u32 = 3;

/// How often requests of one question were refused, and how long they took.
#[derive(Default)]
struct Attempts {
    refusals: u32,
    /// The last one was refused.
    is_refused: bool,
    /// A refusal would repeat itself.
    is_final: bool,
    busy: Duration,
}

impl PlexHttp {
    /// Asks, follows redirects, retries, and hands the rows to `lists`. Leaves out what the server refuses.
    pub(super) fn ask(
        &self,
        question: &ServerRequest<'_>,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
    ) -> Result<ReplyHead> {
        let begun = Instant::now();
        let end = self.pause.now().checked_add(self.retry_for);
        let mut attempts = Attempts::default();
        let mut answered = self.retry(question, bounds, lists, self.retry_for, &mut attempts);
        let can_ask_less = !question.can_do_without().is_empty();
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
                Ok(false) if attempts.is_final || self.retry_for.is_zero() => {}
                Ok(_) => {
                    let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(self.pause.now()));
                    // From now on a refusal is a failure as any.
                    attempts.refusals = REFUSALS;
                    answered = self.retry(question, bounds, lists, left, &mut attempts);
                }
            }
        }
        self.meter.paused(begun.elapsed().saturating_sub(attempts.busy));
        answered.map_err(|error| self.scrubbed(error))
    }

    /// Retries what passes. A refusal ends it once there are enough to ask for less, unless that was done before.
    fn retry(
        &self,
        question: &ServerRequest<'_>,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
        time: Duration,
        attempts: &mut Attempts,
    ) -> Result<ReplyHead> {
        let counts_refusals = attempts.refusals < REFUSALS && !question.can_do_without().is_empty();
        retry::run(&*self.pause, time, bounds, &question.what, || {
            let attempted = Instant::now();
            let result = self.attempt(question, bounds, lists);
            attempts.busy += attempted.elapsed();
            attempts.is_refused = false;
            let failure = match result {
                Ok(head) => return Ok(head),
                Err(failure) => failure,
            };
            // Rows that were handed over must not come a second time.
            if matches!(lists, Lists::Rows(rows) if rows.taken > 0) {
                return Err(failure.last());
            }
            if failure.is_refusal && counts_refusals {
                attempts.is_refused = true;
                attempts.is_final = !failure.passes;
                attempts.refusals += 1;
                let is_enough = attempts.refusals == REFUSALS || question.asks_for_a_file();
                return Err(if is_enough { failure.last() } else { failure });
            }
            // Asking for a file name is not documented: a server that fails does so each time.
            let is_the_server_s = failure.error.status == Status::ServerError;
            Err(if question.asks_for_a_file() && is_the_server_s {
                failure.last()
            } else {
                failure
            })
        })
    }

    /// Asks once, unless the server refuses what the question is about.
    fn attempt(
        &self,
        question: &ServerRequest<'_>,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
    ) -> std::result::Result<ReplyHead, AttemptError> {
        let refused = self.refusals.all();
        match question.known_answer(refused) {
            Some(answer) => Ok(answer?),
            None => self.ask_without(question, refused, bounds, lists),
        }
    }
}

impl PlexHttp {
    /// Hands rows to `sink`, as they are parsed.
    ///
    /// Items without a rating key are counted and not handed over; items without files are handed over. When the call fails
    /// midway, the rows handed over before are true.
    ///
    /// # Errors
    /// Those of [`crate::source::Source::page`].
    pub fn rows(&self, request: &RowsRequest<'_>, bounds: Bounds<'_>, sink: &mut dyn FnMut(Item)) -> Result<RowsEnd> {
        let question = ServerRequest::page(request);
        let most = PAGES * u64::from(request.size.max(MOST_ROWS));
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

    /// Adds rows to `items`. Those that the end of another call cut off are asked for again: that is no failure of this one.
    pub(super) fn some_rows(
        &self,
        request: &RowsRequest<'_>,
        bounds: Bounds<'_>,
        items: &mut Vec<Item>,
    ) -> Result<RowsEnd> {
        let before = items.len();
        loop {
            let cuts = self.transport.cuts();
            match self.rows(request, bounds, &mut |item| items.push(item)) {
                Err(error)
                    if !matches!(error.status, Status::Aborted | Status::Timeout) && self.transport.cuts() != cuts =>
                {
                    log::debug!("rows were cut off by the end of another call; they are asked for again: {error}");
                    items.truncate(before);
                }
                end => return end,
            }
        }
    }
}
