//! Paths below a root that no library has.

use super::*;
use plexindex::model::Confidence;

/// Films in A, episodes in B.
fn two_libraries(items: u32) -> Standin {
    let spec = |kind, title: &str, folder: &str| {
        let spec = LibrarySpec::new(kind, items).plain();
        spec.title(title).locations([folder])
    };
    Standin::builder()
        .library(spec(LibraryKind::Movie, "A", "/data/a"))
        .library(spec(LibraryKind::Show, "B", "/data/b"))
        .serve()
}

/// The path of an item of B, below another root.
fn elsewhere(server: &Standin) -> (String, String) {
    let (path, key) = path_of(server, 2, 42);
    (path.replace("/data/b/", "/mnt/other/"), key)
}

#[test]
fn a_path_below_another_root_fetches_what_may_have_it() {
    for warmed in [false, true] {
        let at = Scene::of(two_libraries(300));
        let index = at.open();
        if warmed {
            let (path, _) = path_of(&at.server, 1, 7);
            let found = index.query().answer(path);
            assert_eq!(found.match_kind, MatchKind::Exact, "{}", found.message);
            assert_eq!(index.counts().items, 300, "of A alone");
        }
        let (path, key) = elsewhere(&at.server);
        let found = index.query().answer(path);
        assert_eq!(found.status, Status::Ok, "{}", found.message);
        assert_eq!(found.match_kind, MatchKind::Suffix);
        assert_eq!(found.reason, Reason::OnlyRootDiffers);
        assert_eq!(found.key(), Some(key));
        assert_eq!(index.counts().items, 600);
        // From then on it is known that there is none.
        at.server.reset();
        let none = index.query().answer("/mnt/other/x.mkv");
        assert_eq!(none.status, Status::NotFound, "{}", none.message);
        assert_eq!(none.reason, Reason::NoLocation, "{}", none.message);
        assert!(none.message.contains("/data/b"), "{}", none.message);
        assert_eq!(requests(&at.server)[5], 0);
    }
}

#[test]
fn what_is_found_at_once_fetches_no_other_library() {
    let at = Scene::of(two_libraries(300));
    let index = at.open();
    let (path, key) = elsewhere(&at.server);
    let listed = index.library("B").expect("a handle");
    listed.query().refreshed(false).expect("listed");
    let size = listed.size_of(&path_of(&at.server, 2, 42).0);
    let found = index.query().size(size).answer(path);
    assert_eq!((found.key(), found.reason), (Some(key), Reason::SameFile));
    // Nor does a folder of a library, or a path that another library should have.
    for path in ["/data/a", "/data", "/data/b/none.mkv"] {
        let none = index.query().answer(path);
        assert_eq!(none.status, Status::NotFound, "{path}");
        assert!(!none.message.contains("never fetched"), "{}", none.message);
    }
    assert_eq!(index.counts().items, 300, "of B alone");
}

#[test]
fn what_a_search_found_is_not_as_young_as_the_listing_of_another_library() {
    let at = Scene::of(two_libraries(3_000));
    let index = at.open();
    let [listed, searched] = ["A", "B"].map(|title| index.library(title).expect("a handle"));
    let (path, key) = path_of(&at.server, 2, 42);
    let hurried = searched.query().timeout(Duration::from_millis(500));
    hurried.answer(&path);
    listed.query().refreshed(false).expect("listed");
    let offline = index.query().offline();
    let found = offline.answer(path);
    assert_eq!(found.key(), Some(key));
    assert_eq!(found.age_ms, None);
}

#[test]
fn a_library_that_cannot_be_listed_is_not_asked_for_with_each_path_below_another_root() {
    let at = Scene::of(two_libraries(300)).with(|options| options.retry_for = Duration::ZERO);
    let index = at.open();
    let listed = index.library("A").expect("a handle");
    listed.query().refreshed(false).expect("listed");
    at.server.fault(Fault::status(403).on(Kind::Listing).times(0));
    let paths: Vec<String> = (0..50).map(|number| format!("/mnt/other/{number}.mkv")).collect();
    at.server.reset();
    for path in &paths {
        let none = index.query().answer(path);
        assert_eq!((none.status, none.reason), (Status::NotFound, Reason::NotFetched));
        let text = "library 'B' was never fetched: fetch the library first (refresh)";
        assert!(none.message.starts_with(text), "{}", none.message);
    }
    assert!(requests(&at.server)[5] < 10, "{:?}", requests(&at.server));
}

#[test]
fn what_went_for_the_limit_is_not_fetched_for_any_path() {
    let at = Scene::of(two_libraries(1_000)).with(|options| options.size_limit = Some(1));
    let index = at.open();
    for library in [1, 2] {
        let (path, _) = path_of(&at.server, library, 7);
        index.query().answer(path);
        at.clock.advance_ms(1_000);
    }
    assert_eq!(index.counts().items, 1_000, "one of them went");
    at.server.reset();
    for number in 0..20 {
        let none = index.query().answer(format!("/mnt/other/{number}.mkv"));
        assert_eq!(none.status, Status::NotFound, "{}", none.message);
    }
    assert_eq!(requests(&at.server)[2], 0, "nothing was listed");
}

#[test]
fn a_path_of_a_library_that_was_never_fetched_is_not_called_unlisted() {
    let at = Scene::of(two_libraries(300)).with(|options| options.retry_for = Duration::ZERO);
    let index = at.open();
    let listed = index.library("A").expect("a handle");
    listed.query().refreshed(false).expect("listed");
    // A has a file with the same name, and the same folder.
    let (path, key) = path_of(&at.server, 1, 7);
    let path = path.replace("/data/a/", "/data/b/");
    let folder = path.rsplit_once('/').expect("a folder").0;
    at.server.fault(Fault::status(403).on(Kind::Listing).times(0));
    for is_offline in [false, true] {
        let query = || {
            if is_offline {
                index.query().offline()
            } else {
                index.query()
            }
        };
        let found = query().answer(&path);
        assert_eq!((found.confidence, found.reason), (Confidence::Low, Reason::NotFetched));
        assert_eq!((found.key(), found.stale), (Some(key.clone()), !is_offline));
        assert!(
            found.message.contains("library 'B' was never fetched"),
            "{}",
            found.message
        );
        let of_folder = query().match_folder(folder).expect("an answer").answer;
        let kind = (of_folder.confidence, of_folder.reason, of_folder.stale);
        assert_eq!(kind, (Some(Confidence::Low), Some(Reason::NotFetched), !is_offline));
        let text = of_folder.message.unwrap_or_default();
        assert!(text.contains("library 'B' was never fetched"), "{text}");
    }
}
