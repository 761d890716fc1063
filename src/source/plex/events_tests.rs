//! Events as servers send them, and malformed ones.

use super::*;

fn events(json: &str) -> Vec<Event> {
    parse_notification(json.as_bytes()).expect(json).events
}

#[allow(clippy::unnecessary_wraps)] // as events have it
fn in_one() -> Option<String> {
    Some("1".to_owned())
}

fn changed(key: &str, stamp: Option<i64>) -> Event {
    Event::Changed {
        section: in_one(),
        rating_key: key.to_owned(),
        stamp,
    }
}

fn deleted(key: &str) -> Event {
    Event::Deleted {
        section: in_one(),
        rating_key: key.to_owned(),
    }
}

/// Both shapes: a frame with its wrapper and a list, and the bare object.
fn both(kind: &str, name: &str, entry: &str) -> Vec<Event> {
    let bare = events(&format!("{{\"{name}\":{entry}}}"));
    let wrapped = format!("{{\"NotificationContainer\":{{\"type\":\"{kind}\",\"size\":1,\"{name}\":[{entry}]}}}}");
    assert_eq!(events(&wrapped), bare, "{wrapped}");
    bare
}

fn timeline_of(rest: &str) -> Vec<Event> {
    both(
        "timeline",
        "TimelineEntry",
        &format!("{{\"identifier\":\"{LIBRARY_IDENTIFIER}\",\"sectionID\":\"1\",\"itemID\":\"108\",\"type\":1{rest}}}"),
    )
}

#[test]
fn timeline_events_name_items() {
    for (rest, expected) in [
        (r#","state":5,"updatedAt":7"#, changed("108", Some(7))),
        (r#","state":5"#, changed("108", None)),
        (
            r#","state":0,"metadataState":"created","updatedAt":7"#,
            changed("108", None),
        ),
        // A replaced file changes no time stamp of its item, so this event never counts as a repetition.
        (
            r#","state":5,"mediaState":"analyzing","updatedAt":7"#,
            changed("108", None),
        ),
        (r#","state":1,"mediaState":"analyzing""#, changed("108", None)),
        (r#","state":9,"metadataState":"deleted""#, deleted("108")),
        (r#","state":"9""#, deleted("108")),
    ] {
        assert_eq!(timeline_of(rest), [expected], "{rest}");
    }
    for state in 1..5 {
        assert_eq!(
            timeline_of(&format!(",\"state\":{state}")),
            [Event::Working { section: in_one() }]
        );
    }
}

#[test]
fn timeline_events_may_lack_an_item_or_a_library() {
    let anywhere = Event::Changed {
        section: None,
        rating_key: "108".into(),
        stamp: None,
    };
    for (entry, expected) in [
        // Numbers are accepted as well as texts, and names as in webhooks.
        (
            r#"{"identifier":"com.plexapp.plugins.library","sectionID":1,"itemID":108,"state":9}"#,
            vec![deleted("108")],
        ),
        (r#"{"sectionID":1,"ratingKey":108,"state":9}"#, vec![deleted("108")]),
        (
            r#"{"sectionID":1,"itemID":null,"ratingKey":108,"state":9}"#,
            vec![deleted("108")],
        ),
        (r#"{"sectionID":-1,"itemID":"108","state":5}"#, vec![anywhere]),
        (
            r#"{"sectionID":"1","itemID":-1,"state":5}"#,
            vec![Event::Unspecific { section: in_one() }],
        ),
        // Neither concerns a library.
        (
            r#"{"identifier":"tv.plex.providers.epg.cloud","sectionID":"1","itemID":"5","state":5}"#,
            vec![],
        ),
        (r#"{"sectionID":1,"itemID":5,"type":18,"state":5}"#, vec![]),
    ] {
        assert_eq!(both("timeline", "TimelineEntry", entry), expected, "{entry}");
    }
}

#[test]
fn activity_events_report_scans() {
    let of = |event: &str, kind: &str, context: &str| {
        both(
            "activity",
            "ActivityNotification",
            &format!("{{\"event\":\"{event}\",\"uuid\":\"u\",\"Activity\":{{\"type\":\"{kind}\"{context}}}}}"),
        )
    };
    let context = r#","Context":{"librarySectionID":"1"}"#;
    let scan = "library.update.section";
    for (event, kind, context, expected) in [
        ("started", scan, "", vec![Event::Scanning { section: None }]),
        ("updated", scan, context, vec![Event::Scanning { section: in_one() }]),
        ("ended", scan, context, vec![Event::Scanned { section: in_one() }]),
        (
            "ended",
            "library.update.item.metadata",
            context,
            vec![Event::Working { section: in_one() }],
        ),
        ("ended", "media.generate.bif", context, vec![]),
        ("ended", "library.refresh.items", context, vec![]),
    ] {
        assert_eq!(of(event, kind, context), expected, "{event} {kind}");
    }
}

#[test]
fn statuses_and_webhooks_name_libraries_or_none() {
    let status = r#"{"title":"Library scan complete","notificationName":"LIBRARY_UPDATE"}"#;
    assert_eq!(
        both("status", "StatusNotification", status),
        [Event::Unspecific { section: None }]
    );
    let hook = |event: &str, metadata: &str| {
        events(&format!(
            "{{\"event\":\"{event}\",\"user\":false,\"Server\":{{\"uuid\":\"m\"}}{metadata}}}"
        ))
    };
    let metadata = r#","Metadata":{"librarySectionID":1,"ratingKey":"108","type":"movie"}"#;
    assert_eq!(hook("library.new", metadata), [changed("108", None)]);
    assert_eq!(hook("library.new", ""), [Event::Unspecific { section: None }]);
    assert_eq!(hook("media.play", metadata), []);
}

#[test]
fn irrelevant_events_are_skipped_and_malformed_ones_reported() {
    assert_eq!(
        events(r#"{"PlaySessionStateNotification":{"sessionKey":"1","state":"playing"}}"#),
        []
    );
    assert_eq!(events(r#"{"NotificationContainer":{"type":"new","What":[{}]}}"#), []);
    for old in [
        r#"{"_elementType":"NotificationContainer","type":"timeline","size":1,"_children":[{"_elementType":"TimelineEntry"}]}"#,
        r#"{"NotificationContainer":{"type":"timeline","_children":[{"_elementType":"TimelineEntry","itemID":1}]}}"#,
    ] {
        let error = parse_notification(old.as_bytes()).expect_err("refused");
        assert!(error.message.contains("update the server"), "{error}");
    }
    for malformed in [r#"{"a":1}"#, "[1]", ""] {
        assert!(parse_notification(malformed.as_bytes()).is_err(), "{malformed}");
    }
}

fn streamed(pieces: &[&[u8]]) -> Vec<Event> {
    let mut lines = EventLines::default();
    let mut seen = Vec::new();
    for piece in pieces {
        assert!(lines.feed(piece, &mut |event| {
            seen.push(event);
            true
        }));
    }
    seen
}

const ENTRY: &str = r#"data: {"TimelineEntry":{"sectionID":"1","itemID":"108","state":9}}"#;

#[test]
fn lines_end_in_three_ways_and_come_in_any_pieces() {
    for end in ["\n", "\r\n", "\r"] {
        let text = format!(": hello{end}event: ping{end}data: {{}}{end}{end}event: timeline{end}{ENTRY}{end}{end}");
        assert_eq!(streamed(&[text.as_bytes()]), [deleted("108")], "{end:?}");
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(streamed(&pieces), [deleted("108")], "{end:?}");
    }
}

#[test]
fn data_may_go_over_several_lines() {
    let text = "data: {\"TimelineEntry\":\ndata: {\"sectionID\":\"1\",\ndata:\"itemID\":\"108\",\"state\":9}}\n\n";
    assert_eq!(streamed(&[text.as_bytes()]), [deleted("108")]);
}

#[test]
fn a_too_long_event_is_a_hint_and_the_next_one_is_read() {
    let long = vec![b'x'; MAX_EVENT_BYTES + 10];
    let seen = streamed(&[b"data: ", &long, b"\n\n", ENTRY.as_bytes(), b"\n\n"]);
    assert_eq!(seen, [UNREADABLE, deleted("108")]);
}

#[test]
fn a_malformed_event_is_a_hint_and_the_next_one_is_read() {
    for malformed in [
        &br#"{"TimelineEntry":{"sectionID":"1","itemID":"107","state":9,"title":"a \ud83d"}}"#[..],
        b"{\"TimelineEntry\":{\"sectionID\":\"1\",\"itemID\":\"107\",\"state\":9,\"title\":\"\xe9\"}}",
        br#" {"TimelineEntry":{"sectionID":"1","itemID":"107","sta"#,
    ] {
        let seen = streamed(&[b"data: ", malformed, b"\n\n", ENTRY.as_bytes(), b"\n\n"]);
        assert_eq!(seen, [UNREADABLE, deleted("108")]);
    }
    for other in ["", "ping", "{}", "[1]"] {
        assert_eq!(streamed(&[b"data: ", other.as_bytes(), b"\n\n"]), [], "{other}");
    }
}

#[test]
fn a_listener_may_stop() {
    let text = format!("{ENTRY}\n\n{ENTRY}\n\n");
    let mut seen = 0;
    let on = EventLines::default().feed(text.as_bytes(), &mut |_| {
        seen += 1;
        false
    });
    assert_eq!((on, seen), (false, 1));
}
