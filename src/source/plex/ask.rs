//! A question until it has an answer: tried again after failures that pass, and without what the server refuses.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::error::{Error, Result, Status};
use crate::model::Item;

use super::super::contract::Bounds;
use super::client::PlexHttp;
use super::question::{Fate, MOST_ROWS, PAGES, Question};
use super::retry::{self, Failure};
use super::rows::{Rows, RowsEnd, RowsRequest};
use super::wire::{self, Head, Lists};

/// So often a question that can do with less is refused by 500, which may pass, before it is asked with less.
const REFUSALS: u32 = 3;

impl PlexHttp {
    /// Asks, follows, tries again, and hands the rows to `lists`. What the server refuses is left out.
    pub(super) fn ask(&self, question: &Question<'_>, bounds: &Bounds<'_>, lists: &mut Lists<'_>) -> Result<Head> {
        let (begun, mut busy) = (Instant::now(), Duration::ZERO);
        let end = self.pause.now().checked_add(self.retry_for);
        let mut looked_into = question.can_do_without().is_empty();
        let answered = loop {
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(self.pause.now()));
            // Whether the last attempt was refused, and whether for good.
            let refused = Cell::new(None);
            let mut refusals = 0;
            let answered = retry::run(&*self.pause, left, bounds, &question.what, || {
                let attempted = Instant::now();
                let result = self.attempt(question, bounds, lists);
                busy += attempted.elapsed();
                refused.set(None);
                match (&*lists, result) {
                    // Rows that were handed over must not come a second time.
                    (Lists::Rows(rows), Err(failure)) if rows.taken > 0 => Err(failure.last()),
                    (_, Err(Failure::Refused(failure))) if !looked_into => {
                        refused.set(Some(failure.is_final()));
                        refusals += 1;
                        let is_enough = refusals == REFUSALS || question.asks_for_a_file();
                        Err(if is_enough { failure.last() } else { *failure })
                    }
                    // Asking for a file name is not documented: a server that fails does so each time.
                    (_, Err(failure)) if question.asks_for_a_file() && failure.is_the_server_s() => Err(failure.last()),
                    (_, result) => result,
                }
            });
            let (Err(error), Some(is_final), false) = (&answered, refused.get(), looked_into) else {
                break answered;
            };
            if error.status == Status::Aborted {
                break answered;
            }
            looked_into = true;
            let looking = Instant::now();
            let found = self.find_refused(question, bounds);
            busy += looking.elapsed();
            match found {
                Err(failure) => break Err(failure.into_error()),
                Ok(false) if is_final || left.is_zero() => break answered,
                Ok(_) => {}
            }
        };
        self.meter.paused(begun.elapsed().saturating_sub(busy));
        answered.map_err(|error| self.scrubbed(error))
    }

    /// Asks once, unless the server refuses what the question is about.
    fn attempt(
        &self,
        question: &Question<'_>,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
    ) -> std::result::Result<Head, Failure> {
        let refused = self.refusals.all();
        match question.at(refused) {
            Fate::Asked => self.ask_without(question, refused, bounds, lists),
            Fate::NoRows => Ok(Head {
                total: Some(0),
                offset: question.window.map(|(start, _)| start),
                ..Head::default()
            }),
            Fate::NoOrder => {
                let text = format!(
                    "{}: the server refuses the order that this needs: list the library instead",
                    question.what
                );
                Err(Error::new(Status::ServerError, text).into())
            }
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
        let question = Question::page(request);
        let most = PAGES * u64::from(request.size.max(MOST_ROWS));
        let mut sink = |item, _| sink(item);
        let rows = wire::Rows::new(request.kind, most, &mut sink);
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
