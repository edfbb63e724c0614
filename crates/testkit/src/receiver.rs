//! A server on this machine that takes requests with a body, as webhooks do, with faults.

use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Act {
    /// Answers with a status, a header line (may be empty) and a body.
    Answer(u16, &'static str, String),
    /// Answers with a status, a header line, and every part of the request's own address.
    Echo(u16, &'static str),
    /// Reads the request and never answers.
    Hang,
    /// Reads the request and closes the connection.
    Close,
}

pub fn ok() -> Act {
    Act::Answer(200, "", json!({ "ok": true }).to_string())
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Request {
    pub at: Instant,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub text: String,
}

impl Request {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

/// The server. After what was planned it answers every request with success.
pub struct Receiver {
    pub url: String,
    pub requests: Arc<Mutex<Vec<Request>>>,
    plan: Arc<Mutex<VecDeque<Act>>>,
}

impl Receiver {
    pub fn start(plan: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let plan = Arc::new(Mutex::new(plan.into_iter().collect::<VecDeque<_>>()));
        let (seen, planned) = (requests.clone(), plan.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, planned) = (seen.clone(), planned.clone());
                std::thread::spawn(move || serve(&stream.unwrap(), &seen, &planned));
            }
        });
        Self { url, requests, plan }
    }

    pub fn seen(&self) -> Vec<Request> {
        self.requests.lock().clone()
    }

    pub fn plan(&self, act: Act) {
        self.plan.lock().push_back(act);
    }
}

/// Serves the requests of a connection until it ends.
fn serve(stream: &TcpStream, seen: &Mutex<Vec<Request>>, plan: &Mutex<VecDeque<Act>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let (path, text) = (first.split(' ').nth(1).unwrap().to_owned(), String::from_utf8(body).unwrap());
        seen.lock().push(Request { at: Instant::now(), path: path.clone(), headers, text });
        let act = plan.lock().pop_front().unwrap_or_else(ok);
        let act = match act {
            Act::Echo(status, header) => {
                let parts: Vec<&str> = path.split('/').map(|part| part.trim_start_matches("bot")).collect();
                let said = format!("{} {path}", parts.join(" "));
                Act::Answer(status, header, json!({ "description": said, "retry_after": 0.01 }).to_string())
            }
            other => other,
        };
        match act {
            Act::Answer(status, header, body) => {
                let length = body.len();
                let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
                let text = format!("HTTP/1.1 {status} X\r\n{header}content-length: {length}\r\n\r\n{body}");
                (&mut &*stream).write_all(text.as_bytes()).unwrap();
            }
            Act::Hang => std::thread::sleep(Duration::from_secs(60)),
            Act::Close => return,
            Act::Echo(..) => unreachable!("made an answer above"),
        }
    }
}
