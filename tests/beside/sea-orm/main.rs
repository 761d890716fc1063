#[path = "../store.rs"]
mod store;

use sea_orm::{ConnectionTrait, Database, DbErr};

fn main() -> store::Outcome {
    let version: String = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let connection = Database::connect("sqlite::memory:").await?;
        let row = connection.query_one_raw(sea_orm::Statement::from_string(
            connection.get_database_backend(),
            "SELECT sqlite_version() AS version",
        ));
        row.await?.ok_or(DbErr::Custom("no row".into()))?.try_get("", "version")
    })?;
    store::check(&version)
}
