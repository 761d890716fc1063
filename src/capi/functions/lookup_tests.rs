//! The fast path's outputs, over a source that no server is.

use std::sync::Arc;

use super::*;
use crate::index::{Index, SystemClock};
use crate::model::{self, Item, Server};
use crate::options;
use crate::source::{Bounds, PageEnd, PageRequest, Source};

/// A source that names an item by a key that none can have, between two good ones.
struct Hostile;

impl Source for Hostile {
    fn server(&self, _: Bounds<'_>) -> Result<Server> {
        Ok(Server {
            machine_identifier: "m".into(),
            version: "1".into(),
        })
    }

    fn libraries(&self, _: Bounds<'_>) -> Result<Vec<model::Library>> {
        Ok(vec![model::Library {
            section: "1".into(),
            uuid: "u".into(),
            title: "Movies".into(),
            kind: model::LibraryKind::Movie,
            ..model::Library::default()
        }])
    }

    fn page(&self, _: &PageRequest<'_>, _: Bounds<'_>, sink: &mut dyn FnMut(Item)) -> Result<PageEnd> {
        for (rating_key, part) in [("1", "/a"), ("2\0/library/metadata/3", "/b"), ("4", "/c")] {
            sink(Item {
                rating_key: rating_key.into(),
                parts: vec![part.into()],
                ..Item::default()
            });
        }
        Ok(PageEnd {
            rows: 3,
            total: Some(3),
            offset: Some(0),
            ..PageEnd::default()
        })
    }

    fn items(&self, _: &[&str], _: Bounds<'_>) -> Result<Vec<Item>> {
        Ok(Vec::new())
    }

    fn after_fork(&self) {}
}

#[test]
fn a_key_with_a_nul_shifts_no_other_answer() {
    let folder = tempfile::tempdir().unwrap();
    let options = options::Options {
        cache_dir: folder.path().to_owned(),
        server_url: Some("http://127.0.0.1:9".into()),
        ..options::Options::default()
    };
    let index = Index::open_with(options, Arc::new(SystemClock), |_, _, _| Ok(Arc::new(Hostile) as _)).unwrap();
    let library = index.library("Movies").unwrap();
    let asked = |path: &[u8]| library.match_path(path).unwrap().candidates[0].item.rating_key.clone();
    assert_eq!((asked(b"/a"), asked(b"/c")), ("1".into(), "4".into()));

    let mut room = [0_u8; 256];
    let mut keys = Buffer {
        data: room.as_mut_ptr().cast(),
        capacity: room.len(),
        length: 0,
    };
    assert_eq!(lookup_keys(&library, b"/a\0/b\0/c\0", 3, &mut keys), Ok(Status::Ok));
    let length = keys.length;
    assert_eq!(&room[..length], b"/library/metadata/1\0\0/library/metadata/4\0");
}
