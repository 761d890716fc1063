//! The build script of `bindings/c/library`, the C library; the crate itself has none. Makes the C header out of `bindings/c/src` and
//! puts it into the build folder, and beside it `plexindex.json`, which says the same to programs: what bindings are made
//! from. The committed copies are in `include`, `bindings/c/tests/abi.rs` compares them, and `make header` renews them.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The header.
const HEADER: &str = "plexindex.h";

/// Its sources, in their order.
const SOURCES: [&str; 15] = [
    "crates/matching/src/error.rs",
    "bindings/c/src/constants.rs",
    "bindings/c/src/types.rs",
    "bindings/c/src/functions/open.rs",
    "bindings/c/src/functions/library.rs",
    "bindings/c/src/functions/lookup.rs",
    "bindings/c/src/functions/matching.rs",
    "bindings/c/src/functions/blocks.rs",
    "bindings/c/src/functions/record.rs",
    "bindings/c/src/functions/refresh.rs",
    "bindings/c/src/functions/stats.rs",
    "bindings/c/src/functions/log.rs",
    "bindings/c/src/functions/call.rs",
    "bindings/c/src/functions/events.rs",
    "bindings/c/src/functions/tables.rs",
];

/// Functions that a C compiler makes of the header itself.
const HELPERS: &str = "bindings/c/src/helpers.h";

#[path = "scripts/describe_header.rs"]
mod describe_header;

use describe_header::describe;

/// This folder, from that of the C library, where cargo runs this.
const ROOT: &str = "../../..";

/// How it is made.
const CONFIG: &str = "cbindgen.toml";

/// What stands between the shared object and the system's unwinder.
const UNWINDER: &str = "../../../src/platform/unwind.c";

/// What `bindings/c/build.rs` runs.
pub fn main() -> ExitCode {
    name_library();
    link_unwinder();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plexindex: the C header could not be generated: {error}");
            ExitCode::FAILURE
        }
    }
}

/// On macOS programs remember a library's own name, by default its path at the builder's. With this one they look for it
/// where they say.
fn name_library() {
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "macos") {
        // In words that both clang and its linker know.
        println!("cargo::rustc-cdylib-link-arg=-install_name");
        println!("cargo::rustc-cdylib-link-arg=@rpath/libplexindex.dylib");
    }
}

/// Links it into the shared object, and into nothing else, where there is glibc. ARM's unwinder has other functions: there
/// the linker adds it.
fn link_unwinder() {
    println!("cargo::rerun-if-changed={UNWINDER}");
    let target = |what| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if (target("OS").as_str(), target("ENV").as_str()) != ("linux", "gnu") || target("ARCH") == "arm" {
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
    let root = Path::new(ROOT);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for file in SOURCES
        .iter()
        .chain(&["build.rs", "scripts/describe_header.rs", CONFIG, HELPERS])
    {
        println!("cargo::rerun-if-changed={ROOT}/{file}");
    }
    let header = out.join(HEADER);
    match generate(root, &out) {
        Ok(text) => {
            fs::write(out.join("plexindex.json"), describe(&text)?)?;
            let helpers = fs::read_to_string(root.join(HELPERS))?;
            fs::write(header, with_helpers(&text, &helpers)?)?;
        }
        // The compiler is about to say where and why, which the parser cannot: let it come to that.
        Err(error) if error.is::<cbindgen::Error>() => {
            println!("cargo::warning=the C header was not generated, since bindings/c/src does not parse");
            if header.exists() {
                fs::remove_file(header)?;
            }
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Runs cbindgen over the sources.
fn generate(root: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    let mut builder = cbindgen::Builder::new().with_config(cbindgen::Config::from_file(root.join(CONFIG))?);
    let copies = out.join("header");
    let mut index = String::new();
    for source in SOURCES {
        let text = fs::read_to_string(root.join(source))
            .map_err(|error| format!("{source}, which build.rs lists, cannot be read: {error}"))?;
        index_functions(&text, &mut index);
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
    Ok(finish(&String::from_utf8(text)?.replacen(
        " */",
        &format!("{index} */"),
        1,
    ))?)
}

/// Adds the functions of a source to the index at the top of its header.
fn index_functions(source: &str, index: &mut String) {
    let names = source.split("extern \"C\" fn ").skip(1);
    let names: Vec<&str> = names.filter_map(|rest| rest.split('(').next()).collect();
    let Some(topic) = source.lines().next().and_then(|line| line.strip_prefix("//! ")) else {
        return;
    };
    if names.is_empty() {
        return;
    }
    if index.is_empty() {
        index.push_str(" *\n * Functions\n");
    }
    let mut line = format!(" *   {}", topic.trim_end_matches('.'));
    line.push(':');
    for (at, name) in names.iter().enumerate() {
        let end = if at + 1 == names.len() { "" } else { "," };
        if line.len() + name.len() + 2 > COLUMNS {
            index.push_str(&line);
            index.push('\n');
            line = " *    ".into();
        }
        line.push(' ');
        line.push_str(name);
        line.push_str(end);
    }
    index.push_str(&line);
    index.push('\n');
}

/// Columns of a header.
const COLUMNS: usize = 120;

/// Puts the helpers behind the last declaration.
fn with_helpers(header: &str, helpers: &str) -> Result<String, String> {
    let end = "#ifdef __cplusplus\n}  // extern \"C\"";
    let at = header.find(end).ok_or("the header does not end as it should")?;
    Ok(format!("{}{helpers}\n{}", &header[..at], &header[at..]))
}

/// Preconditions that the head of the header states for all functions.
const GENERAL: [&str; 9] = [
    "Pointers must be NULL or valid; `handle` must be open.",
    "Pointers must be NULL or valid; `library` must be a handle of an open index.",
    "Pointers must be NULL or valid; `table` must be a handle of an open index.",
    "Pointers must be NULL or valid; `handle` must be open, and the query's library one of it.",
    "Pointers must be NULL or valid.",
    "`handle` must be NULL or open.",
    "`library` must be NULL or a handle of an open index.",
    "`table` must be NULL or a handle of an open index.",
    "`block` must be NULL or valid.",
];

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
    // Rust wants a heading above preconditions. The head of the header states those that hold for all functions.
    let mut lines: Vec<String> = Vec::new();
    let mut is_heading = false;
    for line in source.lines() {
        match line.strip_prefix("/// ") {
            Some("# Safety") => is_heading = true,
            Some(text) if std::mem::take(&mut is_heading) => {
                if GENERAL.contains(&text) || text.starts_with("As ") {
                    lines.truncate(lines.len() - usize::from(lines.last().is_some_and(|line| line == "///")));
                } else {
                    let (first, rest) = text.split_at(1);
                    lines.push(format!("/// Precondition: {}{rest}", first.to_lowercase()));
                }
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

/// Says for C what cbindgen has no words for.
fn finish(header: &str) -> Result<String, String> {
    // The constants of an enum get its name before theirs, or nothing: here they shall have the library's.
    let header = header.replace("PLEXINDEX_STATUS_", "PLEXINDEX_");
    let lines = header.lines().map(
        |line| match line.strip_prefix("#define ").and_then(|it| it.split_once(' ')) {
            Some((name, value)) => format!("#define {name} {}\n", spelled(name, value)),
            // The names of types are enough: each is a typedef.
            None if line.starts_with("typedef struct") => format!("{line}\n"),
            None => format!("{}\n", line.replace("struct plexindex_", "plexindex_")),
        },
    );
    let text = compact(&lines.collect::<String>());
    for left in ["Option_", "# Safety", "STATUS_"] {
        if text.contains(left) {
            return Err(format!(
                "`{left}` is left in the header: bindings/c/src says something in a shape that build.rs does not know"
            ));
        }
    }
    Ok(text)
}

/// Saves lines, so that more of the header is seen at once: constants of a group stand under one heading, a short comment
/// stands behind its constant or field, and a declaration that fits has one line.
fn compact(header: &str) -> String {
    let lines: Vec<&str> = header.lines().collect();
    let mut text: Vec<String> = Vec::with_capacity(lines.len());
    let mut heading = String::new();
    let mut at = 0;
    while at < lines.len() {
        let comments = lines[at..]
            .iter()
            .take_while(|line| line.trim_start().starts_with("// "))
            .count();
        let (comment, code) = (
            &lines[at..at + comments],
            lines.get(at + comments).copied().unwrap_or_default(),
        );
        if code.starts_with("#define") && comments > 0 {
            let whole = comment.iter().map(|line| &line[3..]).collect::<Vec<_>>().join(" ");
            let (group, meaning) = whole.split_once(": ").unwrap_or(("", &whole));
            if group.is_empty() || group != heading {
                group.clone_into(&mut heading);
                text.extend((!group.is_empty()).then(|| format!("// {group}:")));
            } else if text.last().is_some_and(String::is_empty) {
                text.pop();
            }
            with_comment(code, meaning, "", &mut text);
            at += comments + 1;
        } else if comments == 1 && code.starts_with("    ") {
            let comment = comment[0].trim_start().trim_start_matches("// ");
            with_comment(code, comment, "    ", &mut text);
            at += 2;
        } else if comments > 0 {
            text.extend(comment.iter().map(|line| (*line).to_owned()));
            at += comments;
        } else if lines[at].ends_with(',') && lines[at].contains('(') {
            let count = lines[at..].iter().take_while(|line| !line.ends_with(';')).count() + 1;
            let declared = &lines[at..at + count];
            let whole = declared.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
            let indent = " ".repeat(whole.find('(').map_or(0, |at| at + 1));
            let mut line = String::new();
            for argument in declared.iter().map(|line| line.trim()) {
                if !line.is_empty() && line.len() + 1 + argument.len() > COLUMNS {
                    text.push(std::mem::replace(&mut line, indent.clone()));
                } else if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(argument);
            }
            text.push(line);
            at += count;
        } else {
            text.push(lines[at].to_owned());
            at += 1;
        }
    }
    text.join("\n") + "\n"
}

/// A line of code with its comment: behind it if that fits, else above it.
fn with_comment(code: &str, comment: &str, indent: &str, text: &mut Vec<String>) {
    let line = format!("{code} // {comment}");
    if line.len() <= COLUMNS {
        text.push(line);
        return;
    }
    let mut above = format!("{indent}//");
    for word in comment.split(' ') {
        if above.len() + 1 + word.len() > COLUMNS {
            text.push(std::mem::replace(&mut above, format!("{indent}//")));
        }
        above.push(' ');
        above.push_str(word);
    }
    text.push(above);
    text.push(code.to_owned());
}

/// Constants that are bits, by the beginning of their names.
const FLAGS: [&str; 5] = [
    "PLEXINDEX_OPEN_",
    "PLEXINDEX_QUERY_",
    "PLEXINDEX_ANSWER_",
    "PLEXINDEX_ITEM_",
    "PLEXINDEX_TABLE_FOLD_",
];

/// A number as C readers expect it.
fn spelled(name: &str, value: &str) -> String {
    match value.parse::<i64>() {
        Ok(bits) if FLAGS.iter().any(|group| name.starts_with(group)) => format!("{bits:#x}"),
        // In parentheses: `x PLEXINDEX_TTL_NEVER` must not be a subtraction.
        Ok(number) if number < 0 => format!("({number})"),
        _ => value.to_owned(),
    }
}
