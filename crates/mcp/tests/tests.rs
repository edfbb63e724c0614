//! The server as a client of the protocol sees it, over memory. What its answers look like is tested from Node.
#![allow(clippy::unwrap_used)]

use domain::signal::{Costs, Record};
use engine::{Assessment, ConservativeMode, ModelList, Options, Prediction, SignalLoop};
use feedback::Stats;
use learning::outcomes::Pattern;
use mcp::{Ended, Server, Setup, Shapes, stdio_on};
use rmcp::model::{CallToolRequestParams, CallToolResult, ErrorCode};
use rmcp::serve_client;
use rmcp::service::{RoleClient, RunningService, ServiceError};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Shapes that show which function was called, and panic for an assessment.
struct Plain;

impl Shapes for Plain {
    fn statistics(&self, stats: Stats, _: ConservativeMode, _: i64) -> Value {
        json!({ "overall": { "closedSignals": stats.figures.closed }, "followed": {}, "conservativeMode": {} })
    }

    fn assessment(&self, _: Assessment) -> Value {
        panic!("a defect");
    }

    fn pattern(&self, pattern: Pattern) -> Value {
        json!({ "rule": pattern.rule })
    }

    fn prediction(&self, prediction: Prediction) -> Value {
        json!({ "price": prediction.price })
    }

    fn models(&self, models: ModelList, _: i64) -> Value {
        json!(models.markets.len())
    }

    fn signal(&self, record: &Record, _: &Costs) -> Value {
        json!({ "signal": { "id": record.signal.id } })
    }
}

struct Connection {
    client: RunningService<RoleClient, ()>,
    served: JoinHandle<domain::error::Result<Ended>>,
    end: oneshot::Sender<()>,
}

impl Connection {
    async fn new(home: &Path, write: bool) -> Self {
        let options = Options {
            home: Some(home.to_owned()),
            exchange_url: Some("http://127.0.0.1:9".to_owned()),
            ..Options::default()
        };
        let core = Arc::new(SignalLoop::open(options).unwrap());
        let doctor =
            || -> domain::answer::Work<Value> { Box::pin(async { json!({ "healthy": true, "findings": [] }) }) };
        let server = Server::new(Setup { core, shapes: Arc::new(Plain), doctor: Arc::new(doctor), write });
        let (here, there) = tokio::io::duplex(1 << 16);
        let (input, output) = tokio::io::split(there);
        let (end, ended) = oneshot::channel();
        let served = tokio::spawn(stdio_on(server, input, output, async move {
            // A dropped sender asks for nothing.
            if ended.await.is_err() {
                std::future::pending().await
            }
        }));
        Self { client: serve_client((), here).await.unwrap(), served, end }
    }

    async fn call(&self, name: &'static str, arguments: Value) -> Result<CallToolResult, ServiceError> {
        let mut request = CallToolRequestParams::new(name);
        request.arguments = arguments.as_object().cloned();
        self.client.call_tool(request).await
    }

    async fn words(&self, name: &'static str, arguments: Value) -> (bool, String) {
        let result = self.call(name, arguments).await.unwrap();
        (result.is_error == Some(true), result.content[0].as_text().unwrap().text.clone())
    }
}

fn signal(id: &str) -> Value {
    json!({
        "id": id, "pair": "BTCUSDT", "signalType": "BUY", "confidence": 60, "entryPrice": 100, "stopLoss": 98, "takeProfit": 102,
        "timestamp": "2026-01-01T00:00:00Z",
    })
}

#[tokio::test]
async fn tools_are_listed_by_what_the_server_may_do() {
    let home = tempfile::tempdir().unwrap();
    for (write, expected) in [(false, 13), (true, 17)] {
        let connection = Connection::new(home.path(), write).await;
        let tools = connection.client.list_all_tools().await.unwrap();
        assert_eq!(tools.len(), expected);
        assert_eq!(tools.iter().any(|tool| tool.name == "record_signal"), write);
        assert_eq!(connection.client.list_all_prompts().await.unwrap().len(), 3);
        assert_eq!(connection.client.list_all_resources().await.unwrap().len(), 4);
    }
}

#[tokio::test]
async fn a_written_signal_is_read_again() {
    let home = tempfile::tempdir().unwrap();
    let connection = Connection::new(home.path(), true).await;
    let (is_error, words) = connection.words("statistics", json!({})).await;
    assert!(is_error && words.contains("no signal was ever recorded"), "{words}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "reading writes nothing");

    assert_eq!(connection.words("record_signal", signal("a")).await, (false, "The signal `a` is recorded.".to_owned()));
    let update =
        json!({ "signalId": "a", "outcome": "TOOK_PROFIT", "exitPrice": 102, "closedAt": "2026-01-02T00:00:00Z" });
    assert!(!connection.words("update_outcome", update).await.0);
    let result = connection.call("statistics", json!({ "all": true })).await.unwrap();
    assert_eq!(result.structured_content.unwrap()["overall"]["closedSignals"], 1);
    let result = connection.call("signal", json!({ "id": "a" })).await.unwrap();
    assert_eq!(result.structured_content.unwrap()["signal"]["id"], "a");
}

#[tokio::test]
async fn a_panic_is_an_error_of_its_call_alone() {
    let home = tempfile::tempdir().unwrap();
    let connection = Connection::new(home.path(), false).await;
    let (is_error, words) = connection.words("assess", json!({ "signal": signal("x") })).await;
    assert!(is_error && words.contains("a defect") && words.ends_with("[ERR_INTERNAL]"), "{words}");
    assert!(!connection.words("status", json!({})).await.0);
}

#[tokio::test]
async fn unknown_names_are_faults_of_the_protocol() {
    let home = tempfile::tempdir().unwrap();
    let connection = Connection::new(home.path(), false).await;
    let error = connection.call("train", json!({})).await.unwrap_err();
    let ServiceError::McpError(error) = error else { panic!("{error}") };
    assert_eq!((error.code, error.message.as_ref()), (ErrorCode::INVALID_PARAMS, "there is no tool `train`"));
}

#[tokio::test]
async fn serving_ends_when_the_client_leaves_or_when_it_is_asked_to() {
    let home = tempfile::tempdir().unwrap();
    let Connection { client, served, end } = Connection::new(home.path(), false).await;
    client.cancel().await.unwrap();
    assert_eq!(served.await.unwrap().unwrap(), Ended::ClientLeft);
    drop(end);
    let Connection { client: _client, served, end } = Connection::new(home.path(), false).await;
    end.send(()).unwrap();
    assert_eq!(served.await.unwrap().unwrap(), Ended::Asked);
}
