//! Entry point of the command line: `bin/signalloop.js` passes its arguments and receives the exit code.

use super::mcp::ApiShapes;
use super::promises::{elsewhere, promise};
use super::replay::{JsStrategy, Question};
use super::signal_loop::own_model;
use super::values;
use cli::{Ending, Host};
use domain::time::Tz;
use napi::bindgen_prelude::{Env, Function, PromiseRaw, Unknown};
use napi_derive::napi;
use replay::Strategy;
use std::sync::{Arc, LazyLock};

/// A process runs one command.
static ENDING: LazyLock<Ending> = LazyLock::new(Ending::default);

/// Runs the command line with `args` (without `node` and the script) and resolves with the exit code. `host` describes the
/// platform, for `doctor`. `model` is what `own-model.js` has made of the model that the configuration names, and `strategy` is what `strategy.js` has made of the module of `replay --strategy`.
#[napi(skip_typescript)]
pub fn run_cli<'env>(
    env: &'env Env,
    args: Vec<String>,
    host: String,
    strategy: Option<Function<'_, Question, ()>>,
    model: Unknown<'_>,
) -> napi::Result<PromiseRaw<'env, i32>> {
    promise(env, || {
        let strategy = strategy.map(|strategy| JsStrategy::new(strategy, Tz::UTC)).transpose()?;
        let strategy = strategy.map(|strategy| Box::new(strategy) as Box<dyn Strategy>);
        let own = if values::is_missing(&model) { None } else { Some(own_model(model)?) };
        let host = Host { description: host, strategy, own, shapes: Some(Arc::new(ApiShapes)) };
        Ok(elsewhere(async move { Ok(cli::run(args, host, &ENDING).await) }))
    })
}

/// Asks the command to end; `false` if it does not handle that.
#[napi(skip_typescript)]
pub fn end_cli() -> bool {
    ENDING.ask()
}
