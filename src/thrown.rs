//! Exceptions that JavaScript throws while it is called from Rust.
//!
//! An exception stays pending in the engine until it is taken. Until then nearly every call of napi fails, and when an export
//! returns, it is thrown. So an exception of a caller's getter is taken at once and becomes one of our errors. Exceptions of our
//! own scripts are left pending: they throw only JavaScript's `RangeError` at the end of the stack, and the export then throws
//! exactly that.
//!
//! Functions are called by `apply`, not by napi's `call`: `call` asks JavaScript to turn the exception into text, which at the
//! end of the stack throws again, and so on until the process is killed by a signal.

use napi::bindgen_prelude::{JsValue, Unknown, sys};

/// Whether an exception is pending.
pub fn is_pending(env: sys::napi_env) -> bool {
    let mut pending = false;
    // SAFETY: `env` is live, on its thread, as for all that this file does; the result is written on success.
    unsafe { sys::napi_is_exception_pending(env, &mut pending) == sys::Status::napi_ok && pending }
}

/// Takes the pending exception out of the engine.
fn take(env: sys::napi_env) -> Option<sys::napi_value> {
    let mut thrown = std::ptr::null_mut();
    // SAFETY: as above.
    let taken =
        is_pending(env) && unsafe { sys::napi_get_and_clear_last_exception(env, &mut thrown) == sys::Status::napi_ok };
    taken.then_some(thrown)
}

/// Takes the exception of a caller's getter or proxy out of the engine, as text.
pub fn take_text(env: sys::napi_env) -> Option<String> {
    let thrown = take(env)?;
    // SAFETY: a value of this env, just taken from it.
    let thrown = unsafe { Unknown::from_raw_unchecked(env, thrown) };
    let text = thrown.coerce_to_string().and_then(|text| text.into_utf8()?.into_owned());
    // Converting it to text may have thrown in turn.
    take(env);
    Some(text.unwrap_or_else(|_| "an exception".to_owned()))
}

/// Reports an exception to Node that no caller could catch: `uncaughtException`, as for any listener that throws.
pub fn tell_uncaught(env: sys::napi_env) {
    if let Some(thrown) = take(env) {
        // SAFETY: as above. This fails only while the environment ends.
        unsafe { sys::napi_fatal_exception(env, thrown) };
    }
}

/// The return value of an export while an exception is pending: napi leaves the exception alone, and Node throws it.
pub fn pending() -> napi::Error {
    napi::Error::new(napi::Status::PendingException, String::new())
}
