//! A listener that collects the warnings of a loop.

use engine::{Event, EventListener, Told};
use parking_lot::Mutex;
use std::sync::Arc;

/// The warnings of a loop, in order.
#[derive(Clone, Default)]
pub struct Warnings(pub Arc<Mutex<Vec<String>>>);

impl EventListener for Warnings {
    fn tell(&self, event: &Event, _at_ms: i64, _dropped: u64) -> Told {
        if let Event::Warning(text) = event {
            self.0.lock().push(text.clone());
        }
        Told::Taken
    }
}
