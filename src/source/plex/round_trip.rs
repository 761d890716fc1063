//! Sends one request and reads the head of its reply: follows redirects and classifies refusals.

use std::time::Duration;

use ureq::Body;
use ureq::http::{Method, Request, StatusCode, response};

use crate::model::{LONGEST_KEY, OWN_IDENTIFIER};

use super::super::contract::{Bounds, RequestKind};
use super::body::{self, BodyError, BodyProgress, RequestMeter};
use super::client::PlexHttp;
use super::errors::RequestContext;
use super::question::ServerRequest;
use super::retry::{self, AttemptError};
use super::transport::{STREAM_CONNECT, token_placeholder};
use super::url::{Redirect, Target};
use super::wire::{Lists, ReplyHead};

/// Maximum number of redirects for one request.
const HOPS: usize = 3;

impl PlexHttp {
    /// Sends a request once, without optional arguments if `is_minimal`, and parses the reply.
    pub(super) fn ask_once(
        &self,
        question: &ServerRequest<'_>,
        is_minimal: bool,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
    ) -> std::result::Result<ReplyHead, AttemptError> {
        let SuccessReply {
            measured,
            parts,
            body,
            target,
        } = self.round_trip(question, is_minimal, bounds)?;
        let context = self.context(question, &target, bounds);
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
        Ok(head)
    }

    /// Sends a request, and again to each redirect's target. Classifies refusals; the body of a successful reply is
    /// unread.
    pub(super) fn round_trip(
        &self,
        question: &ServerRequest<'_>,
        is_minimal: bool,
        bounds: &Bounds<'_>,
    ) -> std::result::Result<SuccessReply<'_>, AttemptError> {
        let mut target = Target {
            origin: self.base.origin.clone(),
            address: format!("{}{}", self.base.prefix, question.address(is_minimal)),
        };
        for _ in 0..=HOPS {
            let context = self.context(question, &target, bounds);
            if target.origin.secure && !cfg!(feature = "tls") {
                return Err(context.no_tls());
            }
            // Our own addresses are encoded, so only a redirect can contain an invalid URL.
            let request = self
                .request(question, &target, bounds)
                .map_err(|error| context.bad_redirect(&format!("a redirect to an invalid URL ({error})")))?;
            let left = bounds.deadline.left();
            if left == Some(Duration::ZERO) {
                return Err(context.timeout().into());
            }
            let measured = RequestMeter::new(&*self.meter, question.kind);
            let sent = match question.kind {
                RequestKind::Events => self.transport.open_stream(request, self.silence, bounds.aborted),
                // An explicit empty body sends `Content-Length: 0`; otherwise `ureq` would announce a chunked body,
                // which some servers reject.
                RequestKind::Edit => {
                    let request = request.map(|()| &b""[..]);
                    self.transport.send(request, left, context.silence).map(Some)
                }
                _ => self.transport.send(request, left, context.silence).map(Some),
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
            let is_edit = question.kind == RequestKind::Edit;
            if parts.status.is_redirection() {
                let Some(location) = header("location") else {
                    let status = parts.status.as_u16();
                    return Err(context.bad_redirect(&format!("a redirect without a target ({status})")));
                };
                body::read_beginning(body, encoding, &progress);
                target = match target.redirect(location) {
                    Redirect::Follow(next) => next,
                    Redirect::Elsewhere(place) => return Err(context.redirected_elsewhere(&place)),
                };
                log::debug!("{} moved to {}", question.label, target.without_query());
            } else if parts.status == StatusCode::OK || is_edit && parts.status.is_success() {
                return Ok(SuccessReply {
                    measured,
                    parts,
                    body,
                    target,
                });
            } else {
                let retry_after = header("retry-after").and_then(|text| retry::retry_after(text, self.pause.date()));
                let page = body::read_beginning(body, encoding, &progress);
                let status = parts.status.as_u16();
                return Err(if is_edit {
                    context.refused_edit(status, retry_after, &page)
                } else {
                    context.refused(status, retry_after, &page)
                });
            }
        }
        let context = self.context(question, &target, bounds);
        Err(context.bad_redirect("too many redirects"))
    }

    /// What error texts say of a request.
    pub(super) fn context<'a>(
        &self,
        question: &'a ServerRequest<'_>,
        target: &'a Target,
        bounds: &Bounds<'_>,
    ) -> RequestContext<'a> {
        let (has_token, limit) = (self.has_token(), self.transport.read_timeout());
        let connect_timeout = self.transport.connect_timeout();
        let (connect_timeout, silence) = match question.kind {
            RequestKind::Events => (connect_timeout.min(STREAM_CONNECT), self.silence),
            RequestKind::Edit => (connect_timeout, limit),
            _ => (
                connect_timeout,
                bounds.silence.map_or(limit, |silence| silence.min(limit)),
            ),
        };
        RequestContext {
            what: &question.label,
            target,
            with_token: question.with_token && has_token,
            has_token,
            connect_timeout,
            read_timeout: limit,
            silence,
        }
    }

    fn request(
        &self,
        question: &ServerRequest<'_>,
        target: &Target,
        bounds: &Bounds<'_>,
    ) -> ureq::http::Result<Request<()>> {
        let (method, accept) = match question.kind {
            RequestKind::Edit => (Method::PUT, "application/json"),
            RequestKind::Events => (Method::GET, "text/event-stream"),
            _ => (Method::GET, "application/json"),
        };
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
        if let Some(session) = self.tokens.get(bounds.session)
            && question.with_token
            && session.token.is_some()
        {
            request = request.header("X-Plex-Token", token_placeholder(session.number()));
        }
        request = request.header("Accept", accept);
        if !matches!(question.kind, RequestKind::Edit | RequestKind::Events) {
            // On one machine packing takes many times as long as the copy that it saves.
            let encoding = if target.origin.is_loopback_host() {
                "identity"
            } else {
                "gzip"
            };
            request = request.header("Accept-Encoding", encoding);
        }
        if let Some((start, size)) = question.window {
            request = request
                .header("X-Plex-Container-Start", start)
                .header("X-Plex-Container-Size", size);
        }
        request.body(())
    }
}

/// A successful reply with an unread body.
pub(super) struct SuccessReply<'m> {
    pub measured: RequestMeter<'m>,
    pub parts: response::Parts,
    pub body: Body,
    /// What answered, behind all redirects.
    pub target: Target,
}
