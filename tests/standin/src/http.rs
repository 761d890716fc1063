//! HTTP/1.1: reading requests, writing replies. Nothing of Plex in here.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

/// The longest request head that is read; longer ones are answered 431.
const MAX_HEAD: usize = 1 << 20;

/// A request, as it was sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub keep_alive: bool,
}

impl Request {
    /// A header's value; names without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.next().map(|(_, v)| v.as_str())
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(p, _)| p)
    }

    /// The same without arguments and headers of these names.
    pub fn without(&self, names: &[String]) -> Self {
        let mut fewer = self.clone();
        let has = |name: &str| names.iter().any(|one| one.eq_ignore_ascii_case(name));
        fewer.headers.retain(|(name, _)| !has(name));
        let arguments = form_urlencoded::parse(self.query().as_bytes()).filter(|(name, _)| !has(name));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(arguments)
            .finish();
        fewer.target = format!("{}?{query}", self.path());
        fewer
    }

    /// The query, or an empty text.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, q)| q)
    }
}

/// Why no request was read.
pub(crate) enum ReadError {
    /// The peer closed, the connection broke, or nothing arrived in time.
    Closed,
    /// The request is not HTTP; the status to answer before closing.
    Bad(u16),
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        ReadError::Closed
    }
}

/// Reads requests from one connection.
pub(crate) struct Reader<R> {
    from: R,
    buffer: Vec<u8>,
}

impl<R: Read> Reader<R> {
    pub fn new(from: R) -> Self {
        Reader {
            from,
            buffer: Vec::with_capacity(8 << 10),
        }
    }

    fn fill(&mut self) -> Result<(), ReadError> {
        let mut chunk = [0; 16 << 10];
        match self.from.read(&mut chunk)? {
            0 => Err(ReadError::Closed),
            n => {
                self.buffer.extend_from_slice(&chunk[..n]);
                Ok(())
            }
        }
    }

    /// The next request.
    pub fn next(&mut self) -> Result<Request, ReadError> {
        let (mut request, end) = loop {
            if let Some(head) = parse_head(&self.buffer).map_err(|_| ReadError::Bad(400))? {
                break head;
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(ReadError::Bad(431));
            }
            self.fill()?;
        };
        self.buffer.drain(..end);
        if let Some(connection) = request.header("connection") {
            request.keep_alive = match connection.to_ascii_lowercase().as_str() {
                "close" => false,
                "keep-alive" => true,
                _ => request.keep_alive,
            };
        }
        let length = match request.header("content-length") {
            None => 0,
            Some(text) => text.parse::<usize>().map_err(|_| ReadError::Bad(400))?,
        };
        while self.buffer.len() < length {
            self.fill()?;
        }
        request.body = self.buffer.drain(..length).collect();
        Ok(request)
    }
}

/// A request without its body, and the length of its head; nothing when more has to come.
fn parse_head(bytes: &[u8]) -> Result<Option<(Request, usize)>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(end) = head.parse(bytes)? else {
        return Ok(None);
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        target: head.path.unwrap_or_default().to_owned(),
        keep_alive: head.version == Some(1),
        headers: head
            .headers
            .iter()
            .map(|h| (h.name.to_owned(), text(h.value)))
            .collect(),
        body: Vec::new(),
    };
    Ok(Some((request, end)))
}

/// A reply, before it is written.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub content_type: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Arc<Vec<u8>>,
    /// The body is gzip already.
    pub gzip: bool,
    /// The reply is that of another server.
    pub is_foreign: bool,
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Reply {
            status,
            content_type: content_type.to_owned(),
            headers: Vec::new(),
            body: Arc::new(body.into()),
            gzip: false,
            is_foreign: false,
        }
    }

    /// The HTML page that stands for every error (Plex API notes §1).
    pub fn html(status: u16) -> Self {
        let name = reason(status);
        let body = format!("<html><head><title>{name}</title></head><body><h1>{status} {name}</h1></body></html>");
        Reply::new(status, "text/html", body)
    }

    /// The answer to writes: 200, `text/html`, no body (Plex API notes §1).
    pub fn empty() -> Self {
        Reply::new(200, "text/html", Vec::new())
    }

    /// The head of the reply as bytes. `length`: `Content-Length`, or none for a stream.
    pub fn head(&self, length: Option<usize>, keep_alive: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        if !self.content_type.is_empty() {
            head.push_str(&format!("Content-Type: {}\r\n", self.content_type));
        }
        if let Some(length) = length {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        if self.gzip {
            head.push_str("Content-Encoding: gzip\r\n");
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.is_foreign {
            head.push_str("X-Plex-Protocol: 1.0\r\n");
        }
        head.push_str("Cache-Control: no-cache\r\n");
        head.push_str(if keep_alive {
            "Connection: Keep-Alive\r\nKeep-Alive: timeout=20\r\n\r\n"
        } else {
            "Connection: close\r\n\r\n"
        });
        head.into_bytes()
    }
}

/// Writes head and body with as few system calls as the body's size allows.
pub(crate) fn write_both(mut to: impl Write, head: &[u8], body: &[u8]) -> io::Result<()> {
    let mut sent = 0;
    while sent < head.len() {
        let n = to.write_vectored(&[IoSlice::new(&head[sent..]), IoSlice::new(body)])?;
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        sent += n;
    }
    to.write_all(&body[sent - head.len()..])
}

/// The usual words for a status.
pub(crate) fn reason(status: u16) -> &'static str {
    let known = http::StatusCode::from_u16(status).ok();
    known.and_then(|status| status.canonical_reason()).unwrap_or("Status")
}
