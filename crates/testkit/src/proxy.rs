//! A proxy between a test and its PostgreSQL, which can cut connections, drop traffic and refuse connections.

use crate::server::Schema;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a proxy does with traffic.
#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(u8)]
pub enum Mood {
    Passes,
    /// Drops everything, in both directions.
    Swallows,
    /// Forwards requests and drops the responses: the work is done, but its result is lost.
    Mute,
    /// Accepts no connections.
    Refuses,
    /// Forwards at 160 kB/s in both directions.
    Crawls,
}

/// A proxy in front of the server.
pub struct Proxy {
    pub url: String,
    mood: Arc<AtomicU8>,
    /// Where new connections lead.
    server: Arc<Mutex<String>>,
    /// The bytes that identify a write.
    writes: Arc<Mutex<Vec<u8>>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// `write` identifies a message that changes something. `COMMIT\0` is one that commits; it does not match READ
    /// COMMITTED.
    pub fn of(schema: &Schema, write: &str) -> Self {
        Self::at("127.0.0.1", schema, write)
    }

    /// The same, listening on another address of this machine.
    pub fn at(address: &str, schema: &Schema, write: &str) -> Self {
        let Range { start, end } = server_in(&schema.url);
        let server = Arc::new(Mutex::new(schema.url[start..end].to_owned()));
        let listener = TcpListener::bind((address, 0)).unwrap();
        let url = format!("{}{}{}", &schema.url[..start], listener.local_addr().unwrap(), &schema.url[end..]);
        let (mood, open) = (Arc::new(AtomicU8::new(Mood::Passes as u8)), Arc::new(Mutex::new(Vec::new())));
        let writes = Arc::new(Mutex::new(write.as_bytes().to_vec()));
        let (of, all, sign, leads_to) = (mood.clone(), open.clone(), writes.clone(), server.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if of.load(Ordering::SeqCst) == Mood::Refuses as u8 {
                    continue;
                }
                let address = leads_to.lock().unwrap().clone();
                let Ok(server) = TcpStream::connect(address) else { continue };
                all.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                let wrote = Arc::new(AtomicBool::new(false));
                let ways = [(client.try_clone().unwrap(), server.try_clone().unwrap(), false), (server, client, true)];
                for (from, to, answers) in ways {
                    let (of, wrote, sign) = (of.clone(), wrote.clone(), sign.clone());
                    std::thread::spawn(move || pass(from, to, answers, &of, &wrote, &sign));
                }
            }
        });
        Self { url, mood, server, writes, open }
    }

    /// Switches to another server, and cuts every connection.
    pub fn lead_to(&self, url: &str) {
        *self.server.lock().unwrap() = url[server_in(url)].to_owned();
        self.cut();
    }

    pub fn be(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    /// Drops the responses to messages that contain these bytes, and all later ones.
    pub fn mute(&self, writes: &str) {
        *self.writes.lock().unwrap() = writes.as_bytes().to_vec();
        self.be(Mood::Mute);
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// The position of host and port in a URL.
fn server_in(url: &str) -> Range<usize> {
    let start = url.find('@').unwrap() + 1;
    start..start + url[start..].find('/').unwrap()
}

fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    answers: bool,
    mood: &AtomicU8,
    wrote: &AtomicBool,
    writes: &Mutex<Vec<u8>>,
) {
    let mut bytes = [0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        let mood = mood.load(Ordering::SeqCst);
        let sign = writes.lock().unwrap().clone();
        if mood == Mood::Mute as u8 && !answers && bytes[..read].windows(sign.len()).any(|part| part == sign) {
            wrote.store(true, Ordering::SeqCst);
        }
        if mood == Mood::Crawls as u8 {
            std::thread::sleep(Duration::from_millis(read as u64 / 160));
        }
        let kept = mood == Mood::Swallows as u8 || (answers && wrote.load(Ordering::SeqCst));
        if !kept && to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
