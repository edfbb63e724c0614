//! A real PostgreSQL for the tests of this binary, started by `scripts/postgres.mjs`, or the one of
//! `SIGNALLOOP_TEST_POSTGRES`. Without PostgreSQL, tests say that they were skipped.

use feedback::{FeedbackStore, StoreOptions};
use postgres::StoreUrl;
use postgres::feedback::open_database;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_postgres::NoTls;

struct Server {
    /// What the script printed about it.
    line: Value,
    /// Ends when its standard input is closed: at the latest with this process.
    _process: Option<Child>,
}

fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(given).as_ref()
}

fn given() -> Option<Server> {
    match std::env::var("SIGNALLOOP_TEST_POSTGRES") {
        Ok(line) => Some(Server { line: serde_json::from_str(&line).unwrap(), _process: None }),
        Err(_) => start(&[]),
    }
}

fn start(arguments: &[&str]) -> Option<Server> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/postgres.mjs");
    let process = Command::new("node").arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut process = process.ok()?;
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if line.is_empty() {
        // It has printed why.
        assert_eq!(process.wait().unwrap().code(), Some(3), "PostgreSQL is here and cannot be started");
        return None;
    }
    Some(Server { line: serde_json::from_str(&line).unwrap(), _process: Some(process) })
}

/// A primary server and its standby.
pub struct Pair {
    pub primary: String,
    pub standby: String,
    _server: Server,
}

/// A server with a standby that replicates it; `None`, with a message on standard error, without PostgreSQL.
pub fn pair(test: &str) -> Option<Pair> {
    let Some(server) = start(&["--standby"]) else {
        let _ = writeln!(std::io::stderr(), "{test} did not run: there is no PostgreSQL");
        return None;
    };
    let url = |which: &str| server.line[which].as_str().unwrap().to_owned();
    Some(Pair { primary: url("url"), standby: url("standbyUrl"), _server: server })
}

/// One of the server's URLs, `url` or `tlsUrl`; `None`, with a message on standard error, where there is none.
pub fn url(which: &str, test: &str) -> Option<String> {
    let url = server().and_then(|server| server.line[which].as_str());
    if url.is_none() {
        // Not by `eprintln!`, whose output the test harness captures.
        let _ = writeln!(std::io::stderr(), "{test} did not run: there is no PostgreSQL with a {which}");
    }
    url.map(str::to_owned)
}

/// A schema for one test.
pub struct Schema {
    pub url: String,
    name: String,
}

/// An empty schema; `None`, with a message on standard error, without PostgreSQL.
pub fn schema(test: &str) -> Option<Schema> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let url = url("url", test)?;
    let name = format!("t{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    ask(&url, &format!("CREATE SCHEMA {name}"));
    Some(Schema { url: format!("{url}&options=-c%20search_path%3D{name}"), name })
}

impl Schema {
    /// Runs SQL in it; returns the first column of the rows.
    pub fn ask(&self, sql: &str) -> Vec<String> {
        ask(&self.url, sql)
    }

    /// The number that a query returns.
    pub fn number(&self, sql: &str) -> i64 {
        self.ask(sql)[0].parse().unwrap()
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        ask(&self.url, &format!("DROP SCHEMA {} CASCADE", self.name));
    }
}

/// Runs SQL; returns the first column of the rows.
pub fn ask(url: &str, sql: &str) -> Vec<String> {
    let (url, sql) = (url.replace("sslmode=disable&", "").replace("?sslmode=disable", ""), sql.to_owned());
    let work = async move {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        let driver = tokio::spawn(connection);
        let messages = client.simple_query(&sql).await.unwrap();
        driver.abort();
        let rows = messages.into_iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        });
        rows.collect()
    };
    // The caller may be a task of an async runtime, which must not block.
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || runtime().block_on(work)).join().unwrap()
}

/// Opens the store at a URL.
pub fn open(url: &str, options: StoreOptions) -> FeedbackStore {
    open_database(StoreUrl::parse(url).unwrap(), options).unwrap()
}
