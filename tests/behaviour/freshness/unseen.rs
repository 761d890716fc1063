//! Changes that no delta shows.

use crate::support::{Scene, add, path_of, requests};
use plexindex::error::Status;
use plexindex::model::{MatchKind, Reason};
use plexindex_standin::{Action, Fault, Kind, Standin};

const MINUTE_MS: i64 = 60_000;

fn key_of(answer: &crate::support::index::Match) -> String {
    let item = answer.item.as_ref().expect("found");
    item.item.rating_key.clone()
}

fn set_missing(server: &Standin, key: &str, missing: bool) {
    let key = key.parse().expect("a number");
    server.change(|state| state.set_missing(key, missing)).expect("set");
}

#[test]
fn what_is_in_the_trash_is_not_there() {
    let at = Scene::movies(3_000);
    let [(path, key), (gone, gone_key), (kept, kept_key)] = [5, 980, 999].map(|nth| path_of(&at.server, 1, nth));
    // The file came back as another item, and the old one is in the trash. It lies in the overlap of two pages.
    for key in [&key, &gone_key, &kept_key] {
        set_missing(&at.server, key, true);
    }
    add(&at.server, &[&path]);
    set_missing(&at.server, &kept_key, false);
    let (index, library) = at.opened();
    // The listing stops after its first page, and goes on there.
    at.server.fault(
        Fault::new(Action::Status {
            status: 501,
            retry_after: None,
        })
        .on(Kind::Listing)
        .after(1)
        .times(1),
    );
    index.refresh(&library.query(), false).expect_err("it stops");
    at.clock.advance_ms(MINUTE_MS);
    at.server.reset();
    index.refresh(&library.query(), false).expect("listed");
    assert_eq!(requests(&at.server)[2], 3, "rows of the first page came again");
    let ask = |path: &str| library.match_path(path.as_bytes()).expect("an answer");
    let found = ask(&path);
    assert_eq!((found.status, found.match_kind), (Status::Ok, MatchKind::Exact));
    assert_ne!(key_of(&found), key);
    assert_eq!(ask(&gone).reason, Reason::NotListed);
    assert_eq!(key_of(&ask(&kept)), kept_key);
}
