//! Sends a request, retries transient failures, and omits optional arguments that a server rejects.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::error::{Result, Status};
use crate::model::Item;

use super::super::contract::Bounds;
use super::plex_http::PlexHttp;
use super::replies::{ReplyContent, ReplyMetadata, RowReader};
use super::retry;
use super::rows::{Rows, RowsEnd, RowsRequest};
use super::server_request::{MAX_ROWS, OVERSIZE_FACTOR, ServerRequest};

/// Number of replies with status 500, which may be transient, after which plexindex omits the optional arguments.
const MAX_REFUSALS: u32 = 3;

impl PlexHttp {
    /// Requests rows, adds their items to `items`, even if the call fails midway, and returns the page's metadata.
    ///
    /// Counts items without a rating key but does not add them; adds items without files. Requests the rows again if
    /// another call's [`crate::source::Source::interrupt`] closed the connection.
    ///
    /// # Errors
    /// Server errors (300 to 399), or `Aborted`.
    pub fn fetch_rows(
        &self,
        rows_request: &RowsRequest<'_>,
        bounds: Bounds<'_>,
        items: &mut Vec<Item>,
    ) -> Result<RowsEnd> {
        let request = ServerRequest::rows(rows_request);
        // A server that ignores paging sends many more rows than requested.
        let max_rows = OVERSIZE_FACTOR * u64::from(rows_request.size.max(MAX_ROWS));
        let items_before = items.len();
        loop {
            let interruptions = self.transport.interruptions();
            let mut sink = |item, _| items.push(item);
            let mut content = ReplyContent::Rows(RowReader::new(rows_request.kind, max_rows, &mut sink));
            match self.send(&request, &bounds, &mut content) {
                Err(error)
                    if !matches!(error.status, Status::Aborted | Status::Timeout)
                        && self.transport.interruptions() != interruptions =>
                {
                    log::debug!("another call closed the connection during a page; requesting the page again: {error}");
                    items.truncate(items_before);
                }
                Err(error) => return Err(error),
                Ok(metadata) => {
                    let ReplyContent::Rows(rows) = content else {
                        return Ok(RowsEnd::default());
                    };
                    return Ok(RowsEnd {
                        rows: rows.count,
                        total: metadata.total,
                        offset: metadata.offset,
                        is_disordered: rows_request.rows == Rows::NewestUpdated && rows.update_order.is_disordered,
                    });
                }
            }
        }
    }

    /// Sends a request, reads its rows or libraries into `content`, and returns the reply's metadata. Retries transient
    /// failures.
    ///
    /// If the server rejects the request, retries without the optional arguments: versions of Plex differ in the
    /// arguments that they accept, and proxies in the maximum length of a URL.
    pub(super) fn send(
        &self,
        request: &ServerRequest<'_>,
        bounds: &Bounds<'_>,
        content: &mut ReplyContent<'_>,
    ) -> Result<ReplyMetadata> {
        let started_at = Instant::now();
        let retry_for = bounds
            .retry_for
            .map_or(self.retry_for, |limit| limit.min(self.retry_for));
        let (mut busy_time, mut refusals) = (Duration::ZERO, 0);
        let filters_by_file = request.filters_by_file();
        let result = retry::run_with_retries(&*self.clock, retry_for, bounds, &request.purpose, || {
            if filters_by_file && self.rejects_file_filter.load(Ordering::Relaxed) {
                return Ok(request.empty_reply());
            }
            let attempt_start = Instant::now();
            let is_minimal = self.is_minimal.load(Ordering::Relaxed);
            let mut result = self.send_once(request, is_minimal, bounds, content);
            if let Err(failure) = &result
                && failure.is_refusal
            {
                refusals += 1;
                // A status 500 may be transient. A status 400, a rejected filter, or the last of several refusals is
                // not.
                let is_certain = filters_by_file || !failure.is_transient || refusals == MAX_REFUSALS;
                if is_certain && !is_minimal && request.has_optional_arguments() {
                    result = self.send_once(request, true, bounds, content);
                    if result.is_ok() {
                        self.is_minimal.store(true, Ordering::Relaxed);
                        log::warn!(
                            "{} rejects optional request arguments; omitting them from now on",
                            self.base_url.origin
                        );
                    }
                }
            }
            // The remaining time of this call is pauses, which the meter records.
            busy_time += attempt_start.elapsed();
            result.or_else(|failure| {
                if filters_by_file && failure.is_refusal {
                    self.rejects_file_filter.store(true, Ordering::Relaxed);
                    log::warn!("{} rejects searches by file name", self.base_url.origin);
                    return Ok(request.empty_reply());
                }
                // A retry would pass the rows on twice. A failed search by file name would fail again.
                let has_rows = matches!(content, ReplyContent::Rows(rows) if rows.emitted_items > 0);
                let is_final = has_rows || filters_by_file && failure.error.status == Status::ServerError;
                Err(if is_final { failure.into_permanent() } else { failure })
            })
        });
        self.meter.record_pause(started_at.elapsed().saturating_sub(busy_time));
        result.map_err(|error| self.scrub(error))
    }
}
