//! Generates the C header from `bindings/c/src` into the build folder, and `plexindex.json`, from which the bindings are
//! generated. `include` contains committed copies; `bindings/c/tests/abi.rs` compares them, and `make header` renews them.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../../scripts/describe_header.rs"]
mod describe_header;

use describe_header::describe;

/// Name of the generated header.
const HEADER: &str = "plexindex.h";

/// Source files of the header, in the order of its declarations.
const SOURCES: [&str; 10] = [
    "crates/matching/src/error.rs",
    "crates/matching/src/model/mod.rs",
    "src/stats.rs",
    "bindings/c/src/constants.rs",
    "bindings/c/src/types.rs",
    "bindings/c/src/functions/open.rs",
    "bindings/c/src/functions/lookup.rs",
    "bindings/c/src/functions/record.rs",
    "bindings/c/src/functions/index.rs",
    "bindings/c/src/functions/tables.rs",
];

/// Inline functions, which are appended to the header with the names of constants; see [`with_names`].
const HELPERS: &str = "bindings/c/src/helpers.h";

/// Path of this folder from the folder of the C library, where cargo runs this script.
const ROOT: &str = "../../..";

/// Configuration file of cbindgen.
const CONFIG: &str = "cbindgen.toml";

/// Writes the header and its description.
pub fn generate_files() -> Result<(), Box<dyn Error>> {
    let root = Path::new(ROOT);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for file in SOURCES.iter().chain(&[
        "bindings/c/library/header.rs",
        "scripts/describe_header.rs",
        CONFIG,
        HELPERS,
    ]) {
        println!("cargo::rerun-if-changed={ROOT}/{file}");
    }
    let header = out.join(HEADER);
    match generate(root, &out) {
        Ok(text) => {
            fs::write(out.join("plexindex.json"), describe(&text)?)?;
            let helpers = fs::read_to_string(root.join(HELPERS))?;
            fs::write(header, with_helpers(&text, &with_names(&text, &helpers)?)?)?;
        }
        // The source does not parse. Lets the build continue, since the compiler then reports the position and the
        // cause, which cbindgen does not.
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

/// Runs cbindgen on prepared copies of the sources, and returns the header without the helpers.
fn generate(root: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    let mut builder = cbindgen::Builder::new().with_config(cbindgen::Config::from_file(root.join(CONFIG))?);
    let copies = out.join("header");
    for source in SOURCES {
        let text = fs::read_to_string(root.join(source))
            .map_err(|error| format!("{source}, which header.rs lists, cannot be read: {error}"))?;
        let copy = copies.join(source);
        fs::create_dir_all(copy.parent().unwrap_or(out))?;
        fs::write(&copy, prepare(&text))?;
        builder = builder.with_src(copy);
    }
    let mut bindings = builder.generate()?;
    // Omits constants that are only for Rust.
    bindings
        .constants
        .retain(|constant| constant.associated_to.is_none() && constant.export_name.starts_with("PLEXINDEX_"));
    let mut text = Vec::new();
    bindings.write(&mut text);
    Ok(finish(&String::from_utf8(text)?)?)
}

/// Maximum line length of the header.
const COLUMNS: usize = 120;

/// Inserts the helpers after the last declaration of the header.
fn with_helpers(header: &str, helpers: &str) -> Result<String, String> {
    let end = "#ifdef __cplusplus\n}  // extern \"C\"";
    let at = header.find(end).ok_or("the header does not end as it should")?;
    Ok(format!("{}{helpers}\n{}", &header[..at], &header[at..]))
}

/// Replaces `NAMES(prefix)` by the list of the names of the constants with this prefix, in the order of their numbers, and
/// `COUNT(prefix)` by its length. A number without a constant has the name `UNKNOWN`.
fn with_names(header: &str, helpers: &str) -> Result<String, Box<dyn Error>> {
    let mut text = helpers.to_owned();
    while let Some((before, (prefix, after))) = text
        .split_once("NAMES(")
        .and_then(|(before, rest)| Some((before, rest.split_once(')')?)))
    {
        let mut names: Vec<&str> = Vec::new();
        for line in header.lines() {
            let Some((name, value)) = line
                .strip_prefix("#define ")
                .and_then(|line| line.strip_prefix(prefix)?.split_once(' '))
            else {
                continue;
            };
            let number: usize = value.split(' ').next().unwrap_or_default().parse()?;
            names.resize(names.len().max(number + 1), "UNKNOWN");
            names[number] = name;
        }
        let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let mut list = quoted.join(", ");
        if before.lines().next_back().unwrap_or_default().len() + list.len() > COLUMNS - "};".len() {
            list = format!("\n{}", wrap("       ", &list).join("\n"));
        }
        let after = after.replace(&format!("COUNT({prefix})"), &names.len().to_string());
        text = format!("{before}{list}{after}");
    }
    Ok(text)
}

/// Preconditions that the comment at the top of the header states for all functions.
const GENERAL: [&str; 9] = [
    "Pointers must be NULL or valid; `handle` must be open.",
    "Pointers must be NULL or valid; `library` must be a handle to a library of an open index.",
    "Pointers must be NULL or valid; `table` must be a handle to a table of an open index.",
    "Pointers must be NULL or valid; `handle` must be open, and the query's library must belong to `handle`.",
    "Pointers must be NULL or valid.",
    "`handle` must be NULL or open.",
    "`library` must be NULL or a handle to a library of an open index.",
    "`table` must be NULL or a handle to a table of an open index.",
    "`block` must be NULL or valid.",
];

/// Adapts the source for C, in the copy that cbindgen reads: types, and headings in comments.
fn prepare(source: &str) -> String {
    let source = source
        // Any C function pointer may be NULL. cbindgen would convert an `Option` of a type alias to a struct.
        .replace("Option<ProgressFn>", "ProgressFn")
        .replace("Option<RenewTokenFn>", "RenewTokenFn")
        .replace("Option<LogFn>", "LogFn")
        // No function takes or returns the enum, so its width is not part of the ABI and need not be spelled out for
        // each version of C and C++.
        .replace("#[repr(i32)]", "#[repr(C)]")
        .replace("#[repr(u8)]", "#[repr(C)]")
        .replace("#[repr(usize)]", "#[repr(C)]");
    // Rust requires a heading above preconditions. This loop removes the heading, and the preconditions that the top of
    // the header states for all functions.
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

/// Rewrites names, numbers and types in the output of cbindgen. Fails if the header still contains Rust syntax.
fn finish(header: &str) -> Result<String, String> {
    // cbindgen prefixes enum constants with the enum's name; here they only need the library's prefix.
    let header = header.replace("PLEXINDEX_STATUS_", "PLEXINDEX_");
    let lines = header.lines().map(
        |line| match line.strip_prefix("#define ").and_then(|it| it.split_once(' ')) {
            Some((name, value)) => format!("#define {name} {}\n", spelled(name, value)),
            // Omits `struct` before a type's name, since each type is a typedef.
            None if line.starts_with("typedef struct") => format!("{line}\n"),
            None => format!("{}\n", line.replace("struct plexindex_", "plexindex_")),
        },
    );
    let text = compact(&with_constants(&lines.collect::<String>()));
    for left in ["Option_", "# Safety", "STATUS_"] {
        if text.contains(left) {
            return Err(format!(
                "`{left}` is left in the header: bindings/c/src uses a form that header.rs does not support"
            ));
        }
    }
    Ok(text)
}

/// Replaces enums other than the statuses by constants, because structs and functions have integers of their numbers.
/// Their comments have only a first paragraph: the header has one, and Rust's documentation has more.
fn with_constants(header: &str) -> String {
    let paragraph = |comment: &[&str]| {
        let lines = comment
            .iter()
            .map(|line| line.trim_start().trim_start_matches("//").trim());
        lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let (mut text, mut comment, mut group) = (Vec::new(), Vec::new(), None);
    for line in header.lines() {
        if line.trim_start().starts_with("//") {
            comment.push(line);
            continue;
        }
        let of_this = std::mem::take(&mut comment);
        if line.starts_with("typedef enum ") && !line.contains("_status") {
            group = Some(paragraph(&of_this));
        } else if let Some(meaning) = &group {
            if let Some((name, value)) = line.split_once(" = ") {
                let (group, meaning) = (meaning.trim_end_matches('.'), paragraph(&of_this));
                let value = value.trim_end_matches(',');
                text.push(format!("// {group}: {meaning}\n#define {} {value}", name.trim()));
            }
            group = group.filter(|_| !line.starts_with('}'));
        } else {
            text.extend(of_this.into_iter().chain([line]).map(str::to_owned));
        }
    }
    text.join("\n") + "\n"
}

/// Shortens the header: constants of a group share one heading, a short comment follows its constant or field on the
/// same line, and a declaration that fits on one line has one line.
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

/// Appends a line of code with its comment: on the same line if they fit, otherwise above the code.
fn with_comment(code: &str, comment: &str, indent: &str, text: &mut Vec<String>) {
    let line = format!("{code} // {comment}");
    if line.len() <= COLUMNS {
        text.push(line);
        return;
    }
    text.extend(wrap(&format!("{indent}//"), comment));
    text.push(code.to_owned());
}

/// Breaks a text into lines, each with this prefix.
fn wrap(prefix: &str, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = prefix.to_owned();
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > COLUMNS {
            lines.push(std::mem::replace(&mut line, prefix.to_owned()));
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// Prefixes of constants that are bit flags.
const FLAGS: [&str; 6] = [
    "PLEXINDEX_OPEN_",
    "PLEXINDEX_QUERY_",
    "PLEXINDEX_ANSWER_",
    "PLEXINDEX_ITEM_",
    "PLEXINDEX_FILE_",
    "PLEXINDEX_TABLE_FOLD_",
];

/// Formats a number for C: flags in hexadecimal, negative numbers in parentheses.
fn spelled(name: &str, value: &str) -> String {
    match value.parse::<i64>() {
        Ok(bits) if FLAGS.iter().any(|group| name.starts_with(group)) => format!("{bits:#x}"),
        // The parentheses prevent `x PLEXINDEX_TTL_NEVER` from being a subtraction.
        Ok(number) if number < 0 => format!("({number})"),
        _ => value.to_owned(),
    }
}
