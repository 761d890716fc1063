//! The token reaches no log, whatever the host lets its logger see. A test of its own: a process has one logger.

use std::sync::Arc;
use std::time::Duration;

use crate::support::warnings;
use plexindex::model::Token;
use plexindex::options::Options;
use plexindex::source::plex::PlexHttp;
use plexindex::source::{Bounds, Source};
use plexindex_standin::{Action, Fault, Kind, LibrarySpec, Standin};

const TOKEN: &str = "s3cret-t0ken-of-the-tests";

#[test]
fn no_log_line_holds_the_token() {
    warnings::keep_from(log::LevelFilter::Trace);
    let library = LibrarySpec::movies(1);
    let server = Standin::builder().token(TOKEN).library(library).start().unwrap();
    let options = Options {
        server_url: Some(server.url()),
        token: Token::new(TOKEN),
        retry_for: Duration::ZERO,
        ..Options::default()
    };
    let plex = PlexHttp::new(&options, "client-of-the-tests", Arc::default()).unwrap();
    plex.libraries(Bounds::NONE).unwrap();
    plex.scan("1", b"/data", Bounds::NONE).unwrap();
    plex.events(Bounds::NONE, &mut |_| false).unwrap();
    server.fault(Fault::new(Action::Redirect {
        status: 302,
        location: "http://localhost:1/{target}".into(),
    }));
    plex.libraries(Bounds::NONE).unwrap_err();
    server.fault(Fault::status(500));
    plex.libraries(Bounds::NONE).unwrap_err();
    let requests = server.log();
    assert!(requests.iter().all(|entry| entry.token_in_header));
    assert_eq!(
        [Kind::Refresh, Kind::Events].map(|kind| server.stats().of(kind)),
        [1, 1]
    );

    let lines = warnings::so_far();
    let telling: Vec<_> = lines.iter().filter(|line| line.contains(TOKEN)).collect();
    assert!(telling.is_empty(), "{telling:?}");
    // The HTTP library logs what it sends as rows of 16 bytes, in hexadecimal and then as text.
    let rows = lines.iter().filter(|line| line.len() > 50);
    let sent: String = rows
        .map(|line| line.get(line.len() - 16..).unwrap_or_default())
        .collect();
    assert_eq!(sent.matches("x-plex-token:.***").count(), requests.len(), "{sent}");
    assert!(!sent.contains(&TOKEN[..12]));
}
