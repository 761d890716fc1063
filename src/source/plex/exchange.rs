//! Sends one request and reads the head of its reply: follows redirects and classifies refusals.

use std::time::Duration;

use ureq::Body;
use ureq::http::request::Builder;
use ureq::http::{Method, Request, StatusCode, response};

use crate::model::{LONGEST_KEY, OWN_IDENTIFIER};

use super::super::contract::{Bounds, RequestKind};
use super::body::{self, BodyError, BodyProgress, RequestMeter};
use super::client::PlexHttp;
use super::errors::RequestContext;
use super::question::{RequestLabel, ServerRequest};
use super::retry::{self, AttemptError};
use super::transport::token_placeholder;
use super::url::{Redirect, Target};
use super::wire::{Lists, ReplyHead};

/// Maximum number of redirects for one request.
const HOPS: usize = 3;

impl PlexHttp {
    /// Sends a request once, and follows redirects.
    pub(super) fn send_once(
        &self,
        question: &ServerRequest<'_>,
        is_minimal: bool,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
    ) -> std::result::Result<ReplyHead, AttemptError> {
        let address = question.address(is_minimal);
        self.follow(&address, &question.label, question.with_token, |target| {
            self.exchange(question, target, bounds, lists)
        })
    }

    /// Sends a request, and again to each redirect's target.
    pub(super) fn follow<T>(
        &self,
        address: &str,
        what: &RequestLabel<'_>,
        with_token: bool,
        mut send: impl FnMut(&Target) -> std::result::Result<Followed<T>, AttemptError>,
    ) -> std::result::Result<T, AttemptError> {
        let mut target = Target {
            origin: self.base.origin.clone(),
            address: format!("{}{address}", self.base.prefix),
        };
        for _ in 0..=HOPS {
            match send(&target)? {
                Followed::Done(done) => return Ok(done),
                Followed::Moved(next) => {
                    log::debug!("{what} moved to {}", next.without_query());
                    target = next;
                }
            }
        }
        Err(self
            .context(what, with_token, &target)
            .bad_redirect("too many redirects"))
    }

    pub(super) fn context<'a>(
        &self,
        what: &'a RequestLabel<'_>,
        with_token: bool,
        target: &'a Target,
    ) -> RequestContext<'a> {
        let has_token = self.has_token();
        RequestContext {
            what,
            target,
            with_token: with_token && has_token,
            has_token,
            connect_timeout: self.transport.connect_timeout(),
            read_timeout: self.transport.read_timeout(),
            silence: self.transport.read_timeout(),
        }
    }

    /// Sends one request and parses its reply.
    pub(super) fn exchange(
        &self,
        question: &ServerRequest<'_>,
        target: &Target,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
    ) -> std::result::Result<Followed<ReplyHead>, AttemptError> {
        let limit = self.transport.read_timeout();
        let context = RequestContext {
            silence: bounds.silence.map_or(limit, |silence| silence.min(limit)),
            ..self.context(&question.label, question.with_token, target)
        };
        let mut request = self.request(Method::GET, target, question.with_token, bounds);
        request = request.header("Accept", "application/json").header(
            "Accept-Encoding",
            // On one machine packing takes many times as long as the copy that it saves.
            if target.origin.is_loopback_host() {
                "identity"
            } else {
                "gzip"
            },
        );
        if let Some((start, size)) = question.window {
            request = request
                .header("X-Plex-Container-Start", start)
                .header("X-Plex-Container-Size", size);
        }
        let SuccessReply { measured, parts, body } = match self.deliver(request, &context, question.kind, bounds)? {
            Followed::Done(answer) => answer,
            Followed::Moved(next) => return Ok(Followed::Moved(next)),
        };
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let encoding = header("content-encoding");
        let progress = BodyProgress::new(&measured, bounds);

        lists.reset();
        let parsed = body::parse(body, encoding, question.limit, &progress, &self.buffers, lists);
        let mut head = parsed.map_err(|broken| match lists {
            Lists::Rows(rows) => match (rows.is_over(), broken) {
                (_, aborted @ BodyError::Aborted) => context.unusable_body(aborted, rows.count),
                (Some(most), _) => context.unusable_body(BodyError::TooManyRows(most), rows.count),
                (None, broken) => context.unusable_body(broken, rows.count),
            },
            _ => context.unusable_body(broken, 0),
        })?;
        if let Lists::Rows(rows) = lists
            && rows.has_invalid_keys
        {
            log::warn!(
                "{}: keys that are not 1 to {LONGEST_KEY} digits are left out, and items that have no other",
                question.label
            );
        }
        if head.is_ancient || !head.is_plex {
            return Err(context.not_plex(head.is_ancient));
        }
        let number = |name: &str| header(name).and_then(|text| text.trim().parse().ok());
        head.offset = head.offset.or_else(|| number("x-plex-container-start"));
        head.total = head.total.or_else(|| number("x-plex-container-total-size"));
        if question.kind == RequestKind::Identity && head.machine_identifier.as_deref().is_none_or(str::is_empty) {
            return Err(context.no_identity());
        }
        Ok(Followed::Done(head))
    }

    /// Sends a request, and classifies redirects and refusals. The body of a successful reply is unread.
    pub(super) fn deliver(
        &self,
        request: Builder,
        context: &RequestContext<'_>,
        kind: RequestKind,
        bounds: &Bounds<'_>,
    ) -> std::result::Result<Followed<SuccessReply<'_>>, AttemptError> {
        if context.target.origin.secure && !cfg!(feature = "tls") {
            return Err(context.no_tls());
        }
        // Our own addresses are encoded, so only a redirect can contain an invalid URL.
        let request: Request<()> = request
            .body(())
            .map_err(|error| context.bad_redirect(&format!("a redirect to an invalid URL ({error})")))?;
        let left = bounds.deadline.left();
        if left == Some(Duration::ZERO) {
            return Err(context.timeout().into());
        }
        let measured = RequestMeter::new(&*self.meter, kind);
        let sent = if kind == RequestKind::Events {
            self.transport.open_stream(request, self.silence, bounds.aborted)
        } else {
            self.transport.send(request, left, context.silence).map(Some)
        };
        let response = sent.map_err(|error| {
            measured.note_head();
            let (failure, sent) = context.no_reply(error);
            if !sent {
                measured.cancel();
            }
            failure
        })?;
        let Some(response) = response else {
            measured.cancel();
            return Err(retry::aborted(context.what).into());
        };
        measured.note_head();

        let (parts, body) = response.into_parts();
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let encoding = header("content-encoding");
        let progress = BodyProgress::new(&measured, bounds);
        if parts.status.is_redirection() {
            let Some(location) = header("location") else {
                return Err(context.bad_redirect(&format!("a redirect without a target ({})", parts.status.as_u16())));
            };
            body::read_beginning(body, encoding, &progress);
            return match context.target.redirect(location) {
                Redirect::Follow(next) => Ok(Followed::Moved(next)),
                Redirect::Elsewhere(place) => Err(context.redirected_elsewhere(&place)),
            };
        }
        let is_edit = kind == RequestKind::Edit;
        if parts.status != StatusCode::OK && !(is_edit && parts.status.is_success()) {
            let retry_after = header("retry-after").and_then(|text| retry::retry_after(text, self.pause.date()));
            let page = body::read_beginning(body, encoding, &progress);
            let status = parts.status.as_u16();
            return Err(if is_edit {
                context.refused_edit(status, retry_after, &page)
            } else {
                context.refused(status, retry_after, &page)
            });
        }
        Ok(Followed::Done(SuccessReply { measured, parts, body }))
    }

    pub(super) fn request(&self, method: Method, target: &Target, with_token: bool, bounds: &Bounds<'_>) -> Builder {
        let mut request = Request::builder()
            .method(method)
            .uri(target.url())
            .header("X-Plex-Client-Identifier", &self.client_identifier);
        // A host that shares its identifier has given the device a name already.
        if self.client_identifier.as_bytes().starts_with(OWN_IDENTIFIER.as_bytes()) {
            request = request
                .header("X-Plex-Product", "plexindex")
                .header("X-Plex-Version", env!("CARGO_PKG_VERSION"))
                .header("X-Plex-Platform", std::env::consts::OS)
                .header("X-Plex-Device", std::env::consts::OS)
                .header("X-Plex-Device-Name", "plexindex");
        }
        match self.tokens.get(bounds.session) {
            Some(session) if with_token && session.token.is_some() => {
                request.header("X-Plex-Token", token_placeholder(session.number()))
            }
            _ => request,
        }
    }
}

/// The outcome of one request.
pub(super) enum Followed<T> {
    Done(T),
    Moved(Target),
}

/// A successful reply with an unread body.
pub(super) struct SuccessReply<'m> {
    pub measured: RequestMeter<'m>,
    pub parts: response::Parts,
    pub body: Body,
}
