use crate::api::Index;
use crate::engine::LibraryRows;
use crate::model::{Server, Token, ViewId};
use crate::options::Options;

#[test]
fn answers_for_one_user_never_reach_a_user_whose_token_is_set_meanwhile() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = Index::open(Options {
        cache_dir: folder.path().to_owned(),
        server_url: Some("http://127.0.0.1:1".to_owned()),
        token: Token::new("bob"),
        ..Options::default()
    })
    .expect("opens");
    let inner = index.inner();
    let server = Server {
        machine_identifier: "server".to_owned(),
        ..Server::default()
    };
    let set = |token: &str| inner.set_token(Token::new(token)).expect("set");
    let accepted = |token: &str| {
        set(token);
        let endpoint = inner.reading.viewpoint.endpoint().expect("a server is named");
        LibraryRows(&inner.store).reached(&endpoint, &server).expect("accepted")
    };
    let (bob, ann) = (accepted("bob"), accepted("ann"));
    assert_ne!(bob, ann);
    // Three cases: nothing changes, a new token is set during the write, or the token is replaced by one of the same
    // user.
    for (next, wanted) in [(None, vec![ann]), (Some("bob"), vec![ann]), (Some("ann"), vec![ann])] {
        set("ann");
        let mut told: Vec<ViewId> = Vec::new();
        let insisted = inner.reading.retry_until_current(|| {
            let Some(view_id) = inner.reading.view_id() else {
                return Ok(None);
            };
            told.push(view_id);
            if let (Some(next), 1) = (next, told.len()) {
                set(next);
            }
            Ok(Some((view_id, Vec::new())))
        });
        assert_eq!(insisted, Ok(()), "{next:?}");
        assert_eq!(told, wanted, "{next:?}");
    }
}
