//! A request as Plex reads it: format, encoding, window, and the token.

use std::sync::Arc;

use crate::containers::Window;
use crate::http::{Reply, Request};
use crate::query::Params;
use crate::tree::{Format, Row};

/// The parameters of a request.
pub(crate) struct Ask<'a> {
    pub request: &'a Request,
    pub params: Params,
    pub format: Format,
    pub gzip: bool,
    /// Names of fields that a fault leaves out.
    pub omitted: Vec<String>,
}

impl<'a> Ask<'a> {
    pub fn new(request: &'a Request) -> Self {
        let accepts = |header: &str, what: &str| {
            let mut list = request.header(header).unwrap_or("").split(',');
            list.any(|one| one.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(what))
        };
        Ask {
            request,
            params: Params::parse(request.query()),
            format: if accepts("accept", "application/json") {
                Format::Json
            } else {
                Format::Xml
            },
            gzip: accepts("accept-encoding", "gzip"),
            omitted: Vec::new(),
        }
    }

    /// The token: a header, else a query argument (Plex API notes §1).
    pub fn token(&self) -> Option<&str> {
        self.argument("X-Plex-Token")
    }

    fn argument(&self, name: &str) -> Option<&str> {
        self.request.header(name).or_else(|| self.params.get_loose(name))
    }

    /// Start and size of the window, if both were given: a size alone is ignored (§3).
    pub fn window(&self) -> Option<(u64, u64)> {
        let start = self.argument("X-Plex-Container-Start")?.parse().ok()?;
        Some((start, self.argument("X-Plex-Container-Size")?.parse().ok()?))
    }

    /// Leaves out what the request excludes.
    pub fn excluded(&self, mut rows: Vec<Row>) -> Vec<Row> {
        let (elements, fields) = (self.params.list("excludeElements"), self.params.list("excludeFields"));
        rows.iter_mut().for_each(|row| row.exclude(&elements, &fields));
        rows
    }

    /// A document as it goes over the wire: distorted, written, compressed.
    pub fn reply(&self, mut document: Row) -> Reply {
        document.omit(&self.omitted);
        let body = document.write(self.format);
        let body = if self.gzip { crate::cache::gzip(&body) } else { body };
        self.reply_of(Arc::new(body), self.gzip, None)
    }

    /// The same of a body that is ready. A window is repeated in headers (§3).
    pub fn reply_of(&self, body: Arc<Vec<u8>>, gzip: bool, window: Option<Window>) -> Reply {
        let content_type = match self.format {
            Format::Json => "application/json",
            Format::Xml => "text/xml;charset=utf-8",
        };
        let mut reply = Reply::new(200, content_type, Vec::new());
        (reply.body, reply.gzip) = (body, gzip);
        if let Some(window) = window {
            let offset = ("X-Plex-Container-Start", window.offset.to_string());
            let total = window
                .total
                .map(|total| ("X-Plex-Container-Total-Size", total.to_string()));
            reply.headers.extend(std::iter::once(offset).chain(total));
        }
        reply
    }
}
