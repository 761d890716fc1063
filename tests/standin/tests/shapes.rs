//! Rows against those of recorded replies: the same fields with the same types.

use std::io::{Read as _, Write as _};

use plexindex_standin::{LibrarySpec, Standin};
use serde_json::Value;

/// The body of a reply.
fn body(server: &Standin, target: &str) -> Vec<u8> {
    let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
    let token = server.token();
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nConnection: close\r\nAccept: application/json\r\nX-Plex-Token: {token}\r\n\r\n"
    )
    .unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    let head = reply.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    reply.split_off(head + 4)
}

/// A row of a document.
fn row(document: &[u8], at: usize) -> Value {
    let document: Value = serde_json::from_slice(document).unwrap();
    document["MediaContainer"]["Metadata"][at].clone()
}

fn recorded(name: &str, at: usize) -> Value {
    let path = format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    row(&std::fs::read(path).unwrap(), at)
}

/// Every field of the recorded value is in the other one, with the same type; lists by their first rows.
fn same_shape(recorded: &Value, made: &Value, at: &str, but: &[&str]) {
    let [left, right] = [recorded, made].map(std::mem::discriminant);
    assert_eq!(left, right, "{at}: {recorded} and {made}");
    match (recorded, made) {
        (Value::Object(recorded), Value::Object(made)) => {
            for (name, value) in recorded.iter().filter(|(name, _)| !but.contains(&name.as_str())) {
                let at = format!("{at}.{name}");
                let other = made.get(name).unwrap_or_else(|| panic!("{at} is missing"));
                same_shape(value, other, &at, but);
            }
        }
        (Value::Array(recorded), Value::Array(made)) => {
            if let (Some(r), Some(m)) = (recorded.first(), made.first()) {
                same_shape(r, m, &format!("{at}[]"), but);
            }
        }
        _ => {}
    }
}

#[test]
fn generated_rows_have_the_recorded_shape() {
    let server = Standin::builder().library(LibrarySpec::movies(20).plain());
    let server = server.library(LibrarySpec::shows(20).plain()).serve();
    let listed = |target: &str| row(&body(&server, target), 0);
    let movie = listed("/library/sections/1/all?type=1&sort=id");
    same_shape(&recorded("movie_library.json", 0), &movie, "movie", &["Collection"]);
    let movie = listed(&format!("/library/metadata/{}", movie["ratingKey"].as_str().unwrap()));
    // What only some movies have, and what nobody asks for.
    let but = [
        "Producer", "Similar", "Stream", "Field", "id", "filter", "tagKey", "role", "thumb", "count",
    ];
    same_shape(&recorded("metadata_108.json", 0), &movie, "detail", &but);
    let show = listed("/library/sections/2/all?type=2&sort=id");
    same_shape(&recorded("tv_library.json", 1), &show, "show", &["Collection"]);
    let episode = listed("/library/sections/2/all?type=4&sort=id");
    same_shape(&recorded("tv_episodes.json", 0), &episode, "episode", &[]);
}

#[test]
fn sizes_are_realistic() {
    let server = Standin::builder().library(LibrarySpec::movies(1000)).serve();
    let slim = "/library/sections/1/all?type=1&includeGuids=1&excludeElements=Genre,Country,Director,Writer,\
                Role,Producer,Collection,Rating,Similar,Style,Mood,Image,UltraBlurColors&excludeFields=summary,tagline";
    let slim = body(&server, slim).len() / 1000;
    assert!((900..1_400).contains(&slim), "{slim} bytes of JSON an item");
}
