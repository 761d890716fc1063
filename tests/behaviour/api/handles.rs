//! Handles, and the values that calls take and return.

use super::*;
use ErrorKind::{Aborted, Connect, InvalidArgument, ServerError, Starting, Store, Timeout, Unauthorized};

#[test]
fn the_last_handle_closes() -> Anything {
    let at = Scene::new(20);
    let (path, key) = at.path(3);
    let index = at.open();
    let movies = index.library("Movies")?;
    let table = index.table("kept")?;
    let weak = index.downgrade();
    assert!(!index.clone().close()?, "another handle lives");
    assert!(index.match_path(&path)?.sure().is_some());
    assert!(!index.close()?);
    assert_eq!(movies.lookup_key(&path), Some(key), "a library keeps its index open");
    drop(movies);
    table.put("a", "b", Terms::default())?;
    assert_eq!(weak.upgrade().ok_or("it is open")?.folder(), at.folder.path());
    drop(table);
    assert!(weak.upgrade().is_none(), "it keeps nothing open");
    // The counters were written: it was closed.
    let again = at.open();
    assert!(again.stats()?.store_requests > 0);
    assert!(again.close()?);
    Ok(())
}

#[test]
fn handles_go_in_any_thread_while_others_ask() -> Anything {
    let at = Scene::new(200);
    let (path, key) = at.path(3);
    for _ in 0..5 {
        let index = at.open();
        let stop = Arc::new(AtomicBool::new(false));
        let asking: Vec<_> = (0..4)
            .map(|_| {
                let (movies, path, key, stop) =
                    (index.library("Movies")?, path.clone(), key.clone(), Arc::clone(&stop));
                Ok(std::thread::spawn(move || {
                    loop {
                        let found = movies.match_path(&path).expect("an answer");
                        assert_eq!(found.sure().map(|item| &item.key), Some(&key));
                        let _ = movies.lookup_key(&path);
                        if stop.load(Ordering::SeqCst) {
                            return; // and the library goes, the index perhaps with it
                        }
                    }
                }))
            })
            .collect::<Result<_, Error>>()?;
        let closing: Vec<_> = (0..2)
            .map(|_| {
                let index = index.clone();
                std::thread::spawn(move || {
                    index.close().expect("closed");
                })
            })
            .collect();
        drop(index);
        stop.store(true, Ordering::SeqCst);
        for thread in asking.into_iter().chain(closing) {
            thread.join().expect("no panic");
        }
    }
    Ok(())
}

/// The server hears that a connection has ended when it says something.
fn none_listens(server: &Standin) -> bool {
    server.push(&Event::new("status", serde_json::json!({})));
    server.listeners() == 0
}

#[test]
fn it_watches_until_the_last_watch_goes() -> Anything {
    let at = Scene::new(20);
    let index = at.open();
    let _ = index.refresh()?;
    let one = index.watch()?;
    let two = index.clone().watch()?;
    until("it listens", || at.server.listeners() == 1);
    drop(one);
    drop(index);
    let sent = at.server.stats().of(Kind::Events);
    assert_eq!((at.server.listeners(), sent), (1, 1), "the other one still wants it");
    drop(two);
    until("none listens", || none_listens(&at.server));
    let index = at.open();
    let again = index.watch()?;
    until("it listens again", || at.server.listeners() == 1);
    std::thread::spawn(move || drop(again)).join().expect("no panic");
    until("none listens", || none_listens(&at.server));
    assert_eq!(index.stats()?.failures, 0);
    Ok(())
}

#[test]
fn plain_enums_have_names() {
    assert!(MatchKind::ALL.iter().all(|kind| kind.name() != "none"));
    assert_eq!(format!("{:>9}", MatchStatus::NotYet), "  not_yet");
    assert_eq!(WaitOutcome::Something.name(), "something");
    assert_eq!(Notified::OtherServer.to_string(), "other_server");

    for kind in [Connect, Timeout, Starting, ServerError] {
        assert!(kind.is_transient(), "{kind}");
    }
    for kind in [Unauthorized, InvalidArgument, Aborted, Store] {
        assert!(!kind.is_transient(), "{kind}");
    }
    assert_eq!(Ttl::from(Duration::ZERO), Ttl::For(Duration::ZERO));
    assert_eq!(Token::new(""), None);

    // And are read as they are written.
    for kind in MatchKind::ALL {
        assert_eq!(kind.name().parse(), Ok(*kind));
    }
    assert_eq!("not_yet".parse(), Ok(MatchStatus::NotYet));
    assert_eq!("store_full".parse(), Ok(ErrorKind::StoreFull));
    let refused = "none".parse::<Confidence>().expect_err("an option in Rust");
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    assert_eq!(refused.to_string(), "'none' is not a valid Confidence");
}

#[test]
fn a_notification_says_what_became_of_it() -> Anything {
    let at = Scene::new(2);
    let told = r#"{"TimelineEntry":{"sectionID":1,"itemID":7,"state":5}}"#;
    assert_eq!(at.open().notify(told)?, Notified::NothingNew, "nothing was fetched");
    let index = at.open_listed()?;
    assert_eq!(index.notify(told)?, Notified::Noted);
    let of_no_library = told.replace(r#""sectionID""#, r#""identifier":"tv.plex.epg","sectionID""#);
    assert_eq!(index.notify(of_no_library)?, Notified::NothingNew);
    let other = r#"{"event":"library.new","Server":{"uuid":"another"},"Metadata":{"librarySectionID":1}}"#;
    assert_eq!(index.notify(other)?, Notified::OtherServer);
    Ok(())
}
