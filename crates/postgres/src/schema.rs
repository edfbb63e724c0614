//! The tables: created and upgraded once, however many instances start at the same time.

use super::{Failure, Link, StoreUrl};
use domain::error::{Error, Resource};
use tokio_postgres::error::SqlState;

/// The migration steps; existing ones never change. The schema version is the number of steps done.
const STEPS: [&str; 7] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
];

/// The schema version that this program needs.
const VERSION: i32 = STEPS.len() as i32;

impl Link {
    /// Upgrades the tables. If they are up to date, no right to create anything is needed.
    pub async fn migrate(&self, url: &StoreUrl) -> Result<(), Failure> {
        let version = self.version().await?;
        if let Some(version) = version {
            refuse_newer(version, url)?;
        }
        if version != Some(VERSION) {
            self.client.batch_execute("BEGIN").await?;
            let done = self.take_steps(url).await;
            self.client.batch_execute(if done.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
            done?;
        }
        Ok(())
    }

    /// The version of the schema; `None` if there is none yet.
    async fn version(&self) -> Result<Option<i32>, Failure> {
        match self.client.query_opt("SELECT version FROM signalloop_schema", &[]).await {
            Ok(row) => Ok(row.map(|row| row.get(0))),
            Err(e) if e.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    async fn take_steps(&self, url: &StoreUrl) -> Result<(), Failure> {
        // If two instances create the table at the same time, the catalogue reports a conflict; then the second one checks again.
        let made = self
            .client
            .batch_execute(
                "CREATE TABLE IF NOT EXISTS signalloop_schema \
                 (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL); \
                 INSERT INTO signalloop_schema (version) VALUES (0) ON CONFLICT DO NOTHING",
            )
            .await;
        match made {
            Err(e) if matches!(e.code(), Some(&SqlState::UNIQUE_VIOLATION | &SqlState::DUPLICATE_TABLE)) => {
                return Err(Failure::lost("another instance made the tables at the same time"));
            }
            made => made?,
        }
        let row = self.client.query_one("SELECT version FROM signalloop_schema FOR UPDATE", &[]).await?;
        let version: i32 = row.get(0);
        refuse_newer(version, url)?;
        for step in STEPS.iter().skip(version as usize) {
            self.client.batch_execute(step).await?;
        }
        self.client.execute("UPDATE signalloop_schema SET version = $1", &[&VERSION]).await?;
        Ok(())
    }
}

fn refuse_newer(version: i32, url: &StoreUrl) -> Result<(), Failure> {
    if version <= VERSION {
        return Ok(());
    }
    Err(Failure::Refused(Error::storage(
        Resource::Database,
        format!(
            "the tables in {url} have version {version}, this signalloop knows version {VERSION}: use the newer signalloop"
        ),
    )))
}
