//! HTTP/1.1 by hand: reading requests, writing replies. Nothing of Plex in here.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

/// The longest request head that is read; longer ones are answered 431.
const MAX_HEAD: usize = 1 << 20;
/// The longest request body that is read; longer ones are answered 413.
const MAX_BODY: usize = 256 << 20;

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
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(p, _)| p)
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

impl<R: Read + Write> Reader<R> {
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
        let mut searched = 0;
        let end = loop {
            let from = usize::saturating_sub(searched, 3);
            if let Some(at) = self.buffer[from..].windows(4).position(|w| w == b"\r\n\r\n") {
                break from + at;
            }
            searched = self.buffer.len();
            if searched > MAX_HEAD {
                return Err(ReadError::Bad(431));
            }
            self.fill()?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap_or("").split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (first.next(), first.next(), first.next(), first.next())
        else {
            return Err(ReadError::Bad(400));
        };
        if !version.starts_with("HTTP/1.") || method.is_empty() || !target.starts_with('/') {
            return Err(ReadError::Bad(400));
        }
        let mut request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            keep_alive: version == "HTTP/1.1",
        };
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                return Err(ReadError::Bad(400));
            };
            request.headers.push((name.to_owned(), value.trim().to_owned()));
        }
        if let Some(connection) = request.header("connection") {
            request.keep_alive = match connection.to_ascii_lowercase().as_str() {
                "close" => false,
                "keep-alive" => true,
                _ => request.keep_alive,
            };
        }
        if request.header("transfer-encoding").is_some() {
            return Err(ReadError::Bad(411));
        }
        let length = match request.header("content-length") {
            None => 0,
            Some(text) => text.parse::<usize>().map_err(|_| ReadError::Bad(400))?,
        };
        if length > MAX_BODY {
            return Err(ReadError::Bad(413));
        }
        if length > self.buffer.len()
            && request
                .header("expect")
                .is_some_and(|e| e.eq_ignore_ascii_case("100-continue"))
        {
            self.from.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        while self.buffer.len() < length {
            self.fill()?;
        }
        request.body = self.buffer.drain(..length).collect();
        Ok(request)
    }
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
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Reply {
            status,
            content_type: content_type.to_owned(),
            headers: Vec::new(),
            body: Arc::new(body.into()),
            gzip: false,
        }
    }

    /// The HTML page that stands for every error (Plex API notes §1).
    pub fn html(status: u16) -> Self {
        let name = reason(status);
        Reply::new(
            status,
            "text/html",
            format!("<html><head><title>{name}</title></head><body><h1>{status} {name}</h1></body></html>"),
        )
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
        head.push_str("X-Plex-Protocol: 1.0\r\nCache-Control: no-cache\r\n");
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
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        498 => "Invalid Token",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
