//! Faults: the answers of the next requests of a kind in place of good ones.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::counters::Kind;
use crate::http::Reply;
use crate::state::State;

/// What goes wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Action {
    /// The good reply is this many milliseconds late. Adds to other faults.
    Delay {
        /// Before the head is sent.
        ms: u64,
    },
    /// The reply stops in the middle of the body and continues after this many milliseconds.
    Stall {
        /// Bytes of the body before the pause; default: half of it.
        #[serde(default)]
        after: Option<u64>,
        /// The pause.
        ms: u64,
    },
    /// The body is sent in chunks with a pause after each: slow, but never silent.
    Trickle {
        /// Bytes a chunk.
        chunk: u64,
        /// Milliseconds between two chunks.
        ms: u64,
    },
    /// The connection is closed before anything is sent.
    Drop,
    /// The connection is closed within the body.
    Cut {
        /// Bytes of the body that are sent; default: half of it.
        #[serde(default)]
        after: Option<u64>,
    },
    /// A status: 503 with the Maintenance XML, all others with an HTML page.
    Status {
        /// The status.
        status: u16,
    },
    /// A redirect.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Where to; `{target}` in it is replaced by path and query of the request.
        location: String,
    },
    /// Any reply, which is not Plex's.
    Body {
        /// The status.
        status: u16,
        /// The content type.
        content_type: String,
        /// The body.
        body: String,
    },
    /// The good reply without fields and lists of these names, at any depth.
    Omit {
        /// The names.
        names: Vec<String>,
    },
    /// The good reply to the request without arguments and headers of these names.
    Ignore {
        /// The names.
        names: Vec<String>,
    },
    /// What a test writes itself, for Rust only.
    #[serde(skip)]
    Write(Script<Writing>),
    /// A change before the good reply, for Rust only.
    #[serde(skip)]
    Change(Script<Changing>),
}

/// Writes to a connection, with the first row that was asked for. Returns whether the connection goes on.
type Writing = dyn Fn(&mut dyn Write, u64) -> io::Result<bool> + Send + Sync;
type Changing = dyn Fn(&mut State) + Send + Sync;

/// What a test does.
pub struct Script<F: ?Sized>(pub(crate) Arc<F>);

impl<F: ?Sized> Clone for Script<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F: ?Sized> fmt::Debug for Script<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

impl Action {
    /// Writes the reply, head and body. The connection goes on if this returns true.
    pub fn write(write: impl Fn(&mut dyn Write, u64) -> io::Result<bool> + Send + Sync + 'static) -> Self {
        Action::Write(Script(Arc::new(write)))
    }

    /// A change before the good reply.
    pub fn change(change: impl Fn(&mut State) + Send + Sync + 'static) -> Self {
        Action::Change(Script(Arc::new(change)))
    }

    /// A status.
    pub fn status(status: u16) -> Self {
        Action::Status { status }
    }

    /// Arguments and headers of these names mean nothing.
    pub fn ignore(names: &[&str]) -> Self {
        let names = names.iter().map(ToString::to_string).collect();
        Action::Ignore { names }
    }

    /// Fields and lists of these names are left out.
    pub fn omit(names: &[&str]) -> Self {
        let names = names.iter().map(ToString::to_string).collect();
        Action::Omit { names }
    }

    /// A pause in the body.
    pub fn stall(after: Option<u64>, ms: u64) -> Self {
        Action::Stall { after, ms }
    }

    /// A reply of status 200.
    pub fn body(content_type: &str, body: impl Into<String>) -> Self {
        Action::Body {
            status: 200,
            content_type: content_type.to_owned(),
            body: body.into(),
        }
    }
}

/// A fault and whom it meets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// The kind of request; absent: any.
    #[serde(default)]
    pub kind: Option<Kind>,
    /// A text that the request's target must contain; absent: any.
    #[serde(default)]
    pub contains: Option<String>,
    /// Matching requests that pass first.
    #[serde(default)]
    pub skip: u64,
    /// Requests that get the fault; 0: all from then on.
    #[serde(default = "once")]
    pub count: u64,
    /// What goes wrong.
    #[serde(flatten)]
    pub action: Action,
}

fn once() -> u64 {
    1
}

impl Fault {
    /// Meets the next request of any kind.
    pub fn new(action: Action) -> Self {
        Fault {
            kind: None,
            contains: None,
            skip: 0,
            count: 1,
            action,
        }
    }

    /// The next reply is this late.
    pub fn delay(ms: u64) -> Self {
        Fault::new(Action::Delay { ms })
    }

    /// The next reply has this status.
    pub fn status(status: u16) -> Self {
        Fault::new(Action::status(status))
    }

    /// Only requests of this kind.
    pub fn on(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Only requests whose target has this text.
    pub fn with(mut self, text: &str) -> Self {
        self.contains = Some(text.to_owned());
        self
    }

    /// Lets this many requests pass first.
    pub fn after(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Applies this many times; 0: for ever.
    pub fn times(mut self, count: u64) -> Self {
        self.count = count;
        self
    }
}

/// The faults that wait.
#[derive(Default)]
pub(crate) struct Faults(Vec<Fault>);

/// The faults of one request: a delay, and at most one other.
#[derive(Default)]
pub(crate) struct Met {
    pub delay_ms: u64,
    pub action: Option<Action>,
}

impl Met {
    /// The reply that takes the place of the good one, if the fault has one.
    pub fn reply(&self, target: &str) -> Option<Reply> {
        Some(match self.action.as_ref()? {
            Action::Status { status } => status_page(*status),
            Action::Redirect { status, location } => {
                let mut reply = Reply::html(*status);
                reply.headers.push(("Location", location.replace("{target}", target)));
                reply
            }
            Action::Body {
                status,
                content_type,
                body,
            } => Reply {
                is_foreign: true,
                ..Reply::new(*status, content_type, body.as_bytes())
            },
            _ => return None,
        })
    }
}

/// The error page of a status (Plex API notes §1).
pub(crate) fn status_page(status: u16) -> Reply {
    if status == 503 {
        return Reply::new(
            503,
            "text/xml;charset=utf-8",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response code=\"503\" title=\"Maintenance\" \
             status=\"Plex Media Server is currently running startup maintenance tasks.\"/>\n",
        );
    }
    Reply::html(status)
}

impl Faults {
    pub fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The faults that a request meets; they are used up. Delays add up; of the others the first counts,
    /// and those behind it wait.
    pub fn meet(&mut self, kind: Kind, target: &str) -> Met {
        let mut met = Met::default();
        self.0.retain_mut(|fault| {
            let here =
                fault.kind.is_none_or(|k| k == kind) && fault.contains.as_ref().is_none_or(|t| target.contains(t));
            if !here {
                return true;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                return true;
            }
            match &fault.action {
                Action::Delay { ms } => met.delay_ms += ms,
                _ if met.action.is_some() => return true,
                action => met.action = Some(action.clone()),
            }
            if fault.count == 1 {
                return false;
            }
            fault.count = fault.count.saturating_sub(1);
            true
        });
        met
    }
}
