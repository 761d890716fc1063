//! The tables and columns that are read. Their names have been stable for years; if one is missing, nothing is read.

use rusqlite::Connection;

/// Each table with the columns that are read.
const READ: &[(&str, &[&str])] = &[
    (
        "library_sections",
        &["id", "name", "section_type", "uuid", "scanned_at"],
    ),
    ("section_locations", &["id", "library_section_id", "root_path"]),
    (
        "metadata_items",
        &[
            "id",
            "library_section_id",
            "parent_id",
            "metadata_type",
            "guid",
            "title",
            "index",
            "absolute_index",
            "year",
            "deleted_at",
            "changed_at",
        ],
    ),
    ("media_items", &["id", "metadata_item_id", "deleted_at"]),
    ("media_parts", &["id", "media_item_id", "file", "deleted_at"]),
    ("tags", &["id", "tag", "tag_type"]),
    ("taggings", &["id", "metadata_item_id", "tag_id"]),
    ("sqlite_sequence", &["name", "seq"]),
];

/// Fails if a table or column is missing. Prepares statements and reads nothing.
pub fn check(connection: &Connection) -> rusqlite::Result<()> {
    for (table, columns) in READ {
        // An unknown name in brackets is an error, while in quotation marks it would be a text. Views, which may be
        // endless, have no rowid.
        connection.prepare(&format!("SELECT rowid, [{}] FROM [{table}]", columns.join("], [")))?;
    }
    Ok(())
}

/// Describes missing tables and columns; `None` if there are none.
pub fn missing(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut lacks = Vec::new();
    for (table, columns) in READ {
        let mut names = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let names: Vec<String> = names
            .query_map([table], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        if names.is_empty() || connection.prepare(&format!("SELECT rowid FROM [{table}]")).is_err() {
            lacks.push(format!("the table {table}"));
            continue;
        }
        for column in *columns {
            if !names.iter().any(|name| name.eq_ignore_ascii_case(column)) {
                lacks.push(format!("the column {table}.{column}"));
            }
        }
    }
    Ok((!lacks.is_empty()).then(|| lacks.join(", ")))
}
