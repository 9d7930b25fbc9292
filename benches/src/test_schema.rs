//! A schema of its own on the PostgreSQL server of `cargo xtask pg`.

use std::error::Error;

use memory_core::MemoryId;
use memory_pg::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

/// The variable with the URL of the server.
pub const URL_ENV: &str = "MEMORY_TEST_PG";

/// An empty schema with pgvector, which every connection of its pool uses.
#[derive(Debug)]
pub struct TestSchema {
    /// The pool.
    pub pool: PgPool,
    name: String,
}

impl TestSchema {
    /// Creates a schema on the server that [`URL_ENV`] names; `None` without the
    /// variable.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn create() -> Result<Option<Self>, Box<dyn Error>> {
        let Ok(url) = std::env::var(URL_ENV) else {
            return Ok(None);
        };
        let name = format!("bench_{}", MemoryId::new().as_uuid().simple());
        let options: PgConnectOptions = url.parse()?;
        let options = options.options([("search_path", format!("{name},public"))]);
        let pool = PgPoolOptions::new().connect_with(options).await?;
        let schema = Self { pool, name };
        schema
            .run("CREATE EXTENSION IF NOT EXISTS vector".to_owned())
            .await?;
        schema
            .run("CREATE EXTENSION IF NOT EXISTS btree_gin".to_owned())
            .await?;
        schema.run(format!("CREATE SCHEMA {}", schema.name)).await?;
        Ok(Some(schema))
    }

    /// Runs statements without parameters.
    ///
    /// # Errors
    /// The server's.
    pub async fn run(&self, statements: String) -> Result<(), Box<dyn Error>> {
        let statements = sqlx::raw_sql(sqlx::AssertSqlSafe(statements));
        sqlx::Executor::execute(&self.pool, statements).await?;
        Ok(())
    }

    /// Updates the statistics that plans depend on, as autovacuum would later.
    ///
    /// # Errors
    /// The server's.
    pub async fn analyze(&self) -> Result<(), Box<dyn Error>> {
        self.run("VACUUM (ANALYZE) memory, memory_embedding, entity".to_owned())
            .await
    }

    /// Bytes of its tables and their indexes.
    ///
    /// # Errors
    /// The server's.
    pub async fn size(&self) -> Result<u64, Box<dyn Error>> {
        let size = sqlx::query_scalar::<_, i64>(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c \
             WHERE c.relnamespace = $1::text::regnamespace AND c.relkind = 'r'",
        );
        let size = size.bind(&self.name).fetch_one(&self.pool).await?;
        Ok(size.unsigned_abs())
    }

    /// Removes the schema.
    ///
    /// # Errors
    /// The server's.
    pub async fn remove(self) -> Result<(), Box<dyn Error>> {
        self.run(format!("DROP SCHEMA {} CASCADE", self.name))
            .await?;
        self.pool.close().await;
        Ok(())
    }
}
