//! The task of a stream: connects, keeps the connection alive, reads it, and connects again.

use super::super::Exchange;
use super::StreamPace;
use super::connect::{Socket, open};
use super::protocol::{Endpoint, News, Protocol, Said};
use super::shared::Shared;
use super::subscriptions::Subscriptions;
use domain::symbol::Symbol;
use futures_util::{SinkExt, StreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// How often a connection looks whether something has to be sent.
const TICK: Duration = Duration::from_millis(100);
/// How often it is told which symbols are not streamed.
const TELL: Duration = Duration::from_millis(500);
/// So many unreadable messages in a row, and the connection is given up.
const MOST_UNREADABLE: u32 = 100;
/// The same for late trades.
const MOST_LATE: u32 = 100;

/// Keeps a connection while symbols are wanted. Never ends by itself.
pub(super) async fn keep_connected(
    shared: Arc<Shared>,
    exchange: Arc<Exchange>,
    protocol: Box<dyn Protocol>,
    pace: StreamPace,
) {
    let mut failures = 0;
    loop {
        // An error would mean that `shared` is gone, which this task holds.
        let _ = shared.wanted().wait_for(|wanted| !wanted.is_empty()).await;
        let begun = Instant::now();
        let ended = match Connection::open(&shared, &exchange, &*protocol, pace).await {
            Ok(mut connection) => connection.run().await,
            Err(problem) => Ended::Broken(problem),
        };
        let Ended::Broken(reason) = ended else {
            shared.not_needed();
            continue;
        };
        shared.disconnected(&reason);
        failures = if begun.elapsed() >= pace.stable { 0 } else { failures + 1 };
        sleep(backoff(&pace, failures)).await;
    }
}

/// The pause before the next attempt. Half of it is random, so that many clients do not come back at once.
fn backoff(pace: &StreamPace, failures: u32) -> Duration {
    let longest = pace.longest_backoff.as_secs_f64();
    let doubled = pace.backoff.as_secs_f64() * f64::from(failures.saturating_sub(1).min(30)).exp2();
    // The digits of the clock below a millisecond.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let dice = f64::from(now.subsec_micros() % 1000) / 1000.0;
    Duration::from_secs_f64(doubled.min(longest) * (0.5 + 0.5 * dice))
}

/// The names of symbols on the stream, when the exchange has told its list.
type Naming<'a> = Pin<Box<dyn Future<Output = Said<BTreeMap<Symbol, String>>> + Send + 'a>>;

/// Why a connection ended.
enum Ended {
    /// No symbol is wanted.
    NotNeeded,
    /// It was closed, broke, or fell silent.
    Broken(String),
}

struct Connection<'a> {
    shared: &'a Shared,
    exchange: &'a Exchange,
    protocol: &'a dyn Protocol,
    pace: StreamPace,
    socket: Socket,
    endpoint: Endpoint,
    wanted: watch::Receiver<BTreeSet<Symbol>>,
    subscriptions: Subscriptions,
    is_ready: bool,
    /// When it was opened; delays are measured from here by a clock that is never set.
    opened: Instant,
    /// When something last arrived.
    heard: Instant,
    /// When the exchange's own ping, and a ping frame, were last sent.
    pinged: Instant,
    probed: Instant,
    /// When it was last told which symbols are not streamed.
    told: Instant,
    /// When the exchange is asked again for the names of symbols that it did not list.
    name_again: Option<Instant>,
    /// How many messages in a row could not be read, and how many trades in a row were late.
    unreadable: u32,
    late: u32,
    /// The smallest difference between this machine's clock and the times of trades, ms.
    least_delay_ms: Option<i64>,
}

impl<'a> Connection<'a> {
    async fn open(
        shared: &'a Shared,
        exchange: &'a Exchange,
        protocol: &'a dyn Protocol,
        pace: StreamPace,
    ) -> Said<Self> {
        let opened = async {
            let endpoint = protocol.endpoint().await?;
            let socket = open(&endpoint.url).await?;
            Said::Ok((endpoint, socket))
        };
        let too_slow = |_| format!("no connection within {} s", pace.connect.as_secs_f64());
        let (endpoint, socket) = timeout(pace.connect, opened).await.map_err(too_slow)??;
        let (now, is_ready) = (Instant::now(), !endpoint.waits);
        let subscriptions = Subscriptions::new(protocol.limits(), pace);
        let mut wanted = shared.wanted();
        wanted.mark_changed();
        Ok(Self {
            shared,
            exchange,
            protocol,
            pace,
            socket,
            endpoint,
            wanted,
            subscriptions,
            is_ready,
            opened: now,
            heard: now,
            pinged: now,
            probed: now,
            told: now,
            name_again: None,
            unreadable: 0,
            late: 0,
            least_delay_ms: None,
        })
    }

    async fn run(&mut self) -> Ended {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if self.is_ready {
            self.shared.connected();
        }
        // The names of the wanted symbols, while the exchange is asked for them. Meanwhile the connection is read.
        let mut naming: Option<Naming<'a>> = None;
        loop {
            let names = async {
                match naming.as_mut() {
                    Some(names) => names.await,
                    None => std::future::pending().await,
                }
            };
            let worked = tokio::select! {
                frame = self.socket.next() => match frame {
                    Some(Ok(frame)) => self.hear(&frame),
                    Some(Err(error)) => Err(format!("the connection broke: {error}")),
                    None => Err("the exchange closed the connection".to_owned()),
                },
                _ = self.wanted.changed() => {
                    let wanted = self.wanted.borrow_and_update().clone();
                    if wanted.is_empty() {
                        let _ = timeout(TICK, self.socket.close(None)).await;
                        return Ended::NotNeeded;
                    }
                    naming = Some(self.ask_for_names(wanted));
                    Ok(())
                }
                names = names => {
                    naming = None;
                    self.named(names);
                    self.speak().await
                }
                _ = tick.tick() => {
                    if naming.is_none() && self.name_again.is_some_and(|at| at <= Instant::now()) {
                        let wanted = self.wanted.borrow().clone();
                        naming = Some(self.ask_for_names(wanted));
                    }
                    self.speak().await
                }
            };
            if let Err(reason) = worked {
                return Ended::Broken(reason);
            }
        }
    }

    fn ask_for_names(&self, wanted: BTreeSet<Symbol>) -> Naming<'a> {
        let exchange = self.exchange;
        Box::pin(async move { exchange.stream_names(&wanted).await })
    }

    /// Sets what is wanted, by the names that the exchange has for it.
    fn named(&mut self, names: Said<BTreeMap<Symbol, String>>) {
        let wanted = self.wanted.borrow().clone();
        let (mut names, nameless, again) = match names {
            Ok(names) => (names, "the exchange does not list it".to_owned(), self.pace.refused),
            Err(problem) => {
                (self.subscriptions.names(), format!("its name is not known: {problem}"), self.pace.confirm)
            }
        };
        names.retain(|symbol, _| wanted.contains(symbol));
        self.name_again = (names.len() < wanted.len()).then(|| Instant::now() + again);
        self.subscriptions.want(names, nameless);
    }

    /// Sends what is due.
    async fn speak(&mut self) -> Said<()> {
        let now = Instant::now();
        let silent = now.duration_since(self.heard);
        if silent >= self.pace.silence {
            return Err(format!("nothing arrived for {} s", self.pace.silence.as_secs_f64()));
        }
        if silent >= self.pace.silence / 2 && now.duration_since(self.probed) >= self.pace.silence / 4 {
            self.probed = now;
            self.send(Message::Ping(Bytes::new())).await?;
        }
        if !self.is_ready {
            return Ok(());
        }
        if self.endpoint.ping_every.is_some_and(|every| now.duration_since(self.pinged) >= every) {
            self.pinged = now;
            let id = self.subscriptions.next_id();
            if let Some(ping) = self.protocol.ping(id) {
                self.send(Message::text(ping)).await?;
            }
        }
        if let Some(request) = self.subscriptions.next_message(now, self.protocol) {
            self.send(Message::text(request)).await?;
        }
        if now.duration_since(self.told) >= TELL {
            self.told = now;
            self.shared.missing(self.subscriptions.missing(&self.wanted.borrow()));
        }
        Ok(())
    }

    /// A peer that does not read must not stop the reading here.
    async fn send(&mut self, message: Message) -> Said<()> {
        let sent = timeout(self.pace.connect, self.socket.send(message)).await;
        let sent = sent.map_err(|_| "the exchange reads nothing any more".to_owned())?;
        sent.map_err(|error| format!("the connection broke: {error}"))
    }

    fn hear(&mut self, frame: &Message) -> Said<()> {
        self.heard = Instant::now();
        match frame {
            Message::Text(text) => self.hear_text(text),
            // Tungstenite answers pings by itself.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
            Message::Binary(bytes) => self.misheard(format!("a message of {} bytes is not text", bytes.len())),
            Message::Close(why) => Err(match why {
                Some(why) => {
                    format!("the exchange closed the connection: {} {}", why.code, why.reason).trim().to_owned()
                }
                None => "the exchange closed the connection".to_owned(),
            }),
        }
    }

    fn hear_text(&mut self, text: &str) -> Said<()> {
        let news = match self.protocol.read(text) {
            Ok(news) => news,
            Err(problem) => return self.misheard(problem),
        };
        self.unreadable = 0;
        for one in news {
            match one {
                News::Trade { name, price, time_ms } => self.trade(&name, price, time_ms)?,
                News::Accepted { request, names } => {
                    for symbol in self.subscriptions.accepted(request, &names) {
                        self.shared.begin(symbol);
                    }
                }
                News::Refused { request, why } => self.subscriptions.refused(request, &why, self.heard),
                News::Ready => {
                    self.is_ready = true;
                    self.shared.connected();
                }
                News::Closing(why) => return Err(format!("the exchange ends the connection: {why}")),
            }
        }
        Ok(())
    }

    fn trade(&mut self, name: &str, price: f64, time_ms: i64) -> Said<()> {
        let Some((symbol, is_first)) = self.subscriptions.traded(name) else { return Ok(()) };
        if is_first {
            self.shared.begin(symbol.clone());
        }
        let passed = i64::try_from(self.heard.duration_since(self.opened).as_millis()).unwrap_or(i64::MAX);
        let delay_ms = passed.saturating_sub(time_ms);
        let least_ms = self.least_delay_ms.map_or(delay_ms, |least| least.min(delay_ms));
        self.least_delay_ms = Some(least_ms);
        let late_ms = i64::try_from(self.pace.late.as_millis()).unwrap_or(i64::MAX);
        if delay_ms.saturating_sub(least_ms) <= late_ms {
            self.late = 0;
            self.shared.price(&symbol, price);
            return Ok(());
        }
        self.late += 1;
        self.shared.late(&symbol);
        // A new connection begins without a backlog, and forgets a time that was wrong.
        if self.late >= MOST_LATE { Err("trades arrive late".to_owned()) } else { Ok(()) }
    }

    /// Counts a message that cannot be read. Some are ignored, many end the connection.
    fn misheard(&mut self, problem: String) -> Said<()> {
        self.unreadable += 1;
        self.shared.unreadable(problem.clone());
        if self.unreadable >= MOST_UNREADABLE { Err(problem) } else { Ok(()) }
    }
}
