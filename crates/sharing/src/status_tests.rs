//! What the status of a shared log says.

use std::time::Duration;

use super::*;
use crate::error::Status;
use crate::open;
use crate::options::Options;

fn view(number: i64, last: u64) -> LogSummary {
    LogSummary {
        view: ViewNumber(number),
        server: "mine".into(),
        viewer: [b"user ann".to_vec(), vec![0xab, 0xc, 1, 2]][usize::from(number == 1)].clone(),
        last,
        age: Some(Duration::from_millis(1500)),
        entries: EntryKind::ALL.map(|kind| (kind, 2)).to_vec(),
        hosts: 3,
        bytes: 4096,
    }
}

#[test]
fn a_view_is_json() {
    let json = serde_json::to_value(SharedView::new(view(1, 12), Some(ViewNumber(1)))).expect("it is plain");
    assert_eq!((&json["user"], &json["own"]), (&"#ab0c01".into(), &true.into()));
    let named = SharedView::new(view(2, 12), Some(ViewNumber(1)));
    assert_eq!((&*named.user, named.own), ("ann", false));
    assert_eq!(json["age_ms"], 1500);
    assert_eq!(json["entries"]["invalid_library"], 2);
    assert_eq!(
        json["entries"].as_object().expect("an object").len(),
        EntryKind::ALL.len()
    );
}

#[test]
fn an_index_without_the_option_has_no_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(Options::new(folder.path())).expect("it opens");
    assert_eq!(index.shared_status(), Ok(None));
    for refused in [
        index.shared_init().map(drop),
        index.shared_deliver(),
        index.shared_clear(),
    ] {
        let error = refused.expect_err("there is no log");
        assert_eq!(error.status, Status::InvalidArgument);
        assert!(error.to_string().contains("'shared'"), "{error}");
    }
}

#[test]
fn an_address_that_cannot_be_used_leaves_no_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        server_url: Some("http://127.0.0.1:1".into()),
        shared: Some("mysql://ann:secret@db/x".into()),
        ..Options::new(folder.path().join("new"))
    };
    let error = open(options).expect_err("it is no address of PostgreSQL");
    assert_eq!(error.status, Status::InvalidArgument);
    assert!(error.to_string().contains("shared"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(!folder.path().join("new").exists());
}
