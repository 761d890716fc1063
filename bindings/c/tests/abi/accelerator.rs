//! The Python accelerator links nothing of this crate, and writes the structs of the header once more: they are those
//! of `docs/abi.txt`.

use std::collections::BTreeMap;
use std::fs;

use crate::compile::repository;

/// Offset and size of each number and address of a struct, in order.
type Leaves = Vec<(usize, usize)>;

/// A field's type, taken apart to numbers and addresses of so many bytes each.
fn sizes(of: &syn::Type, known: &BTreeMap<String, Vec<usize>>) -> Vec<usize> {
    match of {
        syn::Type::Ptr(_) => vec![8],
        syn::Type::Array(array) => {
            let syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Int(count),
                ..
            }) = &array.len
            else {
                panic!("an array whose length is no number");
            };
            sizes(&array.elem, known).repeat(count.base10_parse().expect("a length"))
        }
        syn::Type::Path(path) => {
            let name = path.path.segments.last().expect("a name").ident.to_string();
            match name.as_str() {
                "i64" | "u64" | "usize" => vec![8],
                "i32" | "u32" => vec![4],
                other => known
                    .get(other)
                    .unwrap_or_else(|| panic!("{other} is not known here"))
                    .clone(),
            }
        }
        _ => panic!("a field of a kind that no struct of the header has"),
    }
}

/// Where they lie, as C lays them out.
fn laid_out(sizes: &[usize]) -> Leaves {
    let mut at: usize = 0;
    let place = |size: &usize| {
        at = at.next_multiple_of(*size) + size;
        (at - size, *size)
    };
    sizes.iter().map(place).collect()
}

/// The structs of a source, with the names that their comments give them in the header.
fn written(file: &str, known: &mut BTreeMap<String, Vec<usize>>) -> Vec<(String, Leaves)> {
    let source = fs::read_to_string(repository(file)).expect("a source");
    let mut found = Vec::new();
    for item in syn::parse_file(&source).expect("Rust").items {
        let syn::Item::Struct(item) = item else { continue };
        // The addresses of the functions are no struct of the header.
        if item.ident == "Functions" || !item.attrs.iter().any(|one| one.path().is_ident("repr")) {
            continue;
        }
        let comment = item.attrs.iter().find_map(|one| match &one.meta {
            syn::Meta::NameValue(syn::MetaNameValue {
                value:
                    syn::Expr::Lit(syn::ExprLit {
                        lit: syn::Lit::Str(text),
                        ..
                    }),
                ..
            }) => Some(text.value()),
            _ => None,
        });
        let comment = comment.unwrap_or_default();
        let name = comment.split('`').nth(1).unwrap_or_default().to_owned();
        let parts: Vec<usize> = item.fields.iter().flat_map(|field| sizes(&field.ty, known)).collect();
        known.insert(item.ident.to_string(), parts.clone());
        found.push((name, laid_out(&parts)));
    }
    found
}

/// A struct of the record.
fn recorded(record: &str, name: &str) -> Leaves {
    let prefix = format!("{name}.");
    let fields = record.lines().filter_map(|line| {
        let [at, size, field] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return None;
        };
        (line.starts_with(' ') && field.starts_with(&prefix)).then(|| {
            (
                at.parse::<usize>().expect("an offset"),
                size.parse::<usize>().expect("a size"),
            )
        })
    });
    // What is larger than an address is bytes and their number.
    fields
        .flat_map(|(at, size)| match size {
            16 => vec![(at, 8), (at + 8, 8)],
            _ => vec![(at, size)],
        })
        .collect()
}

#[test]
fn the_accelerator_s_structs_are_those_of_the_header() {
    let record = fs::read_to_string(repository("docs/abi.txt")).expect("the record");
    let mut known = BTreeMap::new();
    let mut seen = 0;
    for (name, leaves) in written("bindings/python/accelerator/src/lib.rs", &mut known) {
        assert!(
            name.starts_with("plexindex_"),
            "a struct whose comment names none of the header"
        );
        assert_eq!(leaves, recorded(&record, &name), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 2, "structs were added, or are found no more");
}

#[test]
fn a_struct_that_differs_is_found() {
    let record = "struct plexindex_two 16 8\n    0 4 plexindex_two.first\n    8 8 plexindex_two.second\n";
    assert_eq!(recorded(record, "plexindex_two"), laid_out(&[4, 8]));
    assert_ne!(recorded(record, "plexindex_two"), laid_out(&[4, 4]));
    assert_eq!(recorded(record, "plexindex_t"), Leaves::new());
}
