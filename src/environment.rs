//! State of each JavaScript environment: a Node thread, or the module loaded again, as Jest does.

use super::promises::Promises;
use super::shared::{Key, User};
use super::signals::Signals;
use domain::error::{Error, Result};
use napi::bindgen_prelude::Env;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// The state of one environment. Node drops it when the environment ends.
pub struct Environment {
    /// Its promises.
    pub promises: Promises,
    /// Its reader of signals.
    pub signals: Signals,
    /// The default loops that it uses.
    users: RefCell<HashMap<Key, Arc<User>>>,
}

impl Environment {
    /// Returns its use of a default loop; a new one if it has closed the loop.
    ///
    /// # Errors
    /// As [`User::of`].
    pub fn user(&self, key: &Key) -> Result<Arc<User>> {
        if let Some(known) = self.users.borrow().get(key).filter(|user| !user.has_left()) {
            return Ok(known.clone());
        }
        let user = User::of(key)?;
        self.users.borrow_mut().insert(key.clone(), user.clone());
        Ok(user)
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.users.take().into_values().for_each(|user| user.abandon());
    }
}

/// The environment of a call.
pub fn of(env: &Env) -> napi::Result<Rc<Environment>> {
    if let Some(known) = env.get_instance_data::<Rc<Environment>>()? {
        return Ok(known.clone());
    }
    let (promises, signals) = (Promises::new(env)?, Signals::new(env)?);
    let new = Rc::new(Environment { promises, signals, users: RefCell::default() });
    env.set_instance_data(new.clone(), (), |_| ())?;
    Ok(new)
}

/// [`of`], for an export that returns the core's errors. Near the end of the stack, JavaScript's own error stays pending and is
/// thrown instead.
pub fn known(env: &Env) -> Result<Rc<Environment>> {
    of(env).map_err(|error| Error::Internal(error.reason.clone()))
}
