//! Alerts: events sent to webhooks, Telegram, Discord and Slack.
//!
//! It imports `domain`, `storage` and `exchange`, whose [`exchange::Poster`] opens the connections. It knows events as the JSON that
//! `onEvent` gives; `engine` decides which process writes an event to the [`Outbox`], and which one sends.
//!
//! # The way of an event
//! 1. [`destinations`] checks the key `alerts` of `scheduler_config.json`.
//! 2. A process in which something happens writes the event to the [`Outbox`], a file of the home, with the names of those who
//!    are to get it.
//! 3. The [`Sender`] of the home, in one process, reads the outbox and sends. It notes what was taken after it was taken, so a
//!    sender that is killed in between sends once more.
//!
//! # Secrets
//! A token, and the address of a webhook, is in a [`Secret`], whose `Debug` shows where it comes from. [`Target`] resolves it, and
//! takes it out of every text that an answer may have brought.

mod config;
mod kinds;
mod lane;
mod message;
mod outbox;
mod quiet;
mod secret;
mod sender;
mod state;
mod target;
mod template;

pub use config::{Channel, Destination, destinations};
pub use kinds::{EVERY, KINDS, Kind, fact};
pub use lane::Pace;
pub use outbox::{Entry, Outbox};
pub use quiet::QuietHours;
pub use secret::Secret;
pub use sender::Sender;
pub use state::{DestinationState, KNOWN, Known, State};
pub use target::{Failure, Target, signature};

/// How a warning about alerts begins. It is not sent as an alert: it would go the way that does not work.
pub const OWN_WARNING: &str = "alerts: ";
