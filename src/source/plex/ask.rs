//! Sends a request until it is answered: retries transient failures, and leaves out what a server refuses.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::error::{Result, Status};
use crate::model::Item;

use super::super::contract::Bounds;
use super::client::PlexHttp;
use super::question::{MOST_ROWS, OVERSIZE_FACTOR, ServerRequest};
use super::retry;
use super::rows::{Rows, RowsEnd, RowsRequest};
use super::wire::{Lists, ReplyHead, ReplyRows};

/// After this many refusals by status 500, which may be transient, the minimal request is sent.
const REFUSALS: u32 = 3;

impl PlexHttp {
    /// Adds rows to `items` while they are parsed. If another call's interruption closed the connection, requests the
    /// rows again.
    ///
    /// Items without a rating key are counted but not added; items without files are. If the call fails midway, the
    /// rows added so far are valid.
    ///
    /// # Errors
    /// Those of [`crate::source::Source::page`].
    pub fn rows(&self, request: &RowsRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<RowsEnd> {
        let question = ServerRequest::page(request);
        let most = OVERSIZE_FACTOR * u64::from(request.size.max(MOST_ROWS));
        let before = items.len();
        loop {
            let interruptions = self.transport.interruptions();
            let mut sink = |item, _| items.push(item);
            let mut lists = Lists::Rows(ReplyRows::new(request.kind, most, &mut sink));
            match self.ask(&question, &bounds, &mut lists) {
                Err(error)
                    if !matches!(error.status, Status::Aborted | Status::Timeout)
                        && self.transport.interruptions() != interruptions =>
                {
                    log::debug!("another call ended and cut off a page; requesting the page again: {error}");
                    items.truncate(before);
                }
                Err(error) => return Err(error),
                Ok(head) => {
                    let Lists::Rows(rows) = lists else {
                        return Ok(RowsEnd::default());
                    };
                    return Ok(RowsEnd {
                        rows: rows.count,
                        total: head.total,
                        offset: head.offset,
                        disordered: request.rows == Rows::NewestUpdated && rows.updated.is_disordered,
                    });
                }
            }
        }
    }

    /// Sends a request, retries, and passes the rows to `lists`. If the server refuses the request, sends the minimal
    /// one: versions of Plex differ in the arguments that they accept, and proxies in the length.
    pub(super) fn ask(
        &self,
        question: &ServerRequest<'_>,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
    ) -> Result<ReplyHead> {
        let begun = Instant::now();
        let retry_for = bounds.retry_for.map_or(self.retry_for, |own| own.min(self.retry_for));
        let (mut busy, mut refusals) = (Duration::ZERO, 0);
        let of_file = question.filters_by_file();
        let answered = retry::run(&*self.pause, retry_for, bounds, &question.label, || {
            if of_file && self.refuses_file.load(Ordering::Relaxed) {
                return Ok(question.no_rows());
            }
            let attempted = Instant::now();
            let is_minimal = self.is_minimal.load(Ordering::Relaxed);
            let mut result = self.ask_once(question, is_minimal, bounds, lists);
            if let Err(failure) = &result
                && failure.is_refusal
            {
                refusals += 1;
                let is_enough = of_file || !failure.is_transient || refusals == REFUSALS;
                if is_enough && !is_minimal && question.has_optional() {
                    result = self.ask_once(question, true, bounds, lists);
                    if result.is_ok() {
                        self.is_minimal.store(true, Ordering::Relaxed);
                        log::warn!(
                            "{} rejects optional request arguments; omitting them from now on",
                            self.base.origin
                        );
                    }
                }
            }
            busy += attempted.elapsed();
            result.or_else(|failure| {
                if of_file && failure.is_refusal {
                    self.refuses_file.store(true, Ordering::Relaxed);
                    log::warn!("{} rejects searches by file name", self.base.origin);
                    return Ok(question.no_rows());
                }
                // Rows already passed on must not be repeated. The argument for file names is undocumented: a server
                // that fails would fail again.
                let has_rows = matches!(lists, Lists::Rows(rows) if rows.taken > 0);
                let is_final = has_rows || of_file && failure.error.status == Status::ServerError;
                Err(if is_final { failure.permanent() } else { failure })
            })
        });
        self.meter.paused(begun.elapsed().saturating_sub(busy));
        answered.map_err(|error| self.scrubbed(error))
    }
}
