//! The C ABI is what the sources, the header and the shared object all say: three lists that must not drift apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::mem::{offset_of, size_of};
use std::path::Path;
use std::process::Command;

use plexindex::error::Status;
use plexindex::model::MatchKind;
use plexindex_abi::types;

use crate::compile;

mod accelerator;

const HEADER: &str = "plexindex.h";

/// The header as committed, without the functions that a C compiler makes of it.
fn header() -> String {
    let header = committed(HEADER);
    let (before, rest) = header.split_once(HELPERS).expect("the header has helpers");
    let (_, after) = rest.split_once("#ifdef __cplusplus").expect("it ends");
    format!("{before}#ifdef __cplusplus{after}")
}

const HELPERS: &str = "// Helpers.";

/// Names of helpers: functions and types that only C has.
fn helpers() -> BTreeSet<String> {
    let header = committed(HEADER);
    let helpers = header.split_once(HELPERS).expect("the header has helpers").1;
    let words = helpers.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| word.starts_with("plexindex_"))
        .map(str::to_owned)
        .collect()
}

fn committed(name: &str) -> String {
    fs::read_to_string(compile::repository(&format!("include/{name}"))).expect("it is committed")
}

/// What the header declares.
#[derive(Default)]
struct Declared {
    /// Names of functions.
    functions: BTreeSet<String>,
    /// Names of `#define`d constants.
    constants: BTreeSet<String>,
    /// Statuses with their numbers.
    statuses: BTreeMap<String, i32>,
    /// Structs with their fields, in order.
    structs: BTreeMap<String, Vec<String>>,
    /// Other types: opaque ones, callbacks, the enum.
    types: BTreeSet<String>,
    /// Lines that declare something and have no comment right above.
    bare: Vec<String>,
}

impl Declared {
    /// Reads the shapes that cbindgen writes, one declaration a line, or from its first line on.
    fn read(header: &str) -> Self {
        let mut declared = Self::default();
        let mut fields = Vec::new();
        let mut above = "";
        let mut open = false; // inside of an argument list that goes over several lines
        for line in header.lines() {
            let code = line.trim();
            let names_something = !(code.is_empty()
                || code.starts_with("//")
                || code.starts_with("/*")
                || code.starts_with('*')
                || code.starts_with('}')
                || code.starts_with("#if")
                || code.starts_with("#endif")
                || code.starts_with("#include")
                || code.starts_with("extern")
                || code == "#define PLEXINDEX_H"
                || open);
            if names_something && !above.starts_with("//") && !code.contains(" // ") {
                declared.bare.push(code.to_owned());
            }
            // A short comment stands behind what it is about.
            let line = line.split(" // ").next().unwrap_or_default();
            let code = code.split(" // ").next().unwrap_or_default();
            if let Some(name) = code.strip_prefix("} ") {
                let name = name.trim_end_matches(';').to_owned();
                if fields.is_empty() {
                    declared.types.insert(name);
                } else {
                    declared.structs.insert(name, std::mem::take(&mut fields));
                }
            } else if names_something {
                declared.item(line, &mut fields);
                open = line.contains('(') && !line.ends_with(';') && !line.starts_with('#');
            } else if open {
                open = !line.ends_with(';');
            }
            above = code;
        }
        declared
    }

    fn item(&mut self, line: &str, fields: &mut Vec<String>) {
        let words: Vec<&str> = line
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .filter(|word| !word.is_empty())
            .collect();
        if line.starts_with("#define") {
            self.constants.insert(words[1].to_owned());
        } else if let Some(constant) = line.strip_prefix("    PLEXINDEX_") {
            let (name, number) = constant.split_once(" = ").expect("a status has a number");
            let number = number.trim_end_matches(',').parse().expect("a number");
            self.statuses.insert(name.to_owned(), number);
        } else if line.starts_with("    ") {
            let name = line.trim().trim_end_matches(';').split('[').next();
            let name = name.and_then(|name| name.split([' ', '*']).next_back());
            fields.push(name.expect("a field has a name").to_owned());
        } else if line.starts_with("typedef") {
            let callback = line.split_once("(*").and_then(|(_, rest)| rest.split_once(')'));
            if let Some((name, _)) = callback {
                self.types.insert(name.to_owned());
            } else if line.ends_with(';') {
                self.types.extend(words.last().map(|name| (*name).to_owned()));
            }
        } else {
            let name = line.split('(').next().expect("a function has arguments");
            let name = name.split([' ', '*']).next_back().unwrap_or_default();
            self.functions.insert(name.to_owned());
        }
    }
}

/// The header, and what bindings are made from.
#[test]
fn what_build_rs_makes_is_committed() {
    for name in [HEADER, "plexindex.json"] {
        let generated = fs::read_to_string(Path::new(env!("OUT_DIR")).join(name))
            .expect("build.rs generated no header: its warning in the output of cargo says why");
        assert!(
            generated == committed(name),
            "include/{name} differs from what bindings/c/src says: run `make header` and commit it"
        );
    }
}

#[test]
fn no_line_of_the_header_is_longer_than_120_columns() {
    let text = committed(HEADER);
    let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 120).collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn every_item_of_the_header_has_a_comment() {
    let bare = Declared::read(&header()).bare;
    assert!(bare.is_empty(), "no comment right above: {bare:#?}");
}

/// Comments name functions, constants, fields and types: all of them exist, and `sizeof` is taken of types.
#[test]
fn comments_name_what_exists() {
    let header = header();
    let declared = Declared::read(&header);
    let helpers = helpers();
    let statuses = declared.statuses.keys().map(|name| format!("PLEXINDEX_{name}"));
    let names: BTreeSet<String> = declared
        .functions
        .iter()
        .chain(&declared.constants)
        .chain(&declared.types)
        .chain(declared.structs.keys())
        .cloned()
        .chain(statuses)
        .chain(helpers.clone())
        .collect();
    let mut wrong = Vec::new();
    for line in header.lines() {
        let Some((_, comment)) = line.split_once("//") else {
            continue;
        };
        for (at, _) in comment
            .match_indices("plexindex_")
            .chain(comment.match_indices("PLEXINDEX_"))
        {
            let rest = &comment[at..];
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let is_type = declared.types.contains(name) || declared.structs.contains_key(name);
            let right = if after.starts_with('*') {
                names.iter().any(|known| known.starts_with(name))
            } else if comment[..at].ends_with("sizeof(") {
                is_type
            } else if after.starts_with("()") {
                declared.functions.contains(name) || helpers.contains(name)
            } else if let (Some(fields), Some(field)) = (declared.structs.get(name), after.strip_prefix('.')) {
                let field: String = field
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                field.is_empty() || fields.contains(&field)
            } else {
                names.contains(name)
            };
            if !right {
                wrong.push(format!("{name} in `{}`", comment.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "comments name what the header has not: {wrong:#?}");
}

#[test]
fn the_header_compiles_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    for (standard, name) in [
        ("c99", "alone.c"),
        ("c11", "alone.c"),
        ("c17", "alone.c"),
        ("c++11", "alone.cpp"),
        ("c++17", "alone.cpp"),
    ] {
        if standard.starts_with("c++") && compile::lacks(compile::CPP) {
            continue;
        }
        let source = folder.path().join(name);
        // Twice: the include guard.
        fs::write(
            &source,
            "#include \"plexindex.h\"\n#include \"plexindex.h\"\nint not_empty;\n",
        )
        .expect("a file");
        compile::compile(standard, &source, &folder.path().join("alone.o"), &["-c"]);
    }
}

/// Compiles and runs a C program made of these statements; gives what it prints.
fn printed_by(statements: &str, link: bool) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("print.c");
    let program = folder.path().join("print");
    let text =
        format!("#include \"plexindex.h\"\n#include <stdio.h>\nint main(void)\n{{\n{statements}    return 0;\n}}\n");
    fs::write(&source, text).expect("a file");
    let link = if link { compile::link_arguments() } else { Vec::new() };
    let link: Vec<&str> = link.iter().map(String::as_str).collect();
    compile::compile("c11", &source, &program, &link);
    let output = compile::run(&mut Command::new(&program), "CC");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// `name number` for each size and offset: as Rust sees them.
macro_rules! layouts {
    ($($name:ident = $rust:ident { $($field:ident),* $(,)? })*) => {
        [$((
            stringify!($name),
            size_of::<types::$rust>(),
            vec![$((stringify!($field), offset_of!(types::$rust, $field))),*],
        )),*]
    };
}

#[test]
fn c_and_rust_agree_on_every_layout() {
    let rust = layouts! {
        plexindex_bytes = Bytes { data, length }
        plexindex_mapping = MappingRecord { kind, reserved, from, to }
        plexindex_options = OptionsRecord {
            size, cache_dir, server_url, token, user, ca_file, library_ttl_ms, max_age_ms, timeout_ms,
            connect_timeout_ms, read_timeout_ms, retry_ms, matches_limit, flags, page_size, log_level, reserved,
            mappings, mappings_count, slow_ms, size_limit, database, renew_token, renew_token_user, shared, shared_retry_ms,
            stale_answer_timeout_ms,
        }
        plexindex_mapping = MappingRecord { kind, reserved, from, to }
        plexindex_query = QueryRecord {
            size, library, text, timeout_ms, flags, reserved, progress, progress_user,
        }
        plexindex_progress = ProgressRecord { size, library, items, total, elapsed_ms }
        plexindex_buffer = Buffer { data, capacity, length }
        plexindex_text = Text { offset, length }
        plexindex_answers = Answers { size, answer_size, item_size, count, first, log_lines }
        plexindex_answer = AnswerRecord {
            status, match_kind, confidence, reason, flags, item, candidates, candidates_count, candidates_total, message,
            age_ms,
        }
        plexindex_item = ItemRecord {
            key, rating_key, title, guid, show_title, show_rating_key, show_guid, path, section, library_title, kind,
            year, season, episode, flags, reserved,
        }
        plexindex_stats = StatsRecord {
            size, answers, lookup_misses, stale_answers, requests, bytes_received, store_requests, store_answers,
            listings, network_us, store_us, segment_us, items, matches, libraries, disk_bytes, sequence, events,
            hints, parse_us, wait_us, match_us, calls, calls_us, slow_calls, failures,
            size_limit, over_limit, evictions, last_failure,
        }
        plexindex_call_options = CallOptionsRecord { size, timeout_ms, progress, progress_user }
        plexindex_table_op = TableOp { kind, reserved, table, name, value }
    };
    let mut expected = BTreeSet::new();
    for (name, size, fields) in rust {
        expected.insert(format!("{name} {size}"));
        for (field, offset) in fields {
            expected.insert(format!("{name}.{field} {offset}"));
        }
    }
    let mut statements = String::new();
    for (name, fields) in Declared::read(&header()).structs {
        writeln!(statements, "    printf(\"{name} %zu\\n\", sizeof({name}));").expect("a string grows");
        for field in fields {
            writeln!(
                statements,
                "    printf(\"{name}.{field} %zu\\n\", offsetof({name}, {field}));"
            )
            .expect("a string grows");
        }
    }
    let printed = printed_by(&statements, false);
    let seen: BTreeSet<String> = printed.lines().map(str::to_owned).collect();
    assert_eq!(seen, expected);
}

/// The enum of the header, the table of the crate and `plexindex_get_status_name` are one list.
#[test]
fn every_status_has_its_name() {
    let declared = Declared::read(&header()).statuses;
    let table: BTreeMap<String, i32> = Status::ALL
        .into_iter()
        .map(|status| (status.name().to_owned(), status as i32))
        .collect();
    assert_eq!(declared, table);
    let mut statements = String::new();
    for number in declared.values().copied().chain([-1, 99, i32::MAX]) {
        writeln!(statements, "    puts(plexindex_get_status_name({number}));").expect("a string grows");
    }
    let printed = printed_by(&statements, true);
    let expected: Vec<&str> = declared.keys().map(String::as_str).chain(["UNKNOWN"; 3]).collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
}

/// The helpers that name numbers have a name for each constant, and for no other number.
#[test]
fn every_number_has_its_name() {
    let header = header();
    for (function, prefix) in [
        ("match_kind", "PLEXINDEX_MATCH_"),
        ("confidence", "PLEXINDEX_CONFIDENCE_"),
        ("reason", "PLEXINDEX_REASON_"),
        ("kind", "PLEXINDEX_KIND_"),
    ] {
        let mut names: BTreeMap<i32, String> = (-1..40).map(|number| (number, "UNKNOWN".to_owned())).collect();
        for line in header.lines() {
            if let Some((name, rest)) = line.strip_prefix("#define ").and_then(|line| line.split_once(' '))
                && let Some(name) = name.strip_prefix(prefix)
            {
                let number = rest.split(' ').next().and_then(|number| number.parse().ok());
                names.insert(number.expect("a number"), name.to_owned());
            }
        }
        let statements = format!("    for (int i = -1; i < 40; i++) puts(plexindex_get_{function}_name(i));\n");
        let printed = printed_by(&statements, false);
        assert!(names.values().any(|name| name != "UNKNOWN"), "{prefix}");
        assert_eq!(
            printed.lines().collect::<Vec<_>>(),
            names.values().collect::<Vec<_>>(),
            "{function}"
        );
    }
}

/// An enum of the model whose numbers answers carry has a constant for each variant, and the header no other.
#[test]
fn every_number_of_an_answer_has_its_constant() {
    let model = fs::read_to_string(compile::repository("crates/matching/src/model/mod.rs")).expect("readable");
    let model = syn::parse_file(&model).expect("Rust");
    let header = header();
    for (name, prefix) in [
        ("MatchKind", "PLEXINDEX_MATCH_"),
        ("Confidence", "PLEXINDEX_CONFIDENCE_"),
        ("Reason", "PLEXINDEX_REASON_"),
    ] {
        let found = model.items.iter().find_map(|item| match item {
            syn::Item::Enum(one) if one.ident == name => Some(one),
            _ => None,
        });
        let variants: BTreeMap<String, String> = found
            .expect("the model has it")
            .variants
            .iter()
            .map(|variant| {
                let words = variant.ident.to_string();
                let words = words.chars().enumerate().flat_map(|(at, c)| {
                    let apart = (at > 0 && c.is_uppercase()).then_some('_');
                    apart.into_iter().chain([c.to_ascii_uppercase()])
                });
                let Some((_, syn::Expr::Lit(number))) = &variant.discriminant else {
                    panic!("{name}::{} has no number", variant.ident);
                };
                let syn::Lit::Int(number) = &number.lit else {
                    panic!("{name}::{} has no number", variant.ident);
                };
                (words.collect(), number.base10_digits().to_owned())
            })
            .collect();
        let constants: BTreeMap<String, String> = header
            .lines()
            .filter_map(|line| line.strip_prefix("#define ")?.strip_prefix(prefix)?.split_once(' '))
            .filter_map(|(name, rest)| Some((name.to_owned(), rest.split(' ').next()?.to_owned())))
            .collect();
        assert_eq!(variants, constants, "{name}");
        if name == "MatchKind" {
            assert_eq!(
                variants.len(),
                MatchKind::ALL.len() + 1,
                "MatchKind::ALL has each but 'none'"
            );
        }
    }
}

/// The C++ binding has a way to each function, status and constant.
#[test]
fn the_cpp_binding_reaches_everything() {
    let binding = fs::read_to_string(compile::repository("bindings/cpp/plexindex.hpp")).expect("readable");
    let words: BTreeSet<&str> = binding
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    let declared = Declared::read(&header());
    let statuses = declared.statuses.keys().map(|name| format!("PLEXINDEX_{name}"));
    let names = declared.functions.iter().chain(&declared.constants).cloned();
    // Statistics are C's struct, and its counts have C's names.
    let own = |name: &String| !name.starts_with("PLEXINDEX_REQUEST_") && name != "PLEXINDEX_H";
    let missing: Vec<String> = names
        .chain(statuses)
        .filter(own)
        .filter(|name| !words.contains(name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "bindings/cpp/plexindex.hpp names none of these: {missing:?}"
    );
}

/// No panic may cross the boundary: the whole body of whatever is exported is one call of a guard.
#[test]
fn every_exported_function_is_guarded() {
    let mut guarded = BTreeSet::new();
    for entry in fs::read_dir(compile::repository("bindings/c/src/functions")).expect("a folder") {
        let source = fs::read_to_string(entry.expect("an entry").path()).expect("a source");
        for function in source.split("#[unsafe(no_mangle)]\n").skip(1) {
            let name = function
                .split_once("fn ")
                .and_then(|(_, rest)| rest.split_once('('))
                .expect("a name")
                .0;
            let body = function
                .split_once(" {\n")
                .and_then(|(_, rest)| rest.split_once("\n}\n"))
                .expect("a body")
                .0;
            // Each other line of the body belongs to the call.
            let mut lines = body
                .lines()
                .filter(|line| !line.starts_with("     ") && !line.trim().starts_with("})"));
            let call = lines.next().unwrap_or_default();
            assert!(
                call.starts_with("    guard") && lines.next().is_none(),
                "{name}: one call of a guard"
            );
            guarded.insert(name.to_owned());
        }
    }
    assert_eq!(guarded, Declared::read(&header()).functions);
}

/// The dynamic symbols of the shared object: the header's functions, nothing more and nothing less.
#[test]
fn the_shared_object_exports_the_header() {
    if compile::lacks(("NM", "nm")) {
        return;
    }
    let mut nm = Command::new("nm");
    if cfg!(target_os = "macos") {
        nm.arg("-gU");
    } else {
        nm.args(["-D", "--defined-only"]);
    }
    let output = compile::run(nm.arg(compile::library()), "PATH");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let symbols: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next_back())
        .map(|name| if cfg!(target_os = "macos") { &name[1..] } else { name })
        .map(str::to_owned)
        .collect();
    let functions = Declared::read(&header()).functions;
    assert!(functions.iter().all(|name| name.starts_with("plexindex_")));
    assert_eq!(symbols, functions);
}
