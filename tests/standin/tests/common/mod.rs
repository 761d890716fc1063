//! A small HTTP client for the tests: one connection, nothing hidden.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use plexindex_standin::Standin;
use serde_json::Value;

/// A reply as it came over the wire.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// The body is as long as its head said.
    pub whole: bool,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, v) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then_some(v.trim())
        })
    }

    pub fn plain(&self) -> Vec<u8> {
        if self.header("content-encoding") != Some("gzip") {
            return self.body.clone();
        }
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(self.body.as_slice())
            .read_to_end(&mut out)
            .unwrap();
        out
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.plain()).unwrap()
    }

    /// The container of a JSON reply.
    pub fn container(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.head);
        let mut document: Value = serde_json::from_slice(&self.plain()).unwrap();
        document["MediaContainer"].take()
    }

    /// The rating keys of a JSON reply's rows.
    pub fn keys(&self) -> Vec<u64> {
        rows(&self.container())
            .iter()
            .map(|row| row["ratingKey"].as_str().unwrap().parse().unwrap())
            .collect()
    }
}

/// The rows of a container.
pub fn rows(container: &Value) -> Vec<Value> {
    container["Metadata"].as_array().cloned().unwrap_or_default()
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    token: String,
    buffer: Vec<u8>,
}

impl Client {
    pub fn new(server: &Standin) -> Self {
        Self::with_token(server, &server.token())
    }

    pub fn with_token(server: &Standin, token: &str) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client {
            stream,
            token: token.to_owned(),
            buffer: Vec::new(),
        }
    }

    /// A request with these headers and no others; `None`: the connection ended before a head.
    pub fn raw(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Option<Reply> {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: test\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body);
        self.stream.write_all(text.as_bytes()).ok()?;
        self.reply()
    }

    fn fill(&mut self) -> bool {
        let mut chunk = [0; 65536];
        match self.stream.read(&mut chunk) {
            Ok(n) if n > 0 => {
                self.buffer.extend_from_slice(&chunk[..n]);
                true
            }
            _ => false,
        }
    }

    fn reply(&mut self) -> Option<Reply> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at;
            }
            if !self.fill() {
                return None;
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut reply = Reply {
            status,
            head,
            body: Vec::new(),
            whole: true,
        };
        let length = reply.header("content-length").map_or(0, |l| l.parse().unwrap());
        while self.buffer.len() < length {
            if !self.fill() {
                reply.whole = false;
                break;
            }
        }
        let length = length.min(self.buffer.len());
        reply.body = self.buffer.drain(..length).collect();
        Some(reply)
    }

    /// JSON with the token.
    pub fn get(&mut self, target: &str) -> Reply {
        self.get_with(target, &[])
    }

    pub fn get_with(&mut self, target: &str, more: &[(&str, &str)]) -> Reply {
        let token = self.token.clone();
        let mut headers = vec![("Accept", "application/json"), ("X-Plex-Token", token.as_str())];
        headers.extend_from_slice(more);
        self.raw("GET", target, &headers, "").expect("a reply")
    }

    /// A page of a listing in JSON.
    pub fn page(&mut self, target: &str, start: u64, size: u64) -> Reply {
        self.get_with(
            target,
            &[
                ("X-Plex-Container-Start", &start.to_string()),
                ("X-Plex-Container-Size", &size.to_string()),
            ],
        )
    }

    /// XML with the token.
    pub fn xml(&mut self, target: &str) -> Reply {
        let token = self.token.clone();
        self.raw("GET", target, &[("Accept", "*/*"), ("X-Plex-Token", &token)], "")
            .expect("a reply")
    }

    pub fn put(&mut self, target: &str) -> Reply {
        let token = self.token.clone();
        self.raw("PUT", target, &[("X-Plex-Token", &token)], "")
            .expect("a reply")
    }

    /// A control request; its JSON.
    pub fn control(&mut self, method: &str, name: &str, body: &str) -> Value {
        let reply = self
            .raw(method, &format!("/_standin/{name}"), &[], body)
            .expect("a reply");
        serde_json::from_slice(&reply.body).unwrap()
    }
}
