//! Files that Plex lists a moment after a lookup.

use super::*;

/// A query that asks the server in any case.
fn checked(library: &Library) -> QueryOptions<'_> {
    QueryOptions {
        check: true,
        ..library.query()
    }
}

#[test]
fn a_checked_query_asks_however_fresh_the_listing_is() {
    let at = Scene::movies(300);
    let (index, library) = at.opened();
    let (known, _) = path_of(&at.server, 1, 7);
    library.match_path(known.as_bytes()).expect("listed");
    at.server.reset();
    for round in 1..=3 {
        let answer = index
            .match_path(&checked(&library), known.as_bytes())
            .expect("an answer");
        assert_eq!((answer.status, answer.stale), (Status::Ok, false));
        assert_eq!(requests(&at.server)[5], round, "one request each");
    }
    let new = "/data/movies/New (2020)/New (2020).mkv";
    index
        .match_path(&checked(&library), new.as_bytes())
        .expect("not there yet");
    add(&at.server, &[new]);
    at.server.reset();
    let answer = index.match_path(&checked(&library), new.as_bytes()).expect("an answer");
    assert_eq!((answer.status, answer.match_kind), (Status::Ok, MatchKind::Exact));
    assert!(requests(&at.server)[5] <= 3, "{:?}", requests(&at.server));
    // A batch asks once, and a call that must not ask does not.
    at.server.reset();
    let paths: Vec<Vec<u8>> = (0..5)
        .map(|nth| path_of(&at.server, 1, nth).0.into_bytes())
        .chain([new.as_bytes().to_vec()])
        .collect();
    let paths: Vec<&[u8]> = paths.iter().map(Vec::as_slice).collect();
    index
        .match_paths_with(&checked(&library), &paths, |answer| {
            assert_eq!(answer.status, Status::Ok);
        })
        .expect("answers");
    assert_eq!(requests(&at.server)[5], 1);
    let query = QueryOptions {
        offline: true,
        ..checked(&library)
    };
    assert_eq!(
        index.match_path(&query, new.as_bytes()).expect("stored").status,
        Status::Ok
    );
    assert_eq!(requests(&at.server)[5], 1);
    // The server is down: the stored answer, marked.
    at.server.refuse();
    at.server.close_connections();
    let answer = index
        .match_path(&checked(&library), known.as_bytes())
        .expect("an answer");
    assert_eq!((answer.status, answer.stale), (Status::Ok, true));
}
