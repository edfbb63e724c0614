//! The shared state of live results: one row, replaced only if its version has not changed (compare-and-set).

use crate::coordination::PostgresCoordination;
use crate::{PATIENCE, Parameter};
use domain::error::Result;
use scheduler::coordination::{OnRead, VersionedCell};
use tokio_postgres::Row;

const READ: &str = "SELECT version, state FROM signalloop_performance";

/// Safe to repeat.
const REPLACE: &str = "UPDATE signalloop_performance SET version = $1 + 1, state = $2, written_by = $3 \
    WHERE version = $1 OR (version = $1 + 1 AND written_by = $3 AND state = $2) RETURNING version";

impl VersionedCell for PostgresCoordination {
    fn read(&self) -> Result<(i64, Option<String>)> {
        let rows = self.leases()?.ask(READ, Vec::new(), PATIENCE)?;
        Ok(rows.first().map_or((0, None), content))
    }

    fn replace(&self, version: i64, text: &str) -> Result<bool> {
        let leases = self.leases()?;
        let holder = leases.holder().to_owned();
        let parameters: Vec<Parameter> = vec![Box::new(version), Box::new(text.to_owned()), Box::new(holder)];
        Ok(!leases.ask(REPLACE, parameters, PATIENCE)?.is_empty())
    }

    fn read_later(&self, then: OnRead) {
        let asked = self.leases().and_then(|leases| {
            leases.ask_later(READ, leases.patience(), |found| {
                if let Some((version, Some(text))) = found.ok().as_ref().and_then(|rows| rows.first()).map(content) {
                    then(version, &text);
                }
            })
        });
        // If the database's thread has ended, there is nothing newer to read.
        drop(asked);
    }
}

fn content(row: &Row) -> (i64, Option<String>) {
    (row.get(0), row.get(1))
}
