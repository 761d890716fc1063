use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::constants::PLEXINDEX_TTL_AT_ONCE;
use crate::for_tests::{hostile, mapped};
use crate::types::Handle;
use plexindex::inside::TableLimits;
use plexindex::options::Mapping;

/// An open index over a source of three items, whose second key holds a NUL.
struct Scene(Opened, #[allow(dead_code)] tempfile::TempDir);

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::over(hostile(folder.path()), folder)
    }

    fn over(index: Index, folder: tempfile::TempDir) -> Self {
        let opened = Opened::wrap(index);
        let _ = opened.index().refresh().expect("fetched");
        Self(opened, folder)
    }

    fn call(&self, method: &str, request: &Value) -> JsonResult {
        let caller = Caller {
            opened: Some(&self.0),
            limits: no_limits(),
        };
        call(&caller, method.as_bytes(), request.to_string().as_bytes())
    }

    fn answer(&self, method: &str, request: &Value) -> Value {
        let (json, status) = self.call(method, request).expect(method);
        assert!(matches!(status, Status::Ok | Status::NotFound), "{method}: {status:?}");
        let answer = serde_json::from_slice(&json).expect("JSON");
        let schema = schema::schema();
        assert_needed_fields(&answer, &schema["properties"][method]["properties"]["answer"], &schema);
        answer
    }

    fn refusal(&self, method: &str, request: &Value) -> String {
        self.call(method, request).expect_err(method).message
    }
}

/// Fails if a value lacks a field that the schema says is always present, on which the types of other languages rely.
fn assert_needed_fields(value: &Value, shape: &Value, schema: &Value) {
    if let Some(reference) = shape["$ref"].as_str() {
        let shape = schema.pointer(reference.trim_start_matches('#')).expect("a definition");
        return assert_needed_fields(value, shape, schema);
    }
    for field in shape["required"].as_array().into_iter().flatten() {
        assert!(value.get(field.as_str().expect("a name")).is_some(), "{field}: {value}");
    }
    for (name, field) in shape["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            assert_needed_fields(value, field, schema);
        }
    }
    for value in value.as_array().into_iter().flatten() {
        assert_needed_fields(value, &shape["items"], schema);
    }
}

fn no_limits() -> Limits {
    // SAFETY: NULL is allowed.
    unsafe { Limits::from_options(std::ptr::null::<Handle>(), std::ptr::null()) }.expect("none")
}

#[test]
fn every_method_refuses_what_it_does_not_know_and_names_it() {
    let at = Scene::new();
    assert!(
        at.refusal("items.lists", &json!({}))
            .contains("no method 'items.lists'")
    );
    for method in METHODS {
        let refused = at.refusal(method.name, &json!({ "no such field": 1 }));
        assert!(
            refused.contains(method.name) && refused.contains("no such field"),
            "{refused}"
        );
        let refused = at.refusal(method.name, &json!(1));
        assert!(refused.starts_with(method.name), "{refused}");
    }
    let refused = at.refusal("items.get", &json!({ "key": "1", "library": { "name": "Movies" } }));
    assert!(refused.contains("`title`, `section` or `uuid`"), "{refused}");
}

#[test]
fn without_an_index_three_methods_answer() {
    let caller = Caller {
        opened: None,
        limits: no_limits(),
    };
    let filled = json!({
        "library": "Movies", "path": "/a", "paths": ["/a"], "others": ["/a"], "key": "1", "keys": ["1"], "guid": "x", "title": "x", "cursor": "1111",
        "changes": [], "matches": [], "all": true, "level": 3, "table": "t", "name": "n", "value": "v"
    });
    for method in METHODS {
        // The request with the fields of each method: those that are refused are taken out one by one.
        let mut request = filled.clone();
        let outcome = loop {
            match call(&caller, method.name.as_bytes(), request.to_string().as_bytes()) {
                Err(error) if error.message.contains("unknown field") => {
                    let field = error.message.split('`').nth(1).expect("a field").to_owned();
                    request.as_object_mut().expect("an object").remove(&field);
                }
                outcome => break outcome,
            }
        };
        match method.name {
            "versions" | "log.set_level" | "paths.compare" => assert!(outcome.is_ok(), "{}", method.name),
            name => assert_eq!(outcome.expect_err(name).status, Status::NullPointer, "{name}"),
        }
    }
}

#[test]
fn matches_are_imported_and_exported_in_pages() {
    let at = Scene::new();
    let line = |path: &Value, key: &str| json!({ "path": path, "key": key, "library_uuid": "u" });
    let other = json!({ "path": "/c", "key": "1", "library_uuid": "another" });
    let lines = [line(&json!("/b"), "1"), line(&json!({ "bytes": "L/8=" }), "4"), other];
    let counts = at.answer("matches.import", &json!({ "matches": lines }));
    assert_eq!(counts, json!({ "recorded": 2, "kept": 0, "skipped": 1 }));
    let first = at.answer("matches.export", &json!({ "limit": 1 }));
    let rest = at.answer("matches.export", &json!({ "cursor": first["cursor"] }));
    let of_page = |page: &Value| (page["matches"][0]["path"].clone(), page["matches"][0]["key"].clone());
    assert_eq!(of_page(&first), (json!("/b"), json!("/library/metadata/1")));
    assert_eq!(
        of_page(&rest),
        (json!({ "bytes": "L/8=" }), json!("/library/metadata/4"))
    );
    assert!(rest.get("cursor").is_none());
    let again = at.answer("matches.import", &json!({ "matches": first["matches"] }));
    assert_eq!(again, json!({ "recorded": 0, "kept": 1, "skipped": 0 }));
}

#[test]
fn pages_go_on_with_their_cursor_and_repeat() {
    let at = Scene::new();
    let keys = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().expect("items").iter();
        items
            .map(|item| item["rating_key"].as_str().expect("a key").to_owned())
            .collect()
    };
    let all = keys(&at.answer("items.list", &json!({ "library": { "title": "movies" } })));
    assert_eq!(all.len(), 2);
    let first = &at.answer("items.list", &json!({ "library": "Movies" }))["items"][0];
    assert_eq!((&first["section"], &first["library"]), (&json!("1"), &json!("Movies")));
    let first = at.answer("items.list", &json!({ "library": { "section": "1" }, "limit": 1 }));
    let next = json!({ "library": { "uuid": "u" }, "limit": 1, "cursor": first["cursor"] });
    let [second, again] = [at.answer("items.list", &next), at.answer("items.list", &next)];
    assert_eq!((&second, [keys(&first), keys(&second)].concat()), (&again, all));
    let end = at.answer(
        "items.list",
        &json!({ "library": "Movies", "limit": 1, "cursor": second["cursor"] }),
    );
    assert_eq!(end, json!({ "items": [] }));

    let below = json!({ "path": "/", "limit": 1 });
    let first = at.answer("items.below", &below);
    let after = json!({ "path": "/", "cursor": first["cursor"] });
    let rest = at.answer("items.below", &after);
    assert_eq!([keys(&first), keys(&rest)].concat(), ["1", "4"]);
    assert!(first["cursor"].is_string() && rest.get("cursor").is_none());
    for method in ["items.list", "items.below", "items.missing"] {
        let refused = at.refusal(method, &json!({ "library": "Movies", "path": "/", "cursor": "?" }));
        let of_list = at.refusal(method, &json!({ "library": "Movies", "cursor": "?" }));
        assert!(
            refused.contains("cursor") || of_list.contains("cursor"),
            "{refused}, {of_list}"
        );
    }
}

#[test]
fn a_source_without_trash_says_so() {
    let at = Scene::new();
    let trash = |request: Value| at.call("items.list", &request).expect_err("no trash").status;
    let listed = json!({ "library": "Movies", "trashed": true });
    assert_eq!(trash(listed), Status::Unsupported);
}

#[test]
fn an_item_is_given_with_what_is_known_of_it() {
    let at = Scene::new();
    assert_eq!(
        at.answer("items.get", &json!({ "key": "4" })),
        json!({ "item": {
            "key": "/library/metadata/4", "rating_key": "4", "kind": "other", "guids": [], "paths": ["/c"]
        } })
    );
    let (json, status) = at.call("items.get", &json!({ "key": "5" })).expect("an answer");
    assert_eq!((json.as_slice(), status), (&b"{}"[..], Status::NotFound));
}

#[test]
fn paths_that_are_not_utf8_come_and_go_as_bytes() {
    let at = Scene::new();
    let path = json!({ "bytes": "L2RhdGEv6Q==" });
    assert_eq!(at.answer("mappings.to_host", &json!({ "path": path }))["path"], path);
    let relations = at.answer("paths.compare", &json!({ "path": path, "others": [path, "/data"] }));
    assert_eq!(
        relations["relations"],
        json!([
            { "equal": true, "under": false, "common": 2 },
            { "equal": false, "under": true, "common": 0 }
        ])
    );
}

#[test]
fn a_cursor_of_one_library_is_refused_for_all() {
    let at = Scene::new();
    let page = at.answer("changes.list", &json!({ "library": "Movies" }));
    let refused = at.refusal("changes.list", &json!({ "cursor": page["cursor"] }));
    assert!(refused.contains("select that library"), "{refused}");
}

#[test]
fn a_file_that_is_there_is_not_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a"), "x").expect("a file");
    let root = Mapping::server_to_host("/", folder.path());
    let index = mapped(&folder.path().join("store"), vec![root]);
    let at = Scene::over(index, folder);
    let page = at.answer("items.missing", &json!({ "path": "/" }));
    let missing: Vec<_> = page["files"].as_array().expect("files").iter().collect();
    assert_eq!((missing.len(), &page["looked_for"]), (1, &json!(2)), "{page}");
    assert_eq!(
        (&missing[0]["item"]["rating_key"], &missing[0]["on_disk"]),
        (&json!("4"), &json!("missing"))
    );
}

#[test]
fn all_tables_are_cleared_only_by_that_word() {
    let at = Scene::new();
    let tables = at.0.index().tables();
    tables
        .table(b"t", false)
        .and_then(|table| table.put(b"n", b"v", &TableLimits::default()))
        .expect("put");
    assert!(at.refusal("tables.clear", &json!({})).contains("`all`"));
    assert_eq!(
        at.answer("tables.count", &json!({ "table": "t" })),
        json!({ "count": 1 })
    );
    at.answer("tables.clear", &json!({ "all": true }));
    assert_eq!(at.answer("tables.count", &json!({})), json!({ "count": 0 }));
}

#[test]
fn an_entry_is_added_or_taken_in_one_call() {
    let at = Scene::new();
    let add = |value: &str| at.answer("tables.add", &json!({ "table": "t", "name": "n", "value": value }));
    let take = || at.answer("tables.take", &json!({ "table": "t", "name": "n" }));
    assert_eq!(take(), json!({}));
    assert_eq!([add("one"), add("two")], [json!({}), json!({ "value": "one" })]);
    assert_eq!([take(), take()], [json!({ "value": "one" }), json!({})]);
    // An expired entry does not count.
    let expired = json!({ "table": "t", "name": "n", "value": "old", "ttl_ms": PLEXINDEX_TTL_AT_ONCE });
    assert_eq!(at.answer("tables.add", &expired), json!({}));
    assert_eq!([add("three"), take()], [json!({}), json!({ "value": "three" })]);
    assert_eq!(at.answer("tables.add", &expired), json!({}));
    assert_eq!(take(), json!({}));
}

#[test]
fn paths_are_converted_by_the_given_mappings() {
    let at = Scene::new();
    let rules = json!([{ "from": r"^/mnt/(?<n>\p{Nd}+)/", "to": r"/data/\g<n>/", "pattern": true },
                       { "from": "/mnt/1", "to": "/films" }]);
    let paths = json!(["/mnt/1/a.mkv", "/b.mkv"]);
    assert_eq!(
        at.answer("mappings.to_server", &json!({ "paths": paths, "mappings": rules })),
        json!({ "paths": [["/data/1/a.mkv", "/films/a.mkv"], []] })
    );
    assert_eq!(
        at.answer("mappings.to_server", &json!({ "paths": paths })),
        json!({ "paths": [[], []] })
    );
    let wrong = json!({ "paths": [], "mappings": [{ "from": "(", "to": "", "pattern": true }] });
    at.refusal("mappings.to_server", &wrong);
}

#[test]
fn the_committed_schema_is_of_these_types() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../include/plexindex.schema.json");
    let committed = std::fs::read_to_string(file).expect("the schema");
    assert!(committed == schema::text(), "renew it with `make header`");
}
