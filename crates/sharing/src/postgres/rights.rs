//! Finds the privileges that a role lacks.

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::connection::LogConnection;
use super::failure::{Failure, INSUFFICIENT_PRIVILEGE};
use crate::platform::Deadline;

/// The privileges that a host's role needs: USAGE on the schema, and the others on its tables.
pub const HOST_PRIVILEGES: &[&str] = &["USAGE", "SELECT", "INSERT", "UPDATE", "DELETE"];
/// The privileges that a role needs to empty the log.
pub const CLEAR_PRIVILEGES: &[&str] = &["USAGE", "TRUNCATE"];

/// Returns whether the session is read-only, and the privileges in `$1` that the role lacks.
const STATEMENT: &str = "
SELECT current_setting('transaction_read_only') = 'on', ARRAY(
    SELECT what FROM unnest($1) WITH ORDINALITY AS wanted (what, place)
    WHERE CASE WHEN what = 'USAGE' THEN NOT has_schema_privilege('plexindex', what)
        ELSE EXISTS (
            SELECT FROM pg_class AS c WHERE relnamespace = to_regnamespace('plexindex') AND relkind = 'r'
                AND NOT has_table_privilege(c.oid, what)
        ) END
    ORDER BY place
)";

pub struct Rights {
    pub is_read_only: bool,
    /// The privileges that the role lacks.
    pub missing: Vec<String>,
}

/// Checks which privileges in `wanted` the role lacks, and whether the session is read-only.
pub async fn check_rights(client: &Client, wanted: &[&str]) -> Result<Rights, tokio_postgres::Error> {
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&wanted, Type::TEXT_ARRAY)];
    let row = client.query_typed_one(STATEMENT, &parameters).await?;
    Ok(Rights {
        is_read_only: row.get(0),
        missing: row.get(1),
    })
}

/// If a statement failed for lack of privileges, returns a failure that lists the privileges in `wanted` that the role
/// lacks. Returns other failures unchanged.
pub fn with_missing_privileges(
    failure: Failure,
    link: &mut LogConnection,
    wanted: &[&str],
    deadline: Deadline,
) -> Failure {
    if !failure.has_code(INSUFFICIENT_PRIVILEGE) {
        return failure;
    }
    let rights = link.run(deadline, async |client| check_rights(client, wanted).await);
    match (failure.message(), rights) {
        (Some(message), Ok(rights)) if !rights.missing.is_empty() => Failure::NoRights {
            message: format!("{message} (SQLSTATE {INSUFFICIENT_PRIVILEGE})"),
            missing: rights.missing,
        },
        _ => failure,
    }
}
