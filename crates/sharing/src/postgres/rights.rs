//! The privileges that a role lacks.

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::connection::Link;
use super::failure::{Failure, REFUSED};
use crate::platform::Deadline;

/// What a host's role needs: on the schema, and on its tables.
pub const OF_HOSTS: &[&str] = &["USAGE", "SELECT", "INSERT", "UPDATE", "DELETE"];
/// What a role needs that empties the log.
pub const TO_CLEAR: &[&str] = &["USAGE", "TRUNCATE"];

/// Whether the session is read-only, and which of these privileges the role lacks.
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

/// What a role may do.
pub struct Rights {
    pub is_read_only: bool,
    /// The privileges that it lacks.
    pub missing: Vec<String>,
}

/// Asks which of these privileges the role lacks.
pub async fn ask(client: &Client, wanted: &[&str]) -> Result<Rights, tokio_postgres::Error> {
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&wanted, Type::TEXT_ARRAY)];
    let row = client.query_typed_one(STATEMENT, &parameters).await?;
    Ok(Rights {
        is_read_only: row.get(0),
        missing: row.get(1),
    })
}

/// The failure with the privileges that the role lacks, if it is for lack of any.
pub fn name(failure: Failure, link: &mut Link, wanted: &[&str], deadline: Deadline) -> Failure {
    if !failure.has_code(REFUSED) {
        return failure;
    }
    let rights = link.run(deadline, async |client| ask(client, wanted).await);
    match (failure.message(), rights) {
        (Some(said), Ok(rights)) if !rights.missing.is_empty() => Failure::NoRights {
            said: format!("{said} (SQLSTATE {REFUSED})"),
            missing: rights.missing,
        },
        _ => failure,
    }
}
