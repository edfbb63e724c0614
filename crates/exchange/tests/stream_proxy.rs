//! Prices by WebSocket through a proxy, which the environment of a process names.

use super::stream_server::{Dialect, PATIENCE, Server};
use domain::time::{Clock, now_ms};
use exchange::Exchange;
use exchange::stream::{PriceStream, StreamPace};
use parking_lot::Mutex;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

const CHILD: &str = "SIGNALLOOP_STREAM_THROUGH_PROXY";
/// No name server knows it: only the proxy of this test does.
const HOST: &str = "stream.invalid";

/// In a child process: streams a price from an address, and prints it, or why there is none.
#[tokio::test]
async fn child_that_streams() {
    let Ok(url) = std::env::var(CHILD) else { return };
    let binance = Dialect::binance();
    let exchange = Arc::new(Exchange::new(binance.venue, None).unwrap());
    let stream = PriceStream::open(exchange, Some(&url), StreamPace::default(), Clock::default()).unwrap();
    stream.want([binance.symbol("BTC")].into());
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(found) = stream.take(|_, _| true).first() {
            println!("\nprice {}", found.prices[0].price);
            return;
        }
        if let Some(problem) = stream.status().problem {
            println!("\nproblem {problem}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The child with this environment; of the variables about proxies it has no others.
fn child(url: &str, environment: &[(&str, &str)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUEST_METHOD"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command
        .args(["stream_proxy::child_that_streams", "--exact", "--nocapture"])
        .env(CHILD, url)
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the child printed of its stream.
async fn told(child: Child) -> String {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with("price ") || line.starts_with("problem "));
    line.unwrap_or_else(|| panic!("it told nothing: {text}")).to_owned()
}

/// A proxy on loopback: it notes what it is asked, and connects [`HOST`] to this address, or answers with this status.
async fn proxy(answer: Result<String, &'static str>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = asked.clone();
    tokio::spawn(async move {
        loop {
            let mut client = BufReader::new(listener.accept().await.unwrap().0);
            let mut request = String::new();
            while !request.ends_with("\r\n\r\n") && client.read_line(&mut request).await.unwrap() > 0 {}
            noted.lock().push(request);
            let client = client.get_mut();
            match &answer {
                Ok(target) => {
                    let mut server = TcpStream::connect(target).await.unwrap();
                    client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n").await.unwrap();
                    // An error is the end of a connection.
                    let _ = copy_bidirectional(client, &mut server).await;
                }
                Err(status) => client.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.unwrap(),
            }
        }
    });
    (address, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_of_the_environment_is_asked_to_connect() {
    let (server, binance) = (Server::start().await, Dialect::binance());
    let (address, asked) = proxy(Ok(server.url.trim_start_matches("ws://").to_owned())).await;
    let with_password = format!("http://user:pass%40word@{address}");
    let child = child(&format!("ws://{HOST}:9443/ws"), &[("HTTP_PROXY", &with_password)]);
    let mut peer = server.peer().await;
    peer.answer(&binance).await;
    peer.say(binance.trade("BTC", 100.5, now_ms())).await;
    assert_eq!(told(child).await, "price 100.5");
    let request = asked.lock()[0].clone();
    let lines: Vec<&str> = request.split("\r\n").collect();
    assert_eq!(lines[..2], [&format!("CONNECT {HOST}:9443 HTTP/1.1"), &format!("Host: {HOST}:9443")]);
    assert_eq!(lines[2..], ["Proxy-Authorization: Basic dXNlcjpwYXNzQHdvcmQ=", "", ""]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_proxy_is_asked_where_the_environment_says_so_and_its_refusals_are_told() {
    let server = Server::start().await;
    let (address, asked) = proxy(Err("407 Proxy Authentication Required")).await;
    let proxy_url = format!("http://{address}");
    // This machine is never reached through a proxy.
    let direct = child(&server.url, &[("ALL_PROXY", &proxy_url)]);
    let mut peer = server.peer().await;
    peer.answer(&Dialect::binance()).await;
    peer.say(Dialect::binance().trade("BTC", 7.5, now_ms())).await;
    assert_eq!(told(direct).await, "price 7.5");
    let environment = [("HTTP_PROXY", proxy_url.as_str()), ("NO_PROXY", "other.example, invalid")];
    let problem = told(child(&format!("ws://{HOST}:9443/ws"), &environment)).await;
    assert!(problem.contains(&format!("cannot connect to {HOST}")), "{problem}");
    assert_eq!(*asked.lock(), Vec::<String>::new());

    let refused = told(child(&format!("wss://{HOST}/ws"), &[("HTTPS_PROXY", &proxy_url)])).await;
    assert!(refused.ends_with(&format!("the proxy {address}: it wants a user and a password (HTTP 407)")), "{refused}");
    assert!(asked.lock()[0].starts_with(&format!("CONNECT {HOST}:443 HTTP/1.1\r\n")));
    let (address, _) = proxy(Err("502 Bad Gateway")).await;
    let refused = told(child(&format!("wss://{HOST}/ws"), &[("HTTPS_PROXY", &format!("http://{address}"))])).await;
    assert!(
        refused.ends_with(&format!("the proxy {address}: it does not connect to {HOST}:443 (HTTP 502)")),
        "{refused}"
    );
}
