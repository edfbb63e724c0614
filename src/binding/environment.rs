//! What is kept for each environment: a Node thread, or the module loaded anew, as Jest does.

use super::promises::Promises;
use super::signals::Signals;
use napi::bindgen_prelude::Env;
use std::rc::Rc;

/// See the module. Node drops it when the environment ends.
pub struct Environment {
    /// Its promises.
    pub promises: Promises,
    /// Its way to read signals.
    pub signals: Signals,
}

/// The environment of a call.
pub fn of(env: &Env) -> napi::Result<Rc<Environment>> {
    if let Some(known) = env.get_instance_data::<Rc<Environment>>()? {
        return Ok(known.clone());
    }
    let new = Rc::new(Environment { promises: Promises::new(env)?, signals: Signals::new(env)? });
    env.set_instance_data(new.clone(), (), |_| ())?;
    Ok(new)
}
