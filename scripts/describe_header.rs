//! Describes the C header as JSON, for bindings. `build.rs` calls [`describe`].

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;

/// Returns the header as JSON: the types of every function, the offsets of every struct's fields where pointers have
/// 64 bits, and every number. Each entry is on its own line, so that Git can merge branches.
pub fn describe(header: &str) -> Result<String, Box<dyn Error>> {
    let mut numbers = Vec::new();
    let mut code = String::new();
    let mut in_comment = false;
    for line in header.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        in_comment = in_comment || line.starts_with("/*");
        if let Some(define) = line.strip_prefix("#define ") {
            // Skip the version, because bindings use the version of their package.
            if let Some((name, value)) = define.split_once(' ')
                && name != "PLEXINDEX_VERSION_NUMBER"
            {
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
    let mut sizes: BTreeMap<String, (usize, usize)> = [
        ("char", 1),
        ("uint8_t", 1),
        ("int32_t", 4),
        ("uint32_t", 4),
        ("int64_t", 8),
    ]
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

/// Splits the text at the next `;` outside of braces.
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
    let parsed = match value.strip_prefix("0x") {
        Some(bits) => i64::from_str_radix(bits, 16),
        None => value.parse(),
    };
    let value = parsed.map_err(|_| format!("{name} is no number: {value}"))?;
    Ok(format!("    {}: {value}", quoted(name)))
}

/// Returns the type and the name of a declaration such as `const char *data`.
fn split_name(declared: &str) -> (String, String) {
    let declared = declared.trim();
    let at = declared.rfind([' ', '*']).map_or(0, |at| at + 1);
    (declared[..at].trim().to_owned(), declared[at..].to_owned())
}

/// Describes a struct with the offsets that a C compiler gives it. A test compares them with those of a C compiler.
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

/// Describes a function or a callback type.
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
