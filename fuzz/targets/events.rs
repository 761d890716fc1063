//! What a server tells of its own accord: notifications, webhooks, and streams of them. How a stream is cut into pieces
//! makes no difference, and an event that comes by a stream is the one that comes by itself, or a hint if it cannot be read.

use plexindex::source::Event;
use plexindex::source::plex;
use plexindex::testing::plex::parse_event_stream;

use super::input::Input;

fn check(event: &Event) {
    let id = |id: &str| assert!(!id.contains('\0') && id.len() <= 64 && !id.starts_with('-'), "{id:?}");
    let section = match event {
        Event::Changed {
            section, rating_key, ..
        }
        | Event::Deleted { section, rating_key } => {
            id(rating_key);
            section
        }
        Event::Unspecific { section }
        | Event::Working { section }
        | Event::Scanned { section }
        | Event::Scanning { section } => section,
        Event::Connected => &None,
    };
    if let Some(section) = section {
        id(section);
        assert!(!section.is_empty());
    }
    if let Event::Deleted { rating_key, .. } = event {
        assert!(!rating_key.is_empty(), "the deletion of no item");
    }
}

fn events(pieces: &mut dyn Iterator<Item = &[u8]>, most: usize) -> Vec<Event> {
    let mut events = Vec::new();
    parse_event_stream(pieces, &mut |event| {
        events.push(event);
        events.len() < most
    });
    events
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let piece = usize::from(input.byte()) + 1;
    let body = input.0;
    let told = (plex::KIND.parse_notification)(body).map(|told| told.events);
    told.iter().flatten().for_each(check);
    // As a stream of its own.
    if !body.contains(&b'\n') && !body.contains(&b'\r') {
        let line = [b"event: timeline\ndata: ", body, b"\n\n"].concat();
        let by_stream = events(&mut std::iter::once(line.as_slice()), usize::MAX);
        match told {
            Ok(told) => assert_eq!(told, by_stream),
            Err(_) if by_stream.is_empty() => {}
            Err(_) => assert!(matches!(&by_stream[..], [Event::Changed { section: None, .. }])),
        }
    }
    // As a stream already.
    let whole = events(&mut std::iter::once(body), usize::MAX);
    whole.iter().for_each(check);
    let pieces = events(&mut body.chunks(piece), usize::MAX);
    assert_eq!(whole, pieces, "in pieces of {piece}");
    let first = events(&mut body.chunks(piece), 1);
    assert_eq!(first.as_slice(), &whole[..whole.len().min(1)], "ended after the first");
}
