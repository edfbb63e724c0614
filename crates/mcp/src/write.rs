//! The tools that change signals. They are there only with `--write`.

use super::Server;
use super::answer::Answer;
use super::arguments::Arguments;
use domain::error::Result;
use domain::signal::{Amendment, Cancellation, Change, Record, Update};
use domain::time::Tz;
use serde_json::{Value, json};

fn zone(server: &Server) -> Tz {
    server.core().settings().config().timezone
}

pub async fn record(server: Server, arguments: Arguments) -> Result<Answer> {
    let record = Record::given(Value::Object(arguments.rest()), zone(&server))?;
    let id = record.signal.id.clone();
    server.core().signals().record(vec![record]).await?;
    Ok(Answer::new(format!("The signal `{id}` is recorded."), json!({ "recorded": true, "id": id })))
}

pub async fn update(server: Server, arguments: Arguments) -> Result<Answer> {
    let update = Update::from_json(arguments.rest(), zone(&server))?;
    let changed = server.core().signals().close_by_hand(update).await?;
    Ok(told(changed, "The outcome is recorded.", "Nothing was changed: the signal is unknown or already closed."))
}

pub async fn amend(server: Server, arguments: Arguments) -> Result<Answer> {
    let (id, amendment) = Amendment::from_json(arguments.rest(), zone(&server))?;
    let changed = server.core().signals().change(id, Change::Amend(amendment)).await?;
    Ok(told(changed, "The signal is changed.", "Nothing was changed: the signal is unknown or has ended."))
}

pub async fn cancel(server: Server, arguments: Arguments) -> Result<Answer> {
    let (id, cancellation) = Cancellation::from_json(arguments.rest(), zone(&server))?;
    let changed = server.core().signals().change(id, Change::Cancel(cancellation)).await?;
    Ok(told(changed, "The signal is cancelled.", "Nothing was changed: the signal is unknown or has ended."))
}

fn told(changed: bool, done: &str, not_done: &str) -> Answer {
    Answer::new(if changed { done } else { not_done }, json!({ "changed": changed }))
}
