//! Errors.

use super::*;
use std::io::ErrorKind as IoKind;

#[test]
fn an_error_names_its_kind_and_the_remedy() {
    let at = Scene::new(20);
    let index = at.open();
    let nope = index.library("Nope").expect("a handle");
    let error = nope.match_path("/a.mkv").expect_err("no such library");
    assert_eq!(error.kind(), ErrorKind::LibraryNotFound);
    assert!(error.to_string().contains("'Nope'"), "{error}");
    assert!(error.to_string().contains("'Movies'"), "{error}");
    assert!(error.source().is_none());
    assert_eq!(format!("{error:?}"), format!("LibraryNotFound: {error}"));
    // Otherwise a host would believe that the match is taken back.
    for taken_back in [
        nope.invalidate_path("/a.mkv"),
        nope.invalidate_item("1001"),
        nope.invalidate(),
    ] {
        assert_eq!(
            taken_back.map_err(|error| error.kind()),
            Err(ErrorKind::LibraryNotFound)
        );
    }
    let error = index.library("").expect_err("no name");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let error = Index::open(Options::new("/tmp/a\0b")).expect_err("no folder");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    let error = Index::open(Options {
        mappings: vec![Mapping::host_to_server("media", "/data")],
        ..at.options()
    })
    .expect_err("no full path");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(error.to_string().starts_with("mapping 1 (host to server, "), "{error}");
    // Beginning and end of a text that quotes a long value stay, and no character is cut.
    let error = Index::open(Options::new("/é".repeat(10_000))).expect_err("no folder has such a name");
    let text = error.to_string();
    assert!(text.contains("cache_dir /é/é") && text.contains("/…"), "{text}");
    assert!(text.contains(" (of 300") && text.len() < 8_192, "{text}");
    let offline = Index::open(Options::new(at.folder.path())).expect("opens");
    assert_eq!(offline.watch().expect_err("no server").kind(), ErrorKind::Offline);
    assert_eq!(offline.refresh().expect_err("no server").kind(), ErrorKind::Offline);
    assert_eq!(kind(offline.notify("nonsense").err()), Some(ErrorKind::InvalidArgument));
    at.server.refuse();
    let other = tempfile::tempdir().expect("a folder");
    let index = at.open_with(|options| {
        options.cache_dir = other.path().into();
        options.retry_for = Duration::ZERO;
    });
    assert_eq!(kind(index.match_path("/a.mkv").err()), Some(ErrorKind::Connect));
}

/// Where nothing is known, no miss is an answer, whether the call names a library or not.
#[test]
fn an_index_that_knows_nothing_and_may_not_ask_says_so() -> Anything {
    let at = Scene::new(20);
    let (path, key) = at.path(3);
    let empty = tempfile::tempdir()?;
    let index = Index::open(Options::new(empty.path()))?;
    let movies = index.library("Movies")?;
    let all = index.library(Selector::All)?;

    let asked = [
        index.match_path(&path).err(),
        movies.match_path(&path).err(),
        all.match_path(&path).err(),
        index.match_folder("/data/movies").err(),
        index.match_guid("imdb://tt1254207").err(),
        index.search_title("A film").err(),
        index.match_paths([&path]).err(),
        movies.record_match(&path, &key).err(),
        movies.query().offline().record_match(&path, &key).err(),
        movies.items().next().and_then(Result::err),
    ];
    for (nth, failed) in asked.into_iter().enumerate() {
        assert_eq!(kind(failed), Some(ErrorKind::NotFetched), "{nth}");
    }
    // This call is a request.
    assert_eq!(kind(index.refresh().err()), Some(ErrorKind::Offline));
    // Waiting for nothing is all that it promises: the whole call says why.
    assert_eq!(movies.match_path_at_once(&path)?.status, MatchStatus::NotYet);
    assert!(index.libraries()?.is_empty());

    // The same call, offline, of an index that has a server.
    let index = at.open();
    let failed = index.query().offline().match_path(&path).err();
    assert_eq!(kind(failed), Some(ErrorKind::NotFetched));

    // What is stored answers as ever.
    let _ = index.refresh()?;
    drop(index);
    let stored = Index::open(Options::new(at.folder.path()))?;
    assert_eq!(stored.match_path(&path)?.status, MatchStatus::Found);
    assert_eq!(stored.match_path("/elsewhere/b.mkv")?.reason, Some(Reason::NoLocation));
    let failed = stored.library("Nope")?.record_match(&path, &key).err();
    assert_eq!(kind(failed), Some(ErrorKind::LibraryNotFound));
    Ok(())
}

fn cause_of(error: &Error) -> Option<IoKind> {
    let cause = error.source()?.downcast_ref::<std::io::Error>()?;
    Some(cause.kind())
}

#[test]
fn an_error_of_the_system_is_the_source_of_ours() -> Anything {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("file"), "in the way")?;
    let error = Index::open(Options::new(folder.path().join("file/store"))).unwrap_err();
    assert_eq!(cause_of(&error), Some(IoKind::AlreadyExists), "{error}");

    let scene = Scene::new(3);
    let index = scene.open_with(|options| options.retry_for = Duration::ZERO);
    drop(scene.server);
    let error = index.refresh().expect_err("no server");
    assert_eq!(cause_of(&error), Some(IoKind::ConnectionRefused), "{error}");

    // A label of more than 63 letters: a resolver sends no request for it.
    let unknown = Index::open(Options {
        server_url: Some(format!("http://{}.invalid:32400", "x".repeat(70))),
        retry_for: Duration::ZERO,
        ..Options::new(folder.path().join("store"))
    })?;
    let error = unknown.refresh().expect_err("no such name");
    let cause = error.source().ok_or("a cause")?.to_string();
    assert!(error.to_string().contains(&cause), "{error}");
    assert!(cause_of(&error).is_some());

    let error = Index::open(Options {
        server_url: Some("https://127.0.0.1:1".to_owned()),
        ca_file: Some(folder.path().join("none.pem")),
        ..Options::new(folder.path().join("store"))
    })
    .expect_err("no such file");
    assert_eq!(cause_of(&error), Some(IoKind::NotFound), "{error}");
    Ok(())
}

/// The rest are answers, or what only C can do wrong.
#[test]
fn each_failure_of_the_index_is_a_kind_of_the_same_name() {
    let of_c = ["NullPointer", "BufferTooSmall", "Panic"];
    for status in plexindex::error::Status::ALL {
        let name = format!("{status:?}");
        let kind = Error::new(status, "why").kind();
        let is_answer = (status as i32) < plexindex::error::Status::InvalidArgument as i32;
        if is_answer || of_c.contains(&&*name) {
            assert_eq!(kind, ErrorKind::Defect, "{name}");
        } else {
            assert_eq!(format!("{kind:?}"), name);
        }
    }
}
