//! Rows against those of recorded replies: the same fields with the same types.

use std::io::{Read as _, Write as _};

use plexindex_standin::{ItemSpec, LibrarySpec, MediaSpec, Standin};
use serde_json::Value;

/// The body of a reply.
fn body(server: &Standin, target: &str, accept: &str) -> Vec<u8> {
    let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
    let token = server.token();
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nAccept: {accept}\r\nX-Plex-Token: {token}\r\n\r\n"
    )
    .unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    let head = reply.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    reply.split_off(head + 4)
}

/// The container of a reply.
fn get(server: &Standin, target: &str) -> Value {
    let mut document: Value = serde_json::from_slice(&body(server, target, "application/json")).unwrap();
    document["MediaContainer"].take()
}

/// The rows of a container.
fn rows(container: &Value) -> Vec<Value> {
    container["Metadata"].as_array().cloned().unwrap_or_default()
}

fn recorded(name: &str) -> Value {
    let path = format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    document["MediaContainer"].take()
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Every field of the recorded value is in the other one, with the same type; lists by their first rows.
fn same_shape(recorded: &Value, made: &Value, at: &str, but: &[&str]) {
    assert_eq!(name_of(recorded), name_of(made), "{at}");
    match (recorded, made) {
        (Value::Object(recorded), Value::Object(made)) => {
            for (name, value) in recorded {
                if but.contains(&name.as_str()) {
                    continue;
                }
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
    let server = Standin::builder()
        .library(LibrarySpec::movies(20).plain())
        .library(LibrarySpec::shows(20).plain())
        .start()
        .unwrap();
    let row = |target: &str| rows(&get(&server, target))[0].clone();
    let movie = row("/library/sections/1/all?type=1&sort=id");
    same_shape(
        &rows(&recorded("movie_library.json"))[0],
        &movie,
        "movie",
        &["Collection"],
    );
    let movie = row(&format!("/library/metadata/{}", movie["ratingKey"].as_str().unwrap()));
    // What only some movies have, and details of the streams.
    same_shape(
        &rows(&recorded("metadata_108.json"))[0],
        &movie,
        "detail",
        &["Producer", "Similar", "Stream", "role", "thumb", "count"],
    );
    assert!(movie["Media"][0]["Part"][0]["Stream"][0]["codec"].is_string());
    let show = row("/library/sections/2/all?type=2&sort=id");
    same_shape(&rows(&recorded("tv_library.json"))[1], &show, "show", &["Collection"]);
    let key = show["ratingKey"].as_str().unwrap();
    let season = row(&format!("/library/metadata/{key}/children"));
    same_shape(
        &rows(&recorded("tv_seasons.json"))[0],
        &season,
        "season",
        &["parentYear", "parentStudio"],
    );
    let key = season["ratingKey"].as_str().unwrap();
    let episode = row(&format!("/library/metadata/{key}/children"));
    same_shape(&rows(&recorded("tv_episodes.json"))[0], &episode, "episode", &[]);
}

#[test]
fn odd_items_composed_from_the_notes() {
    let server = Standin::builder()
        .library(LibrarySpec::movies(0))
        .items(
            1,
            [
                ItemSpec {
                    files: vec![
                        MediaSpec::Stacked(vec!["/m/a - part1.mkv".into(), "/m/a - part2.mkv".into()]),
                        MediaSpec::Full {
                            parts: vec!["/m/Plex Versions/Optimized for TV/a.mp4".into()],
                            analysed: true,
                            optimized: Some("Optimized for TV".into()),
                        },
                    ],
                    ..ItemSpec::file("A", "")
                },
                ItemSpec {
                    files: vec![MediaSpec::Full {
                        parts: vec!["/m/b.mkv".into()],
                        analysed: false,
                        optimized: None,
                    }],
                    ..ItemSpec::file("B", "")
                },
                ItemSpec {
                    files: vec![],
                    ..ItemSpec::file("C", "")
                },
                ItemSpec::file("D", ""),
            ],
        )
        .start()
        .unwrap();
    let container = get(&server, "/library/sections/1/all?type=1&sort=id");
    let rows = rows(&container);
    assert_eq!(rows[0]["Media"][0]["Part"].as_array().unwrap().len(), 2);
    assert_eq!(rows[0]["Media"][1]["proxyType"], 42);
    assert_eq!(rows[0]["Media"][1]["optimizedForStreaming"], 1);
    assert_eq!(rows[0]["Media"][1]["Part"][0]["optimizedForStreaming"], true);
    let media = rows[1]["Media"][0].as_object().unwrap();
    assert_eq!(media.keys().collect::<Vec<_>>(), ["Part", "id"]);
    let part = media["Part"][0].as_object().unwrap();
    assert_eq!(part.keys().collect::<Vec<_>>(), ["file", "id", "key", "size"]);
    assert!(rows[2].get("Media").is_none());
    assert!(rows[3]["Media"][0]["Part"][0].get("file").is_none());
}

#[test]
fn music_photos_and_videos() {
    let server = Standin::builder()
        .library(LibrarySpec::music(25).plain())
        .library(LibrarySpec::photos(120))
        .library(LibrarySpec::other_videos(10).plain())
        .start()
        .unwrap();
    let list = |target: &str| rows(&get(&server, target));
    for (number, kind) in [(8, "artist"), (9, "album"), (10, "track")] {
        let rows = list(&format!("/library/sections/1/all?type={number}"));
        assert!(
            rows.iter()
                .all(|r| r["type"] == kind && (number < 10) == r["Media"].is_null())
        );
    }
    assert_eq!(list("/library/sections/1/all")[0]["type"], "artist");
    let track = &list("/library/sections/1/all?type=10&includeGuids=1")[0];
    assert!(track.get("updatedAt").is_none());
    assert!(track["Guid"][0]["id"].as_str().unwrap().starts_with("mbid://"));
    let albums = list("/library/sections/2/all?type=14");
    assert_eq!(albums.len(), 2);
    assert!(albums[0]["type"] == "photo" && albums[0]["key"].as_str().unwrap().ends_with("/children"));
    for (number, count) in [(13, 118), (12, 2)] {
        let target = format!("/library/sections/2/all?type={number}");
        assert_eq!(list(&target).len(), 0);
        assert_eq!(list(&format!("{target}&sort=id&title=e")).len(), 0);
        assert_eq!(list(&format!("{target}&clusterZoomLevel=1")).len(), count);
    }
    let clips = list("/library/sections/2/all?type=12&clusterZoomLevel=1");
    assert_eq!(clips[0]["type"], "clip");
    let video = &list("/library/sections/3/all?type=1")[0];
    assert!(video["type"] == "movie" && video["subtype"] == "clip");
    let sections = get(&server, "/library/sections");
    assert_eq!(sections["Directory"][2]["type"], "movie");
    assert_eq!(sections["Directory"][2]["agent"], "tv.plex.agents.none");
}

#[test]
fn sizes_are_realistic() {
    let server = Standin::builder().library(LibrarySpec::movies(1000)).start().unwrap();
    let xml = body(&server, "/library/sections/1/all?type=1&includeGuids=1", "text/xml").len() / 1000;
    assert!((1_700..2_700).contains(&xml), "{xml} bytes of XML an item");
    let slim = "/library/sections/1/all?type=1&includeGuids=1&excludeElements=Genre,Country,Director,Writer,\
                Role,Producer,Collection,Rating,Similar,Style,Mood,Image,UltraBlurColors&excludeFields=summary,tagline";
    let slim = body(&server, slim, "application/json").len() / 1000;
    assert!((900..1_400).contains(&slim), "{slim} bytes of JSON an item");
}
