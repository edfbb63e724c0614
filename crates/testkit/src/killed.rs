//! Child processes that are killed, and checks that everything they reported as stored is still there.

use crate::own;
use feedback::FeedbackStore;
use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

/// Called in a child: reports that something is stored. It is a single write to the pipe, so whatever was read was
/// reported before the kill.
pub fn say(word: &str, what: &str) {
    std::io::stdout().write_all(format!("\n{word} {what}\n").as_bytes()).unwrap();
}

/// A child that runs until it is killed, and the reader of its output.
pub struct Killed {
    process: Child,
    reader: JoinHandle<()>,
}

impl Killed {
    pub fn start(command: &mut Command, told: &Sender<String>) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let (output, told) = (process.stdout.take().unwrap(), told.clone());
        let reader = std::thread::spawn(move || {
            BufReader::new(output).split(b'\n').map_while(Result::ok).for_each(|line| {
                let _ = told.send(String::from_utf8_lossy(&line).into_owned());
            });
        });
        Self { process, reader }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// SIGKILL: no destructor, no flush.
    pub fn kill(mut self) {
        assert_eq!(self.process.try_wait().unwrap(), None, "a process ended by itself");
        self.process.kill().unwrap();
        let status = self.process.wait().unwrap();
        assert!(status.code().is_none(), "a process ended by itself: {status}");
        self.reader.join().unwrap();
    }
}

/// Everything reported as stored.
#[derive(Default)]
pub struct Promised {
    pub recorded: BTreeSet<String>,
    /// How often each signal was reported as closed.
    pub closed: HashMap<String, usize>,
    pub promoted: Vec<u64>,
}

impl Promised {
    /// From the lines that children printed.
    pub fn of(said: impl IntoIterator<Item = String>) -> Self {
        let mut all = Self::default();
        for line in said {
            match line.split_once(' ') {
                Some(("recorded", id)) => assert!(all.recorded.insert(id.to_owned()), "{id} was recorded twice"),
                Some(("closed", id)) => *all.closed.entry(id.to_owned()).or_default() += 1,
                Some(("promoted", version)) => all.promoted.push(version.parse().unwrap()),
                _ => {}
            }
        }
        all
    }

    /// Asserts that each signal exists completely, and was closed exactly once if it was reported as closed.
    pub fn assert_kept(&self, store: &FeedbackStore) {
        assert_eq!((store.recovery().damaged, store.recovery().contradictions), (0, 0));
        for id in &self.recorded {
            assert_eq!(store.get(id).unwrap().map(|record| record.signal), Some(own(id)), "{id} was recorded");
        }
        for (id, times) in &self.closed {
            assert!(store.get(id).unwrap().is_some_and(|record| record.closing.is_some()), "{id} was closed");
            assert_eq!(*times, 1, "{id} was closed once");
        }
    }
}
