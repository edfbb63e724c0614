//! The Model Context Protocol server: `signalloop mcp` lets an agent ask a home what its signals are worth.
//!
//! It reads a home through `engine` and `report`, and never trains or fetches by itself. Without [`Setup::write`] there is no tool
//! that changes signals. No tool takes a path of a file.
//!
//! Standard input and output, or HTTP: [`stdio`] serves one client, [`Http`] many. Over HTTP it answers as `report` does, only under
//! names that cannot be abused for DNS rebinding, and on other addresses than this machine's own only with a token.
//!
//! What an answer looks like is the JavaScript API's matter: the addon gives its shapes as [`Shapes`].

mod answer;
mod arguments;
mod http;
mod prompts;
mod read;
mod replaying;
mod resources;
mod schema;
mod server;
mod shapes;
mod stdio;
mod tools;
mod words;
mod write;

pub use http::{Http, HttpOptions, TOKEN_VARIABLE, Token};
pub use server::{Doctor, Server, Setup};
pub use shapes::Shapes;
pub use stdio::{Ended, stdio, stdio_on};
