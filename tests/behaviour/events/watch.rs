//! A watch starts, stops, forks, and reconnects.

use super::*;
#[cfg(unix)]
use crate::support::worker::{fork, wait_for};

#[test]
fn a_silent_connection_is_dead() {
    let at = Scene::movies(3);
    let index = Index::open_with(at.options.clone(), clock(), |options, id, meter| {
        let plex = PlexHttp::new(options, id, meter)?.with_silence(Duration::from_millis(100));
        Ok(Arc::new(plex) as Arc<dyn Source>)
    })
    .expect("the index opens");
    index.watch_start(quick()).expect("watching");
    until("it connected again", || at.server.stats().of(Kind::Events) == 2);
}

/// How long a watch takes to stop; it must be less than a second.
fn stops_quickly(index: Index) {
    let begun = Instant::now();
    index.watch_stop();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    index.watch_start(quick()).expect("watching once more");
    std::thread::sleep(Duration::from_millis(20)); // wherever it is by then
    let begun = Instant::now();
    index.close().expect("closed");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

/// The same for a server at this URL, after so much time.
fn stops_at(url: &str, after: Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(
        Options {
            server_url: Some(url.to_owned()),
            ..Options::new(folder.path())
        },
        &clock(),
    );
    index.watch_start(quick()).expect("watching");
    std::thread::sleep(after);
    stops_quickly(index);
}

#[test]
fn it_stops_within_a_second_while_a_connected_server_is_silent() {
    let w = watched();
    stops_quickly(w.index);
    until("the server hears that the connection has ended", || {
        w.at.server.push(&Event::new("status", json!({})));
        w.at.server.listeners() == 0
    });
}

#[test]
fn it_stops_within_a_second_while_a_server_owes_its_answer() {
    let at = Scene::movies(3);
    at.server.fault(Fault::delay(60_000).on(Kind::Events).times(0));
    let index = at.open();
    index.watch_start(quick()).expect("watching");
    until("it asked", || at.server.stats().of(Kind::Events) == 1);
    stops_quickly(index);
}

#[test]
fn it_stops_within_a_second_while_no_server_can_be_reached() {
    // A port without a listener; a network that swallows what is sent to it.
    for url in ["http://127.0.0.1:1", "http://192.0.2.1:32400"] {
        stops_at(url, Duration::ZERO);
    }
}

#[cfg(unix)]
#[test]
fn it_stops_within_a_second_while_a_connection_is_made() {
    // One that accepts no more, so that making a connection lasts until one side gives up; and one that never answers, in
    // the clear and where TLS is to be spoken.
    let full = TcpListener::bind("127.0.0.1:0").expect("a port");
    // SAFETY: a plain call on a socket of our own.
    assert_eq!(unsafe { libc::listen(full.as_raw_fd(), 0) }, 0);
    let full_at = full.local_addr().expect("an address");
    let connect = |_| TcpStream::connect_timeout(&full_at, Duration::from_millis(200)).ok();
    let waiting: Vec<_> = (0..4).map_while(connect).collect();
    assert!(waiting.len() < 4, "the queue is full");
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_at = silent.local_addr().expect("an address");
    for (scheme, at) in [("http", full_at), ("http", silent_at), ("https", silent_at)] {
        stops_at(&format!("{scheme}://{at}"), Duration::from_millis(50)); // on its way
    }
}

#[test]
fn other_answers_than_a_stream_are_tried_again_and_do_no_harm() {
    for action in [
        Action::body("text/html", "<html>Sign in</html>"),
        Action::status(404),
        Action::Drop,
        Action::body("application/json", "{]<garbage"),
    ] {
        let at = Scene::movies(3);
        at.server.fault(Fault::new(action).on(Kind::Events).times(1));
        let index = at.open();
        index.watch_start(quick()).expect("watching");
        until("it listens", || at.server.listeners() == 1);
        assert_eq!(at.server.stats().of(Kind::Events), 2);
    }
}

#[test]
fn starting_twice_is_one_watch_and_stopping_twice_is_fine() {
    let w = watched();
    w.index.watch_start(<_>::default()).expect("watching already");
    assert_eq!(w.at.server.listeners(), 1);
    w.index.watch_stop();
    w.index.watch_stop();
    w.index.watch_start(quick()).expect("watching again");
    until("it listens", || w.at.server.stats().of(Kind::Events) == 1);
    // Fetching goes on meanwhile, over connections of its own.
    w.index.list();
    assert_eq!(w.at.server.stats().of(Kind::Events), 1);
    drop(w.index); // without a word
}

#[test]
fn the_token_goes_into_the_header_and_the_request_counts_once() {
    let w = watched();
    let stats = w.index.counts();
    assert_eq!(stats.requests[plexindex::source::RequestKind::Events as usize], 1);
    w.index.watch_stop();
    w.index.watch_start(quick()).expect("watching");
    until("it listens", || w.at.server.stats().of(Kind::Events) == 1);
    let log = w.at.server.log();
    let entry = log.iter().find(|entry| entry.kind == Kind::Events).expect("a request");
    assert!(entry.token_in_header && !entry.token_in_query);
    let wanted = "/:/eventsource/notifications?filters=timeline,activity,status";
    assert_eq!(entry.target, wanted);
}

#[cfg(unix)]
#[test]
fn a_child_of_a_fork_does_not_watch_and_may_begin_to() {
    let w = watched();
    let (path, key) = path_of(&w.at.server, 1, 7);
    let child = fork(|| {
        if ask(&w.index, &path).key().as_ref() != Some(&key) {
            return 1;
        }
        // Neither waits for a thread that is not there.
        w.index.watch_stop();
        if w.index.watch_start(quick()).is_err() {
            return 2;
        }
        until("the child listens", || w.at.server.stats().of(Kind::Events) <= 1);
        w.index.watch_stop();
        0
    });
    assert_eq!(wait_for(child), 0);
    // The parent still watches.
    w.at.server.alter(|state| state.add_items(1, vec![new_movie()], true));
    until_hinted(&w.index);
    assert_eq!(ask(&w.index, NEW).status, Status::Ok);
}

#[test]
fn an_event_ends_the_pause_of_a_path_at_once() {
    // With the usual intervals, the hints of these events would follow after up to a minute.
    let w = watched_at(DebounceIntervals::default());
    for number in 0..3 {
        let path = format!("/data/movies/Import {number} (2020)/Import {number} (2020).mkv");
        assert_eq!(ask(&w.index, &path).status, Status::NotFound);
        w.at.server
            .alter(|state| state.add_items(1, vec![crate::support::movie("Import", &path)], true));
        w.at.server
            .push(&Event::timeline(1, 900 + number, ItemType::Movie, "Import", 5, "", 1));
        let begun = Instant::now();
        until("the file is found", || ask(&w.index, &path).status == Status::Ok);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
