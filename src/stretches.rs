//! Reads long arrays on the event loop without blocking it.

use super::promises::spawned;
use super::values::unreadable;
use domain::error::Result;
use napi::bindgen_prelude::{Env, FnArgs, Function, JsValue, Object, ObjectRef, Unknown};
use std::time::{Duration, Instant};

/// How long one step may block the event loop, and the pause after it.
const STRETCH: Duration = Duration::from_millis(5);
const PAUSE: Duration = Duration::from_millis(1);

/// Copies an array, so that its owner can continue to use it.
const COPY: &str = "(array) => {
  const copy = []
  for (let i = 0, length = array.length; i < length; i++) copy.push(array[i])
  return copy
}";

/// A copy of an array. Not checked for leaks: the environment may end before it is read.
pub struct Copied(ObjectRef<false>);

impl Copied {
    /// Copies it at once, calling its getters.
    ///
    /// # Errors
    /// [`domain::error::Error::InvalidArgument`] with what a getter threw.
    pub fn of(env: &Env, argument: &'static str, array: Unknown<'_>) -> Result<Self> {
        let copy = || {
            let copy: Function<'_, FnArgs<(Unknown<'_>,)>, Object<'_>> = env.run_script(COPY)?;
            copy.apply((), FnArgs { data: (array,) })?.create_ref()
        };
        copy().map(Self).map_err(|error| unreadable(env.raw(), argument, &error))
    }

    /// Reads the copy on the event loop: calls `step` again and again until it returns that everything is read.
    ///
    /// # Errors
    /// Of the first step that fails.
    pub async fn read(self, env: Env, step: impl FnMut(&Env, Unknown<'_>) -> Result<bool>) -> Result<()> {
        let read = self.read_on(&env, step).await;
        // This fails only while the environment ends.
        let _ = self.0.unref(&env);
        read
    }

    async fn read_on(&self, env: &Env, mut step: impl FnMut(&Env, Unknown<'_>) -> Result<bool>) -> Result<()> {
        let mut stretch = || -> Result<bool> {
            let array = self.0.get_value(env).map_err(|error| unreadable(env.raw(), "value", &error))?.to_unknown();
            let began = Instant::now();
            while began.elapsed() < STRETCH {
                if step(env, array)? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        loop {
            // The pause is on another thread, so that the event loop can do other work.
            let pause = spawned(async {
                tokio::time::sleep(PAUSE).await;
                Ok(())
            });
            pause.await?;
            if stretch()? {
                return Ok(());
            }
        }
    }
}
