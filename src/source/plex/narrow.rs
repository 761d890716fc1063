//! Finding out which arguments a server refuses, so that it is asked without them.
//!
//! Versions of Plex differ in what they take, and proxies in how much. A refusal names nothing, so arguments are tried one
//! by one, on a single row, and each verdict twice: a server that failed for another reason is not judged by that.

use crate::error::Status;
use crate::model::ItemType;

use super::super::contract::Bounds;
use super::client::PlexHttp;
use super::question::{ServerRequest, What};
use super::refused::Refused;
use super::retry::AttemptError;
use super::rows::{Rows, RowsRequest};
use super::wire::Lists;

impl PlexHttp {
    /// Finds out which arguments of a question that was refused are the reason. Gives whether to ask again: there are some, or
    /// all of it is taken by now.
    pub(super) fn find_refused(&self, question: &ServerRequest<'_>, bounds: &Bounds<'_>) -> Result<bool, AttemptError> {
        let known = self.refusals.all();
        let tried = question.can_do_without().without(known);
        let row = question.with_window(0, 1);
        let takes = |without: Refused| self.takes(&row, known.and(without), bounds);
        let refuses = |without: Refused| Ok::<_, AttemptError>(!takes(without)? && !takes(without)?);

        let mut has_passed = false;
        let found = if tried.has(Refused::FILE) && takes(Refused::FILE)? {
            // The one argument that is not documented, and most often the reason.
            has_passed = takes(Refused::NONE)?;
            if has_passed { Refused::NONE } else { Refused::FILE }
        } else if !takes(tried)? {
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
                    // Each is taken, and not all of them: the address may be too long for a proxy.
                    let long = Refused::ELEMENTS.and(Refused::FIELDS);
                    found = if takes(long)? { long } else { tried };
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

    /// Whether the server takes a question without these arguments.
    fn takes(&self, question: &ServerRequest<'_>, without: Refused, bounds: &Bounds<'_>) -> Result<bool, AttemptError> {
        match self.ask_without(question, without, bounds, &mut Lists::None) {
            Ok(_) => Ok(true),
            Err(failure) if failure.is_refusal => Ok(false),
            // It was understood: the items are gone.
            Err(failure) if failure.error.status == Status::NotOnServer => Ok(true),
            Err(failure) => Err(failure),
        }
    }

    /// The leaf type of a refused page where the other type of such a library is not refused.
    fn refused_type(
        &self,
        question: &ServerRequest<'_>,
        known: Refused,
        bounds: &Bounds<'_>,
    ) -> Result<Refused, AttemptError> {
        let What::Page(page) = question.what else {
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
            self.takes(&question, known.and(question.can_do_without()), bounds)
        };
        Ok(if bare(other)? && !bare(page.kind)? {
            this
        } else {
            Refused::NONE
        })
    }
}
