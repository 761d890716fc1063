//! Counters, gzip, details, events, control: what goes over the wire.

use std::net::TcpStream;

use crate::common::{Client, rows};
use plexindex_standin::{Event, FIRST_KEY, ItemSpec, Kind, LibrarySpec, Standin};
use serde_json::json;

const ALL: &str = "/library/sections/1/all?type=1&sort=id";

fn server(movies: u32) -> Standin {
    Standin::builder().library(LibrarySpec::movies(movies)).start().unwrap()
}

#[test]
fn requests_are_counted_by_kind() {
    let server = server(30);
    let mut client = Client::new(&server);
    let mut bytes = 0;
    for target in [
        "/identity",
        "/",
        "/library/sections",
        ALL,
        "/library/sections/1/all?title=x",
        "/library/sections/1/all?file=x&type=1",
        "/library/metadata/1001,1002",
        "/library/metadata/1001/children",
        "/library/sections/1/refresh",
        "/library",
    ] {
        bytes += client.get(target).body.len() as u64;
    }
    bytes += client.page(ALL, 0, 0).body.len() as u64;
    bytes += client
        .put("/library/sections/1/all?type=1&id=1001&title.value=T")
        .body
        .len() as u64;
    let stats = server.stats();
    for (kind, count) in [
        (Kind::Identity, 1),
        (Kind::Root, 1),
        (Kind::Sections, 1),
        (Kind::Listing, 1),
        (Kind::Search, 2),
        (Kind::Metadata, 2),
        (Kind::Refresh, 1),
        (Kind::Count, 1),
        (Kind::Edit, 1),
        (Kind::Other, 1),
        (Kind::Events, 0),
    ] {
        assert_eq!(stats.of(kind), count, "{kind:?}");
    }
    assert_eq!(stats.total, 12);
    assert_eq!(stats.bytes, bytes);
    assert_eq!(stats.connections, 1);
    let shown = client.control("GET", "stats", "");
    assert_eq!(shown["requests"]["search"], 2);
    assert_eq!(shown["total"], 12);
    let log = server.log();
    assert_eq!(log.len(), 12);
    assert_eq!(log[3].target, ALL);
    assert!(log[3].token_in_header && !log[3].token_in_query);
    assert!(!log[3].headers.contains_key("x-plex-token"));
    assert_eq!(log[10].headers["x-plex-container-size"], "0");
    client.control("POST", "reset", "");
    assert_eq!(server.stats().total, 0);
}

#[test]
fn gzip_only_when_asked_and_pages_are_kept() {
    let server = server(500);
    let mut client = Client::new(&server);
    let plain = client.get(ALL);
    assert!(plain.header("content-encoding").is_none());
    let packed = client.get_with(ALL, &[("Accept-Encoding", "deflate, gzip;q=0.8")]);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(packed.plain(), plain.body);
    assert!(packed.body.len() * 4 < plain.body.len());
    let refused = client.get_with(ALL, &[("Accept-Encoding", "gzip;q=0")]);
    assert!(refused.header("content-encoding").is_none());
    let again = client.get_with(ALL, &[("Accept-Encoding", "gzip")]);
    assert_eq!(again.body, packed.body);
    // A change is seen at once, however well pages are kept.
    client.put(&format!(
        "/library/sections/1/all?type=1&id={FIRST_KEY}&title.value=Changed"
    ));
    assert_eq!(rows(&client.get(ALL).container())[0]["title"], "Changed");
}

#[test]
fn details_leave_missing_items_out() {
    let server = server(5);
    let mut client = Client::new(&server);
    let reply = client.get(&format!("/library/metadata/{},99,{}", FIRST_KEY + 3, FIRST_KEY));
    assert_eq!(reply.keys(), [FIRST_KEY + 3, FIRST_KEY]);
    assert_eq!(rows(&reply.container())[0]["librarySectionID"], 1);
    let reply = client.get("/library/metadata/98,99");
    assert_eq!(reply.status, 404);
    assert!(reply.text().contains("<h1>404 Not Found</h1>"));
    assert_eq!(client.get("/library/metadata/abc").status, 404);
    assert_eq!(client.get("/nowhere").status, 404);
    server.config(|c| c.maintenance = true);
    assert_eq!(client.get("/library/sections").status, 503);
    assert_eq!(client.get("/identity").status, 200);
}

#[test]
fn events_arrive_one_by_one() {
    let server = server(5);
    server.config(|c| c.ping_ms = 40);
    let mut stream = Client::new(&server);
    let head = stream.get("/:/eventsource/notifications?filters=timeline,activity");
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(stream.more(), "event: ping\ndata: {}\n\n");
    server.config(|c| c.ping_ms = 60_000);
    assert_eq!(server.listeners(), 1);
    let mut seen = String::new();
    let mut wait_for = |what: &str, stream: &mut Client| {
        while !seen.contains(what) {
            let more = stream.more();
            assert!(!more.is_empty(), "the stream ended before {what}: {seen}");
            seen.push_str(&more);
        }
    };
    // Wakes the stream, which still waits for its short ping.
    let key = server
        .change(|s| s.add_items(1, vec![ItemSpec::file("E", "/data/movies/E.mkv")], true))
        .unwrap()[0];
    wait_for(&format!("\"itemID\":\"{key}\""), &mut stream);
    wait_for("event: timeline\ndata: {\"TimelineEntry\":{", &mut stream);
    server
        .change(|s| s.stage_items(1, vec![ItemSpec::file("F", "/data/movies/F.mkv")]))
        .unwrap();
    server.config(|c| c.scan_ms = 30);
    let mut client = Client::new(&server);
    assert_eq!(client.get("/library/sections/1/refresh?path=/elsewhere").body.len(), 0);
    assert_eq!(
        client.get("/library/sections").container()["Directory"][0]["refreshing"],
        false
    );
    client.get("/library/sections/1/refresh?path=/data/movies/F.mkv");
    assert_eq!(
        client.get("/library/sections").container()["Directory"][0]["refreshing"],
        true
    );
    assert_eq!(
        client.get("/activities").container()["Activity"][1]["type"],
        "library.update.section"
    );
    wait_for("\"event\":\"ended\"", &mut stream);
    assert_eq!(client.get(ALL).keys().len(), 7);
    assert!(!seen.contains("event: status"));
    server.push(&Event::new("timeline", json!({"TimelineEntry": {"sectionID": -1}})));
    assert_eq!(
        stream.more(),
        "event: timeline\ndata: {\"TimelineEntry\":{\"sectionID\":-1}}\n\n"
    );
}

#[test]
fn bad_requests_do_no_harm() {
    let server = server(3);
    for text in [
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/2\r\n\r\n",
        "GET x HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        use std::io::{Read, Write};
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 4"), "{text:?}: {reply}");
    }
    let mut client = Client::new(&server);
    for target in [
        "/library/sections/x/all",
        "/library/sections/1/all?type=x",
        "/library/metadata/,,",
        "/%zz?%",
        "/library/sections/1/all/more",
        "/library/sections/99999999999999999999",
        "/library/sections/1/all?id=&type=1",
        "/library/sections/1/all?addedAt>=-99999999999999999y",
    ] {
        let status = client.get(target).status;
        assert!([200, 400, 404].contains(&status), "{target}: {status}");
    }
    let reply = client.page(ALL, u64::MAX, u64::MAX);
    assert_eq!(reply.keys().len(), 0);
    assert_eq!(client.control("POST", "items/add", "{")["ok"], false);
    assert_eq!(client.control("POST", "nonsense", "")["ok"], false);
    let typo = r#"{"kinds":"listing","action":"drop"}"#;
    assert_eq!(client.control("POST", "faults", typo)["ok"], false);
}

#[test]
fn control_over_http() {
    let server = server(20);
    let mut client = Client::new(&server);
    let mut post = |name: &str, body: &str| {
        let reply = client.control("POST", name, body);
        assert_eq!(reply["ok"], true, "{name}: {reply}");
        reply
    };
    let added = post(
        "items/add",
        r#"{"library":1,"items":[{"title":"A","year":2001,"files":["/data/movies/a.mkv",["/data/movies/b1.mkv","/data/movies/b2.mkv"]],"guids":["imdb://tt1"],"ratingKey":"5000"}]}"#,
    );
    assert_eq!(added["ratingKeys"], json!(["5000"]));
    post(
        "items/rename",
        r#"{"ratingKey":5000,"from":"/data/movies/a.mkv","to":"/data/movies/c.mkv"}"#,
    );
    post("items/set", r#"{"ratingKey":"5000","title":"B"}"#);
    post("items/touch", r#"{"ratingKeys":["5000"],"updatedAt":1700000000}"#);
    post(
        "items/files",
        r#"{"ratingKey":1001,"files":[{"parts":["/x.mkv"],"analysed":false}]}"#,
    );
    post("items/missing", r#"{"ratingKeys":[1002]}"#);
    post("items/remove", r#"{"ratingKeys":[1003,"1004"]}"#);
    let library = post(
        "library/add",
        r#"{"kind":"show","items":30,"title":"Serien","plain":true}"#,
    );
    assert_eq!(library["library"], 2);
    post(
        "library/set",
        r#"{"library":1,"title":"Filme","contentChangedAt":77,"contentClock":"frozen","refreshing":true,"locations":["/a","/b"]}"#,
    );
    post("library/scan", r#"{"library":2}"#);
    post("library/rekey", r#"{"library":2}"#);
    post("library/empty", r#"{"library":2}"#);
    post("library/remove", r#"{"library":2}"#);
    post(
        "shift",
        r#"{"library":1,"beforePage":1,"remove":["1005"],"add":[{"title":"S","files":["/s.mkv"]}]}"#,
    );
    post("config", r#"{"maxPage":5,"fileFilter":"ignored","pingMs":100}"#);
    post("identity", r#"{"machineIdentifier":"abc"}"#);
    post(
        "tokens",
        r#"{"tokens":[{"token":"t2"},{"token":"t3","libraries":[1],"owner":false}]}"#,
    );
    post(
        "faults",
        r#"[{"kind":"listing","action":"delay","ms":1},{"action":"body","status":200,"contentType":"a/b","body":"x","count":0}]"#,
    );
    post("faults/clear", "");
    post("event", r#"{"event":"status","data":{}}"#);
    post("clock", r#"{"now":1790000500}"#);
    post("refuse", r#"{"ms":50}"#);
    post("connections/close", "");
    post("reset", "");
    let state = client.control("GET", "state", "");
    assert_eq!(state["libraries"][0]["title"], "Filme");
    assert_eq!(state["libraries"][0]["contentChangedAt"], 77);
    assert_eq!(state["identity"]["machineIdentifier"], "abc");
    assert_eq!(client.control("GET", "config", "")["maxPage"], 5);
    assert_eq!(client.control("GET", "faults", ""), json!([]));
    assert_eq!(client.control("GET", "log", ""), json!([]));
    assert_eq!(server.stats().total, 0);
}
