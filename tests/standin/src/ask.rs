//! A request as Plex reads it: format, encoding, window, and the token.

use crate::config::Config;
use crate::containers::Window;
use crate::http::{Reply, Request};
use crate::query::Params;
use crate::writer::{Distortion, Format, Writer};

/// The content type of JSON.
pub(crate) const JSON: &str = "application/json";

/// The parameters of a request.
pub(crate) struct Ask<'a> {
    pub request: &'a Request,
    pub params: Params,
    pub format: Format,
    pub gzip: bool,
    pub distortion: Option<Distortion>,
}

impl<'a> Ask<'a> {
    pub fn new(request: &'a Request, distortion: Option<Distortion>) -> Self {
        let accept = request.header("accept").unwrap_or("");
        let json = accept
            .split(',')
            .any(|t| t.split(';').next().unwrap_or("").trim() == "application/json");
        let gzip = request
            .header("accept-encoding")
            .is_some_and(|list| list.split(',').any(wants_gzip));
        Ask {
            request,
            params: Params::parse(request.query()),
            format: if json { Format::Json } else { Format::Xml },
            gzip,
            distortion,
        }
    }

    /// The token: a header, else a query argument (Plex API notes §1).
    pub fn token(&self) -> Option<&str> {
        self.request
            .header("x-plex-token")
            .or_else(|| self.params.get_loose("X-Plex-Token"))
    }

    fn container(&self, name: &str) -> Option<u64> {
        self.request
            .header(name)
            .or_else(|| self.params.get_loose(name))
            .and_then(|v| v.parse().ok())
    }

    /// The size asked for, with or without a start.
    pub fn container_size(&self) -> Option<u64> {
        self.container("X-Plex-Container-Size")
    }

    /// Start and size of the window, if both were given: a size alone is ignored (§3).
    pub fn window(&self, config: &Config) -> Option<(u64, u64)> {
        if config.ignore_paging {
            return None;
        }
        Some((
            self.container("X-Plex-Container-Start")?,
            self.container("X-Plex-Container-Size")?,
        ))
    }

    /// A writer for the reply.
    pub fn writer(&self) -> Writer {
        let mut writer = Writer::new(self.format);
        if let Some(distortion) = &self.distortion {
            writer.distort(distortion.clone());
        }
        writer
    }

    /// A reply with a document in it.
    pub fn reply(&self, config: &Config, body: Vec<u8>) -> Reply {
        let mut reply = match self.format {
            Format::Json => Reply::new(200, JSON, body),
            Format::Xml => Reply::new(200, "text/xml;charset=utf-8", body),
        };
        if self.gzip && config.gzip {
            reply.body = std::sync::Arc::new(crate::cache::gzip(&reply.body));
            reply.gzip = true;
        }
        reply
    }

    /// The same from a function that writes it.
    pub fn document(&self, config: &Config, write: impl FnOnce(&mut Writer)) -> Reply {
        let mut writer = self.writer();
        write(&mut writer);
        self.reply(config, writer.finish())
    }
}

fn wants_gzip(coding: &str) -> bool {
    let (name, rest) = coding.split_once(';').unwrap_or((coding, ""));
    let zero = rest
        .trim()
        .strip_prefix("q=")
        .and_then(|q| q.parse::<f32>().ok())
        .is_some_and(|q| q == 0.0);
    name.trim().eq_ignore_ascii_case("gzip") && !zero
}

/// The headers that repeat a window (§3).
pub(crate) fn window_headers(reply: &mut Reply, window: Window) {
    reply
        .headers
        .push(("X-Plex-Container-Start", window.offset.to_string()));
    if let Some(total) = window.total {
        reply.headers.push(("X-Plex-Container-Total-Size", total.to_string()));
    }
}
