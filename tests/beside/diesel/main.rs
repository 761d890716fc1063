#[path = "../store.rs"]
mod store;

use diesel::prelude::*;

fn main() -> store::Outcome {
    let mut connection = SqliteConnection::establish(":memory:")?;
    let version = diesel::dsl::sql::<diesel::sql_types::Text>("SELECT sqlite_version()");
    store::check(&version.get_result::<String>(&mut connection)?)
}
