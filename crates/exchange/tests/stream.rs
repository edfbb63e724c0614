//! Prices by WebSocket, against a real server on loopback that speaks as each exchange documents.

use super::stream_server::{Dialect, PATIENCE, Peer, Server, bullet};
use domain::symbol::Symbol;
use domain::time::{Clock, now_ms};
use domain::venue::Venue;
use exchange::stream::{PriceStream, StreamPace, SymbolPrices};
use exchange::{Exchange, Pace};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

const QUICK: Duration = Duration::from_millis(20);

/// Quick to come back.
fn pace() -> StreamPace {
    StreamPace { backoff: QUICK, longest_backoff: 4 * QUICK, ..StreamPace::default() }
}

fn open(exchange: &Dialect, server: &Server, pace: StreamPace, bases: &[&str]) -> PriceStream {
    let rest = Exchange::new(exchange.venue, Some(server.rest(exchange))).unwrap();
    let stream = PriceStream::open(Arc::new(rest), Some(&server.url), pace, Clock::default()).unwrap();
    stream.want(bases.iter().map(|base| exchange.symbol(base)).collect());
    stream
}

/// Waits until there are prices.
async fn prices(stream: &PriceStream) -> Vec<SymbolPrices> {
    let wait = async {
        loop {
            match stream.take(|_, _| true) {
                none if none.is_empty() => stream.news().await,
                found => return found,
            }
        }
    };
    timeout(PATIENCE, wait).await.expect("prices")
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn only(prices: &SymbolPrices) -> f64 {
    let [one] = prices.prices[..] else { panic!("{prices:?}") };
    one.price
}

/// Connects with one symbol and streams its first price.
async fn streaming(exchange: &Dialect, pace: StreamPace) -> (Server, Peer, PriceStream) {
    let server = Server::start().await;
    let stream = open(exchange, &server, pace, &["BTC"]);
    let mut peer = server.peer().await;
    assert_eq!(peer.answer(exchange).await, (true, vec![exchange.name("BTC")]));
    peer.say(exchange.trade("BTC", 100.0, now_ms())).await;
    assert_eq!(only(&prices(&stream).await[0]), 100.0);
    (server, peer, stream)
}

#[tokio::test]
async fn every_exchange_is_spoken_to_in_its_own_way() {
    for exchange in Dialect::all() {
        let venue = exchange.venue;
        let mut server = Server::start().await;
        let websocket = server.url.clone();
        if venue == Venue::Kucoin {
            server.url = bullet(&websocket, 18_000).await;
        }
        let stream = open(&exchange, &server, pace(), &["BTC", "NOPE", "ETH"]);
        let mut peer = server.peer().await;
        if venue == Venue::Kucoin {
            assert!(timeout(5 * QUICK, peer.heard()).await.is_err(), "nothing is sent before the welcome");
            peer.say(r#"{"id":"hQvf8jkno","type":"welcome"}"#).await;
        }
        // An unknown symbol costs the others at most another request.
        let mut asked = BTreeSet::new();
        while stream.status().symbols < 2 || stream.status().missing.len() != 1 {
            match timeout(Duration::from_millis(700), peer.answer(&exchange)).await {
                Ok((subscribes, names)) => asked.extend(names.into_iter().filter(|_| subscribes)),
                Err(_) => assert_eq!(stream.status().symbols, 2, "{venue}: {:?}", stream.status()),
            }
        }
        assert_eq!(asked, ["BTC", "ETH", "NOPE"].map(|base| exchange.name(base)).into(), "{venue}");
        let (symbol, why) = stream.status().missing.into_iter().next().unwrap();
        assert_eq!(symbol, exchange.symbol("NOPE"), "{venue}: {why}");
        let before = now_ms();
        peer.say(exchange.trade("BTC", 100.25, before)).await;
        let found = prices(&stream).await;
        assert_eq!((found.len(), &found[0].symbol, only(&found[0])), (1, &exchange.symbol("BTC"), 100.25), "{venue}");
        assert!(
            (before..before + 5000).contains(&found[0].prices[0].time_ms) && found[0].since_ms <= before,
            "{venue}"
        );

        stream.want([exchange.symbol("ETH")].into());
        assert_eq!(peer.answer(&exchange).await, (false, vec![exchange.name("BTC")]), "{venue}");
        peer.say(exchange.trade("BTC", 1.0, now_ms())).await;
        peer.say(exchange.trade("ETH", 7.5, now_ms())).await;
        let found = prices(&stream).await;
        assert_eq!((found.len(), only(&found[0])), (1, 7.5), "{venue}");
        // Without symbols there is no connection.
        stream.want(BTreeSet::new());
        assert_eq!(peer.heard().await, None, "{venue}");
        until("not connected", || stream.status().connected_since_ms.is_none()).await;
        assert_eq!((stream.status().last_gap, stream.status().problem), (None, None), "{venue}");
    }
}

#[tokio::test]
async fn a_ping_of_the_exchanges_own_kind_is_sent_as_often_as_it_says() {
    let exchange = Dialect::all().pop().unwrap();
    let mut server = Server::start().await;
    server.url = bullet(&server.url.clone(), 1000).await;
    let _stream = open(&exchange, &server, pace(), &["BTC"]);
    let mut peer = server.peer().await;
    peer.say(r#"{"id":"hQvf8jkno","type":"welcome"}"#).await;
    peer.answer(&exchange).await;
    for _ in 0..2 {
        let begun = Instant::now();
        let ping: serde_json::Value = serde_json::from_str(&peer.heard().await.unwrap()).unwrap();
        assert_eq!(ping["type"], "ping");
        assert!(begun.elapsed() < Duration::from_millis(1500));
        peer.say(format!(r#"{{"id":{},"type":"pong"}}"#, ping["id"])).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_dropped_is_made_again_and_the_gap_is_told() {
    let exchange = Dialect::binance();
    let (server, peer, stream) = streaming(&exchange, pace()).await;
    let first = stream.stretches()[&exchange.symbol("BTC")];
    drop(peer);
    let mut peer = server.peer().await;
    until("it is told", || stream.status().last_gap.is_some()).await;
    let gap = stream.status().last_gap.unwrap();
    assert!(gap.from_ms >= first && gap.until_ms.is_none() && gap.reason.contains("the connection"), "{gap:?}");
    assert!(stream.stretches().is_empty());
    sleep(Duration::from_millis(50)).await;
    peer.answer(&exchange).await;
    peer.say(exchange.trade("BTC", 90.0, now_ms())).await;
    let found = prices(&stream).await;
    assert_eq!(only(&found[0]), 90.0);
    let gap = stream.status().last_gap.unwrap();
    assert!(found[0].since_ms >= gap.from_ms + 50, "{found:?} {gap:?}");
    assert_eq!(gap.until_ms, Some(found[0].prices[0].time_ms));
    assert_eq!((stream.status().connections, stream.status().problem), (2, None));
}

#[tokio::test]
async fn what_was_not_taken_before_a_gap_does_not_hide_it() {
    let exchange = Dialect::binance();
    let (server, mut peer, stream) = streaming(&exchange, pace()).await;
    peer.say(exchange.trade("BTC", 10.0, now_ms())).await;
    until("it came", || stream.status().prices == 2).await;
    drop(peer);
    let mut peer = server.peer().await;
    peer.answer(&exchange).await;
    peer.say(exchange.trade("BTC", 50.0, now_ms())).await;
    until("it came", || stream.status().prices == 3).await;
    // The price of 10 is left to the candles of the gap.
    assert_eq!(only(&prices(&stream).await[0]), 50.0);
}

#[tokio::test]
async fn a_server_that_says_goodbye_is_left_at_once() {
    let exchange = Dialect::binance();
    // The end after 24 hours is a close frame. Before maintenance, Binance says so.
    for shutdown in [false, true] {
        let (server, mut peer, stream) = streaming(&exchange, pace()).await;
        match shutdown {
            true => peer.say(r#"{"e":"serverShutdown","E":1770123456789}"#).await,
            false => peer.close(1008, "disconnected after 24 hours").await,
        }
        let mut peer = server.peer().await;
        peer.answer(&exchange).await;
        until("streamed again", || stream.status().symbols == 1).await;
        let reason = stream.status().last_gap.unwrap().reason;
        assert!(reason.contains(if shutdown { "shut" } else { "24 hours" }), "{reason}");
    }
}

#[tokio::test]
async fn silence_is_noticed_and_a_quiet_market_is_not_silence() {
    let exchange = Dialect::binance();
    let pace = StreamPace { silence: Duration::from_millis(600), ..pace() };
    let (server, mut peer, stream) = streaming(&exchange, pace).await;
    // It answers pings: no trade for a while is nothing to worry about.
    peer.idle(Duration::from_millis(1500)).await;
    assert_eq!((stream.status().connections, stream.status().last_gap), (1, None));
    // It answers nothing: its machine is gone, or a firewall forgot the connection.
    let mut next = server.peer().await;
    let gap = stream.status().last_gap.unwrap();
    assert!(gap.reason.contains("nothing arrived for 0.6 s"), "{gap:?}");
    next.answer(&exchange).await;
    until("streamed again", || stream.status().symbols == 1).await;
    drop(peer);
}

#[tokio::test]
async fn messages_that_cannot_be_read_are_counted_and_many_end_the_connection() {
    let exchange = Dialect::binance();
    let (server, mut peer, stream) = streaming(&exchange, pace()).await;
    for bad in [
        "",
        "{",
        "[1]",
        r#"{"e":"trade","s":"BTCUSDT","p":"NaN","T":1}"#,
        r#"{"e":"trade","s":"BTCUSDT","p":"-5","T":1}"#,
    ] {
        peer.say(bad).await;
    }
    peer.say(exchange.trade("BTC", 101.0, now_ms())).await;
    peer.say(exchange.trade("XRP", 9.0, now_ms())).await;
    assert_eq!(only(&prices(&stream).await[0]), 101.0);
    let status = stream.status();
    assert_eq!((status.unreadable, status.prices), (5, 2));
    assert!(status.problem.unwrap().contains("no usable name, price or time"));
    for _ in 0..100 {
        peer.say("nonsense").await;
    }
    let mut peer = server.peer().await;
    peer.answer(&exchange).await;
    assert!(stream.status().last_gap.unwrap().reason.contains(r#"begins "nonsense""#));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_taker_gets_every_extreme_of_a_flood_and_no_queue_grows() {
    let exchange = Dialect::binance();
    let server = Server::start().await;
    let stream = open(&exchange, &server, pace(), &["BTC", "ETH", "SOL"]);
    let mut peer = server.peer().await;
    peer.answer(&exchange).await;
    let begun = Instant::now();
    let mut expected = Vec::new();
    for (place, base) in ["BTC", "ETH", "SOL"].into_iter().enumerate() {
        let price = |n: usize| 1000.0 + ((n * (7919 + place)) % 10_007) as f64;
        let all: Vec<f64> = (0..10_000).map(price).collect();
        let low = all.iter().copied().fold(f64::MAX, f64::min);
        let high = all.iter().copied().fold(0.0, f64::max);
        for price in &all {
            peer.feed(exchange.trade(base, *price, now_ms())).await;
        }
        expected.push((exchange.symbol(base), all[0], low, high, all[9_999]));
    }
    peer.flush().await;
    until("all came", || stream.status().prices == 30_000).await;
    println!("{:.0} trades a second", 30_000.0 / begun.elapsed().as_secs_f64());
    let found = prices(&stream).await;
    assert_eq!(found.len(), 3);
    for (found, (symbol, first, low, high, last)) in found.iter().zip(expected) {
        let prices: Vec<f64> = found.prices.iter().map(|price| price.price).collect();
        assert_eq!((&found.symbol, prices[0], prices[prices.len() - 1]), (&symbol, first, last));
        assert!(prices.len() <= 4 && prices.contains(&low) && prices.contains(&high), "{prices:?}");
        assert!(found.prices.is_sorted_by_key(|price| price.time_ms));
    }
    assert_eq!(stream.take(|_, _| true), Vec::new());
    assert_eq!((stream.status().late, stream.status().last_gap), (0, None));
}

#[tokio::test]
async fn prices_wait_until_their_taker_is_ready() {
    let exchange = Dialect::binance();
    let (_server, mut peer, stream) = streaming(&exchange, pace()).await;
    for price in [5.0, 3.0, 4.0] {
        peer.say(exchange.trade("BTC", price, now_ms())).await;
    }
    until("they came", || stream.status().prices == 4).await;
    assert_eq!(stream.take(|_, _| false), Vec::new());
    let found = prices(&stream).await;
    assert_eq!(found[0].prices.iter().map(|price| price.price).collect::<Vec<_>>(), [5.0, 3.0, 4.0]);
}

#[tokio::test]
async fn a_trade_that_arrives_late_is_no_current_price() {
    let exchange = Dialect::binance();
    let pace = StreamPace { late: Duration::from_millis(500), ..pace() };
    // The exchange's clock is an hour ahead, which makes nothing late.
    let ahead = 3_600_000;
    let server = Server::start().await;
    let stream = open(&exchange, &server, pace, &["BTC"]);
    let mut peer = server.peer().await;
    peer.answer(&exchange).await;
    peer.say(exchange.trade("BTC", 100.0, now_ms() + ahead)).await;
    assert_eq!(only(&prices(&stream).await[0]), 100.0);
    let before = stream.stretches()[&exchange.symbol("BTC")];
    peer.say(exchange.trade("BTC", 1.0, now_ms() + ahead - 2000)).await;
    until("it is late", || stream.status().late == 1).await;
    peer.say(exchange.trade("BTC", 102.0, now_ms() + ahead)).await;
    let found = prices(&stream).await;
    // What it missed is for candles to tell, so a new stretch began.
    assert!(only(&found[0]) == 102.0 && found[0].since_ms > before, "{found:?}");
    assert_eq!(stream.status().last_gap.unwrap().reason, "trades arrive late");
    // Late all the time: a new connection may be better.
    for _ in 0..100 {
        peer.say(exchange.trade("BTC", 1.0, now_ms() + ahead - 2000)).await;
    }
    let mut peer = server.peer().await;
    peer.answer(&exchange).await;
    peer.say(exchange.trade("BTC", 103.0, now_ms())).await;
    assert_eq!(only(&prices(&stream).await[0]), 103.0);
}

#[tokio::test]
async fn an_exchange_that_confirms_nothing_streams_nothing() {
    let exchange = Dialect::binance();
    let server = Server::start().await;
    let pace = StreamPace { confirm: Duration::from_millis(300), ..pace() };
    let stream = open(&exchange, &server, pace, &["BTC"]);
    let mut peer = server.peer().await;
    for _ in 0..2 {
        assert!(peer.heard().await.unwrap().contains("btcusdt@trade"));
    }
    let missing = || stream.status().missing.into_values().any(|why| why.contains("did not confirm it within 0.3 s"));
    until("it is told", missing).await;
    assert_eq!((stream.status().symbols, stream.status().connections), (0, 1));
}

#[tokio::test]
async fn who_cannot_be_reached_is_asked_less_and_less_often() {
    let exchange = Dialect::binance();
    let server = Server::start().await;
    let pace = StreamPace { connect: 10 * QUICK, backoff: QUICK, longest_backoff: Duration::from_secs(9), ..pace() };
    let stream = open(&exchange, &server, pace, &["BTC"]);
    let begun = Instant::now();
    // No WebSocket there, and then nobody who answers.
    for attempt in 0..6 {
        let mut raw = server.raw().await;
        if attempt < 5 {
            raw.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            until("it is told", || stream.status().problem.is_some_and(|why| why.contains("opened no WebSocket")))
                .await;
        } else {
            until("it is told", || {
                stream.status().problem.is_some_and(|why| why.contains("no connection within 0.2 s"))
            })
            .await;
        }
    }
    // 10 + 20 + 40 + 80 + 160 ms at least.
    assert!(begun.elapsed() >= Duration::from_millis(310), "{:?}", begun.elapsed());
    assert_eq!((stream.status().connections, stream.status().last_gap), (0, None));
    assert!(server.is_left_alone(Duration::from_millis(300)).await);
}

#[tokio::test]
async fn a_stream_that_is_dropped_leaves_no_connection() {
    let exchange = Dialect::binance();
    let (server, mut peer, stream) = streaming(&exchange, pace()).await;
    drop(stream);
    assert_eq!(peer.heard().await, None);
    assert!(server.is_left_alone(Duration::from_millis(300)).await);
}

#[tokio::test]
async fn a_symbol_that_cannot_be_one_of_the_exchange_is_told() {
    let exchange = Dialect::binance();
    let server = Server::start().await;
    let stream = open(&exchange, &server, pace(), &["BTC"]);
    let odd = Symbol::parse("BTC/USDT:USDT").unwrap();
    stream.want([exchange.symbol("BTC"), odd.clone()].into());
    let mut peer = server.peer().await;
    peer.answer(&exchange).await;
    until("it is told", || stream.status().missing.contains_key(&odd)).await;
    assert_eq!(stream.status().missing[&odd], "the exchange does not list it");
}

/// The stream uses the names of the exchange's list. Nothing is guessed from the text of a symbol.
#[tokio::test]
async fn a_symbol_is_named_as_the_exchange_lists_it() {
    let okx = Dialect::all().into_iter().find(|one| one.venue == Venue::Okx).unwrap();
    let server = Server::start().await;
    let listed = json!({ "code": "0", "msg": "", "data": [
        { "instType": "SPOT", "instId": "ABC-XYZ", "state": "live" },
        { "instType": "SPOT", "instId": "USDT-USD", "state": "live" },
    ] });
    let mut answers = vec![("503 Unavailable", "{}".to_owned()); 4];
    answers.extend(vec![("200 OK", listed.to_string()); 2]);
    let rest = answering(answers).await;
    let quick = Pace { backoff: Duration::from_millis(1), ..Pace::default() };
    let exchange = Arc::new(Exchange::with_pace(okx.venue, Some(&rest), quick).unwrap());
    let pace = StreamPace { confirm: Duration::from_secs(2), ..pace() };
    let stream = PriceStream::open(exchange, Some(&server.url), pace, Clock::default()).unwrap();
    let symbols = ["ABCXYZ", "USDTUSD", "NOSUCH"].map(|name| Symbol::parse(name).unwrap());
    stream.want(symbols.clone().into());
    let mut peer = server.peer().await;
    // Without the list nothing is asked for, and the status says why.
    until("why nothing is streamed", || {
        stream.status().missing.get(&symbols[0]).is_some_and(|why| why.contains("fault of its own (HTTP 503)"))
    })
    .await;
    assert_eq!(peer.answer(&okx).await, (true, vec!["ABC-XYZ".to_owned(), "USDT-USD".to_owned()]));
    until("both are streamed", || stream.status().symbols == 2).await;
    until("why the third is not", || stream.status().missing.len() == 1).await;
    assert_eq!(stream.status().missing[&symbols[2]], "the exchange does not list it");
}

/// Answers requests in turn, each on a connection of its own. Returns the address.
async fn answering(answers: Vec<(&'static str, String)>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close", body.len());
            stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
        }
    });
    address
}
