//! Finds out which arguments a server refuses, so that they are dropped.
//!
//! Versions of Plex differ in the arguments they accept, and proxies in the length. A refusal names no argument, so
//! they are tried one by one on a single row, each refusal twice, in case the server failed for another reason.

use crate::error::Status;
use crate::model::ItemType;

use super::super::contract::Bounds;
use super::client::PlexHttp;
use super::question::{RequestLabel, ServerRequest};
use super::refused::Refused;
use super::retry::AttemptError;
use super::rows::{Rows, RowsRequest};
use super::wire::Lists;

impl PlexHttp {
    /// Finds the arguments that caused a refusal. Returns whether to send the request again: arguments were found, or
    /// the server accepts all of them by now.
    pub(super) fn find_refused(&self, question: &ServerRequest<'_>, bounds: &Bounds<'_>) -> Result<bool, AttemptError> {
        let known = self.refusals.all();
        let tried = question.optional_arguments().without(known);
        let row = question.with_window(0, 1);
        let accepts = |without: Refused| self.accepts(&row, known.and(without), bounds);
        let refuses = |without: Refused| Ok::<_, AttemptError>(!accepts(without)? && !accepts(without)?);

        let mut has_passed = false;
        let found = if tried.has(Refused::FILE) && accepts(Refused::FILE)? {
            // The only undocumented argument, and the most frequent cause.
            has_passed = accepts(Refused::NONE)?;
            if has_passed { Refused::NONE } else { Refused::FILE }
        } else if !accepts(tried)? {
            self.refused_type(question, known, bounds)?
        } else {
            let mut found = Refused::NONE;
            for one in tried.each() {
                if refuses(tried.without(one))? {
                    found = found.and(one);
                }
            }
            if found.is_empty() {
                has_passed = !refuses(Refused::NONE)?;
                if !has_passed {
                    // Each argument is accepted, but not all together: the address may be too long for a proxy.
                    let long = Refused::ELEMENTS.and(Refused::FIELDS);
                    found = if accepts(long)? { long } else { tried };
                }
            }
            found
        };
        if found.is_empty() {
            return Ok(has_passed);
        }
        self.refusals.add(found);
        log::warn!(
            "{} refuses {}: it is asked without, until its version changes",
            self.base.origin,
            found.words().replace(' ', ", ")
        );
        Ok(true)
    }

    /// Returns whether the server accepts a request without these arguments.
    fn accepts(
        &self,
        question: &ServerRequest<'_>,
        without: Refused,
        bounds: &Bounds<'_>,
    ) -> Result<bool, AttemptError> {
        match self.send_without(question, without, bounds, &mut Lists::None) {
            Ok(_) => Ok(true),
            Err(failure) if failure.is_refusal => Ok(false),
            // Accepted: the items are gone.
            Err(failure) if failure.error.status == Status::NotOnServer => Ok(true),
            Err(failure) => Err(failure),
        }
    }

    /// Returns the leaf type of a refused page if the server accepts the other leaf type of such libraries.
    fn refused_type(
        &self,
        question: &ServerRequest<'_>,
        known: Refused,
        bounds: &Bounds<'_>,
    ) -> Result<Refused, AttemptError> {
        let RequestLabel::Page(page) = question.label else {
            return Ok(Refused::NONE);
        };
        let (other, this) = match page.kind {
            ItemType::Clip => (ItemType::Photo, Refused::CLIPS),
            ItemType::Photo => (ItemType::Clip, Refused::PHOTOS),
            _ => return Ok(Refused::NONE),
        };
        let bare = |kind| {
            let page = RowsRequest {
                kind,
                rows: Rows::All,
                start: 0,
                size: 1,
                ..*page
            };
            let question = ServerRequest::page(&page);
            self.accepts(&question, known.and(question.optional_arguments()), bounds)
        };
        Ok(if bare(other)? && !bare(page.kind)? {
            this
        } else {
            Refused::NONE
        })
    }
}
