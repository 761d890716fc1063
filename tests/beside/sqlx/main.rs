#[path = "../store.rs"]
mod store;

use sqlx::Connection;

fn main() -> store::Outcome {
    let version: String = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await?;
        sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut connection).await
    })?;
    store::check(&version)
}
