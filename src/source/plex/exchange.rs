//! One request and the head of its answer: redirects followed, refusals told apart.

use std::time::Duration;

use ureq::Body;
use ureq::http::request::Builder;
use ureq::http::{Method, Request, StatusCode, response};

use crate::model::LONGEST_KEY;

use super::super::contract::{Bounds, RequestKind};
use super::body::{self, BodyError, BodyProgress, RequestMeter};
use super::client::PlexHttp;
use super::errors::RequestContext;
use super::question::{ServerRequest, What};
use super::refused::Refused;
use super::retry::{self, AttemptError};
use super::transport::token_place;
use super::url::{Origin, Redirect, Target};
use super::wire::{Lists, ReplyHead};

/// How many redirects are followed for one request.
const HOPS: usize = 3;

impl PlexHttp {
    /// Asks once, without these arguments, redirects followed.
    pub(super) fn ask_without(
        &self,
        question: &ServerRequest<'_>,
        without: Refused,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
    ) -> std::result::Result<ReplyHead, AttemptError> {
        let address = question.address(without);
        self.follow(&address, &question.what, question.with_token, |target| {
            self.exchange(question, target, bounds, lists)
        })
    }

    /// Sends once, and again where it is sent to.
    pub(super) fn follow<T>(
        &self,
        address: &str,
        what: &What<'_>,
        with_token: bool,
        mut send: impl FnMut(&Target) -> std::result::Result<Followed<T>, AttemptError>,
    ) -> std::result::Result<T, AttemptError> {
        let mut target = Target {
            origin: self.upgraded.get().unwrap_or(&self.base.origin).clone(),
            address: format!("{}{address}", self.base.prefix),
        };
        let mut upgrade = None;
        for _ in 0..=HOPS {
            match send(&target)? {
                Followed::Done(done) => {
                    // Only what has answered is worth staying with.
                    if let Some(origin) = upgrade {
                        self.remember(origin);
                    }
                    return Ok(done);
                }
                Followed::Moved(next) => {
                    log::debug!("{what} moved to {}", next.shown());
                    if next.origin != target.origin && next.address == target.address {
                        upgrade = Some(next.origin.clone());
                    }
                    target = next;
                }
            }
        }
        Err(self.asked(what, with_token, &target).lost("redirected in a circle"))
    }

    pub(super) fn remember(&self, origin: Origin) {
        log::warn!(
            "{} redirects to {origin}: make that server_url, so that the token is never sent in the clear",
            self.base.origin
        );
        // The first thread wins; there is one server only.
        let _ = self.upgraded.set(origin);
    }

    pub(super) fn asked<'a>(&self, what: &'a What<'_>, with_token: bool, target: &'a Target) -> RequestContext<'a> {
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

    /// One request and its answer.
    pub(super) fn exchange(
        &self,
        question: &ServerRequest<'_>,
        target: &Target,
        bounds: &Bounds<'_>,
        lists: &mut Lists<'_>,
    ) -> std::result::Result<Followed<ReplyHead>, AttemptError> {
        let limit = self.transport.read_timeout();
        let asked = RequestContext {
            silence: bounds.silence.map_or(limit, |silence| silence.min(limit)),
            ..self.asked(&question.what, question.with_token, target)
        };
        let mut request = self.request(Method::GET, target, question.with_token, bounds);
        request = request.header("Accept", "application/json").header(
            "Accept-Encoding",
            if self.is_packed(target) { "gzip" } else { "identity" },
        );
        if let Some((start, size)) = question.window {
            request = request
                .header("X-Plex-Container-Start", start)
                .header("X-Plex-Container-Size", size);
        }
        let SuccessReply { measured, parts, body } = match self.deliver(request, &asked, question.kind, bounds)? {
            Followed::Done(answer) => answer,
            Followed::Moved(next) => return Ok(Followed::Moved(next)),
        };
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let encoding = header("content-encoding");
        let progress = BodyProgress::new(&measured, bounds);

        lists.begin();
        let parsed = body::parse(body, encoding, question.limit, &progress, &self.buffers, lists);
        self.way.passed(measured.is_slow());
        let mut head = parsed.map_err(|broken| match lists {
            Lists::Rows(rows) => match (rows.is_over(), broken) {
                (_, aborted @ BodyError::Aborted) => asked.broken(aborted, rows.count),
                (Some(most), _) => asked.broken(BodyError::TooManyRows(most), rows.count),
                (None, broken) => asked.broken(broken, rows.count),
            },
            _ => asked.broken(broken, 0),
        })?;
        if let Lists::Rows(rows) = lists
            && rows.has_long_keys
        {
            log::warn!(
                "{}: keys of more than {LONGEST_KEY} bytes are left out, and items that have no other",
                question.what
            );
        }
        if head.is_ancient || !head.is_plex {
            return Err(asked.not_plex(head.is_ancient));
        }
        let number = |name: &str| header(name).and_then(|text| text.trim().parse().ok());
        head.offset = head.offset.or_else(|| number("x-plex-container-start"));
        head.total = head.total.or_else(|| number("x-plex-container-total-size"));
        if question.kind == RequestKind::Identity && head.machine_identifier.as_deref().is_none_or(str::is_empty) {
            return Err(asked.no_identity());
        }
        Ok(Followed::Done(head))
    }

    /// Whether an answer is worth packing: not one of this machine, where packing and unpacking take many times as long as the
    /// copy that they save. But what is called so may be a tunnel.
    fn is_packed(&self, target: &Target) -> bool {
        !target.origin.is_here() || self.way.is_long()
    }

    /// Sends a request, and sorts out redirects and refusals: the answer of a success is still to be read.
    pub(super) fn deliver(
        &self,
        request: Builder,
        asked: &RequestContext<'_>,
        kind: RequestKind,
        bounds: &Bounds<'_>,
    ) -> std::result::Result<Followed<SuccessReply<'_>>, AttemptError> {
        if asked.target.origin.secure && !cfg!(feature = "tls") {
            return Err(asked.no_tls());
        }
        // Our own addresses are encoded, so only a redirect can lead to what is no URL.
        let request: Request<()> = request
            .body(())
            .map_err(|error| asked.lost(&format!("a redirect to what is no URL ({error})")))?;
        let left = bounds.left();
        if left == Some(Duration::ZERO) {
            return Err(asked.timeout().into());
        }
        let measured = RequestMeter::new(&*self.meter, kind);
        let sent = if kind == RequestKind::Events {
            self.transport.open_stream(request, self.silence, bounds.aborted)
        } else {
            let _owed = self.owed.begin();
            self.transport.send(request, left, asked.silence).map(Some)
        };
        let response = sent.map_err(|error| {
            measured.head_came();
            let (failure, sent) = asked.not_answered(error);
            if !sent {
                measured.not_sent();
            }
            failure
        })?;
        let Some(response) = response else {
            measured.not_sent();
            return Err(retry::aborted(asked.what).into());
        };
        measured.head_came();

        let (parts, body) = response.into_parts();
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let encoding = header("content-encoding");
        let progress = BodyProgress::new(&measured, bounds);
        if parts.status.is_redirection() {
            let Some(location) = header("location") else {
                return Err(asked.lost(&format!("a redirect to nowhere ({})", parts.status.as_u16())));
            };
            body::beginning(body, encoding, &progress);
            return match asked.target.redirect(location) {
                Redirect::Follow(next) => Ok(Followed::Moved(next)),
                Redirect::Elsewhere(place) => Err(asked.sent_elsewhere(&place)),
            };
        }
        let is_edit = kind == RequestKind::Edit;
        if parts.status != StatusCode::OK && !(is_edit && parts.status.is_success()) {
            let retry_after = header("retry-after").and_then(|text| retry::retry_after(text, self.pause.date()));
            let page = body::beginning(body, encoding, &progress);
            let status = parts.status.as_u16();
            return Err(if is_edit {
                asked.refused_edit(status, retry_after, &page)
            } else {
                asked.refused(status, retry_after, &page)
            });
        }
        Ok(Followed::Done(SuccessReply { measured, parts, body }))
    }

    pub(super) fn request(&self, method: Method, target: &Target, with_token: bool, bounds: &Bounds<'_>) -> Builder {
        let request = Request::builder()
            .method(method)
            .uri(target.url())
            .header("X-Plex-Client-Identifier", &self.client_identifier)
            .header("X-Plex-Product", "plexindex")
            .header("X-Plex-Version", env!("CARGO_PKG_VERSION"))
            .header("X-Plex-Platform", std::env::consts::OS)
            .header("X-Plex-Device", std::env::consts::OS)
            .header("X-Plex-Device-Name", "plexindex");
        match self.tokens.get(bounds.session) {
            Some(session) if with_token && session.token.is_some() => {
                request.header("X-Plex-Token", token_place(session.number()))
            }
            _ => request,
        }
    }
}

/// What one request led to.
pub(super) enum Followed<T> {
    Done(T),
    Moved(Target),
}

/// The head of a success, and its body still to be read.
pub(super) struct SuccessReply<'m> {
    pub measured: RequestMeter<'m>,
    pub parts: response::Parts,
    pub body: Body,
}
