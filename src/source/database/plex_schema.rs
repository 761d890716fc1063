//! The tables and columns that plexindex reads. Plex has not changed their names for years. If a table or column is
//! missing, plexindex does not read the database.

use rusqlite::Connection;

/// The tables, each with the columns that plexindex reads.
const REQUIRED: &[(&str, &[&str])] = &[
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

/// Fails if a table or column is missing. Prepares statements without running them.
pub fn check(connection: &Connection) -> rusqlite::Result<()> {
    for (table, columns) in REQUIRED {
        // The names are in brackets, because SQLite would treat an unknown name in double quotes as a string. `rowid`
        // excludes views, which may be endless.
        connection.prepare(&format!("SELECT rowid, [{}] FROM [{table}]", columns.join("], [")))?;
    }
    Ok(())
}

/// Describes the missing tables and columns; `None` if all are present.
pub fn describe_missing(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut missing = Vec::new();
    for (table, columns) in REQUIRED {
        let mut names = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let names: Vec<String> = names
            .query_map([table], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        if names.is_empty() || connection.prepare(&format!("SELECT rowid FROM [{table}]")).is_err() {
            missing.push(format!("the table {table}"));
            continue;
        }
        for column in *columns {
            if !names.iter().any(|name| name.eq_ignore_ascii_case(column)) {
                missing.push(format!("the column {table}.{column}"));
            }
        }
    }
    Ok((!missing.is_empty()).then(|| missing.join(", ")))
}
