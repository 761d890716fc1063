//! Makes the C header out of `src/capi` and puts it into the build folder, and beside it `plexindex.json`, which says the
//! same to programs: what bindings are made from. The committed copies are in `include`, `tests/abi.rs` compares them,
//! and `make header` renews them. (A build script that writes into its own package would make `cargo package` refuse it.)

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the header is made of, in its order.
const SOURCES: [&str; 17] = [
    "src/error.rs",
    "src/capi/constants.rs",
    "src/capi/types.rs",
    "src/capi/functions/open.rs",
    "src/capi/functions/library.rs",
    "src/capi/functions/lookup.rs",
    "src/capi/functions/matching.rs",
    "src/capi/functions/blocks.rs",
    "src/capi/functions/paths.rs",
    "src/capi/functions/disk.rs",
    "src/capi/functions/record.rs",
    "src/capi/functions/refresh.rs",
    "src/capi/functions/feed.rs",
    "src/capi/functions/edit.rs",
    "src/capi/functions/tables.rs",
    "src/capi/functions/facts.rs",
    "src/capi/functions/log.rs",
];

/// How it is made.
const CONFIG: &str = "cbindgen.toml";

/// What stands between the shared object and the system's unwinder.
const UNWINDER: &str = "src/platform/unwind.c";

fn main() -> ExitCode {
    link_unwinder();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plexindex: the C header could not be generated: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Links it into the shared object, and into nothing else, where there is glibc.
fn link_unwinder() {
    println!("cargo::rerun-if-changed={UNWINDER}");
    let target = |what| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if (target("OS").as_str(), target("ENV").as_str()) != ("linux", "gnu") {
        return;
    }
    let mut compiler = cc::Build::new();
    compiler.file(UNWINDER).flag("-fexceptions").cargo_metadata(false);
    for object in compiler.compile_intermediates() {
        println!("cargo::rustc-cdylib-link-arg={}", object.display());
    }
    // Older ones have `dlopen` in a library of its own.
    println!("cargo::rustc-cdylib-link-arg=-ldl");
}

fn run() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for file in SOURCES.iter().chain(&["build.rs", CONFIG]) {
        println!("cargo::rerun-if-changed={file}");
    }
    let header = out.join("plexindex.h");
    match generate(&root, &out) {
        Ok(text) => {
            let text = finish(&text)?;
            fs::write(out.join("plexindex.json"), describe(&text)?)?;
            fs::write(header, text)?;
        }
        // The compiler is about to say where and why, which the parser cannot: let it come to that.
        Err(error) if error.is::<cbindgen::Error>() => {
            println!("cargo::warning=the C header was not generated, since src/capi does not parse");
            if header.exists() {
                fs::remove_file(header)?;
            }
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// What cbindgen makes of the sources.
fn generate(root: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    let config = cbindgen::Config::from_file(root.join(CONFIG))?;
    let mut builder = cbindgen::Builder::new().with_config(config);
    let copies = out.join("header");
    for source in SOURCES {
        let text = fs::read_to_string(root.join(source))
            .map_err(|error| format!("{source}, which build.rs lists, cannot be read: {error}"))?;
        let copy = copies.join(source);
        fs::create_dir_all(copy.parent().unwrap_or(out))?;
        fs::write(&copy, prepare(&text))?;
        builder = builder.with_src(copy);
    }
    let mut bindings = builder.generate()?;
    // Constants that belong to a type (Status::ALL) are for Rust.
    bindings.constants.retain(|constant| constant.associated_to.is_none());
    let mut text = Vec::new();
    bindings.write(&mut text);
    Ok(String::from_utf8(text)?)
}

/// Says for C what Rust says for itself, in the copy of a source that cbindgen reads.
fn prepare(source: &str) -> String {
    let source = source
        // Any C function pointer may be NULL; of an `Option` of a type's name cbindgen makes a struct.
        .replace("Option<ProgressFn>", "ProgressFn")
        .replace("Option<RenewTokenFn>", "RenewTokenFn")
        .replace("Option<LogFn>", "LogFn")
        // No function takes or returns the enum, so its width is no part of the ABI: no need to spell it for each
        // version of C and C++.
        .replace("#[repr(i32)]", "#[repr(C)]");
    // The heading that Rust wants above what the caller must see to.
    let mut parts = source.split("/// # Safety\n/// ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("/// Precondition: ");
        let mut letters = part.chars();
        text.extend(letters.next().map(|first| first.to_ascii_lowercase()));
        text.push_str(letters.as_str());
    }
    text
}

/// Says for C what cbindgen has no words for.
fn finish(header: &str) -> Result<String, String> {
    // The constants of an enum get its name before theirs, or nothing: here they shall have the library's.
    let header = header.replace("PLEXINDEX_STATUS_", "PLEXINDEX_");
    let lines = header.lines().map(|line| match line.split_once(" -") {
        // In parentheses: `x PLEXINDEX_TTL_NEVER` must not be a subtraction.
        Some((name, number)) if name.starts_with("#define ") => format!("{name} (-{number})\n"),
        _ => format!("{line}\n"),
    });
    let text: String = lines.collect();
    for left in ["Option_", "# Safety", "STATUS_"] {
        if text.contains(left) {
            return Err(format!(
                "`{left}` is left in the header: src/capi says something in a shape that build.rs does not know"
            ));
        }
    }
    Ok(text)
}

/// The header as JSON: every function with its types, every struct with the offsets of its fields where pointers have 64
/// bits, every number. A line each, so that changes of two branches merge.
fn describe(header: &str) -> Result<String, Box<dyn Error>> {
    let mut numbers = Vec::new();
    let mut code = String::new();
    let mut in_comment = false;
    for line in header.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        in_comment = in_comment || line.starts_with("/*");
        if let Some(define) = line.strip_prefix("#define ") {
            if let Some((name, value)) = define.split_once(' ') {
                numbers.push(number(name, value)?);
            }
        } else if !in_comment && !line.starts_with('#') && !line.starts_with("extern") && line != "}" {
            code.push_str(line);
            code.push(' ');
        }
        in_comment = in_comment && !line.ends_with("*/");
    }
    let [mut opaque, mut structs, mut callbacks, mut functions] = [const { Vec::new() }; 4];
    let mut statuses = Vec::new();
    let mut sizes: BTreeMap<String, (usize, usize)> = [("uint8_t", 1), ("int32_t", 4), ("uint32_t", 4), ("int64_t", 8)]
        .into_iter()
        .chain([("uint64_t", 8), ("size_t", 8)])
        .map(|(name, size)| (name.to_owned(), (size, size)))
        .collect();
    let mut rest = code.replace("struct ", "");
    while let Some((statement, behind)) = split_statement(&rest) {
        let defined = statement.strip_prefix("typedef ");
        if let Some((head, body)) = statement.split_once('{') {
            let (body, name) = body.split_once('}').ok_or("a body does not end")?;
            let name = name.trim();
            if head.contains("enum ") {
                for one in body.split(',').filter(|one| !one.trim().is_empty()) {
                    let (name, value) = one.split_once('=').ok_or("a status without a number")?;
                    statuses.push(number(name.trim(), value)?);
                }
            } else {
                structs.push(layout(name, body, &mut sizes)?);
            }
        } else if let Some((result, declared)) = defined.and_then(|it| it.split_once("(*")) {
            let (name, arguments) = declared.split_once(')').ok_or("a callback without arguments")?;
            sizes.insert(name.to_owned(), (8, 8));
            callbacks.push(callable(name, result.trim(), arguments.trim())?);
        } else if let Some(name) = defined.and_then(|it| it.split(' ').next()) {
            opaque.push(format!("    {}", quoted(name)));
        } else {
            let (head, arguments) = statement
                .split_once('(')
                .ok_or_else(|| format!("what is `{statement}`?"))?;
            let (result, name) = split_name(head);
            functions.push(callable(&name, &result, &format!("({arguments}"))?);
        }
        rest = behind;
    }
    let mut text = "{\n".to_owned();
    let parts = [
        ("constants", numbers, ['{', '}']),
        ("statuses", statuses, ['{', '}']),
        ("opaque", opaque, ['[', ']']),
        ("structs", structs, ['{', '}']),
        ("callbacks", callbacks, ['{', '}']),
        ("functions", functions, ['{', '}']),
    ];
    let last = parts.len() - 1;
    for (at, (name, lines, [open, close])) in parts.into_iter().enumerate() {
        if lines.is_empty() {
            return Err(format!("build.rs found no {name} in the header").into());
        }
        let comma = if at < last { "," } else { "" };
        writeln!(text, "  \"{name}\": {open}\n{}\n  {close}{comma}", lines.join(",\n"))?;
    }
    text.push_str("}\n");
    Ok(text)
}

/// What stands before the next `;` that is in no braces, and the rest.
fn split_statement(code: &str) -> Option<(String, String)> {
    let mut depth = 0;
    for (at, letter) in code.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return Some((code[..at].trim().to_owned(), code[at + 1..].to_owned())),
            _ => {}
        }
    }
    None
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn number(name: &str, value: &str) -> Result<String, String> {
    let value = value.trim().trim_matches(['(', ')']);
    let value: i64 = value.parse().map_err(|_| format!("{name} is no number: {value}"))?;
    Ok(format!("    {}: {value}", quoted(name)))
}

/// The type and the name of `const char *data`.
fn split_name(declared: &str) -> (String, String) {
    let declared = declared.trim();
    let at = declared.rfind([' ', '*']).map_or(0, |at| at + 1);
    (declared[..at].trim().to_owned(), declared[at..].to_owned())
}

/// A struct with the offsets that a C compiler gives it: docs/abi.txt has what one said, and a test compares.
fn layout(name: &str, body: &str, sizes: &mut BTreeMap<String, (usize, usize)>) -> Result<String, String> {
    let (mut end, mut widest, mut fields) = (0_usize, 1, Vec::new());
    for field in body.split(';').filter(|field| !field.trim().is_empty()) {
        let (kind, field) = split_name(field);
        let (field, count) = match field.split_once('[') {
            Some((field, count)) => {
                let count = count
                    .trim_end_matches(']')
                    .parse()
                    .map_err(|_| format!("the length of {field}"))?;
                (field.to_owned(), Some(count))
            }
            None => (field, None),
        };
        let known = if kind.ends_with('*') {
            Some((8, 8))
        } else {
            sizes.get(&kind).copied()
        };
        let (size, align) = known.ok_or_else(|| format!("the size of {kind}, of {name}.{field}, is not known"))?;
        let offset = end.next_multiple_of(align);
        end = offset + size * count.unwrap_or(1);
        widest = widest.max(align);
        let count = count.map_or_else(String::new, |count: usize| format!(", \"count\": {count}"));
        fields.push(format!(
            "      {{\"name\": {}, \"type\": {}{count}, \"offset\": {offset}, \"size\": {}}}",
            quoted(&field),
            quoted(&kind),
            end - offset
        ));
    }
    let size = end.next_multiple_of(widest);
    sizes.insert(name.to_owned(), (size, widest));
    Ok(format!(
        "    {}: {{\"size\": {size}, \"align\": {widest}, \"fields\": [\n{}\n    ]}}",
        quoted(name),
        fields.join(",\n")
    ))
}

/// A function or a type of callback.
fn callable(name: &str, result: &str, arguments: &str) -> Result<String, String> {
    let arguments = arguments.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
    let arguments = arguments.ok_or_else(|| format!("the arguments of {name}"))?;
    let arguments: Vec<String> = arguments
        .split(',')
        .filter(|one| *one != "void")
        .map(|one| {
            let (kind, name) = split_name(one);
            format!("{{\"name\": {}, \"type\": {}}}", quoted(&name), quoted(&kind))
        })
        .collect();
    Ok(format!(
        "    {}: {{\"result\": {}, \"arguments\": [{}]}}",
        quoted(name),
        quoted(result),
        arguments.join(", ")
    ))
}
