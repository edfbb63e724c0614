//! What JavaScript throws while it is called from Rust.
//!
//! It stays in the engine, pending, until someone takes it; until then nearly every call of napi fails, and when an export returns
//! it is thrown. So what a caller's getter threw is taken at once, to become an error of ours. What our own scripts throw is left:
//! they throw nothing but the engine's `RangeError` at the end of the stack, and the export then throws just that.
//!
//! Functions are called by `apply`, never by napi's `call`: that one makes a text of what was thrown, by asking JavaScript, which at
//! the end of the stack throws again, and so on until the process ends by a signal.

use napi::bindgen_prelude::{JsValue, Unknown, sys};

/// Whether something is pending.
pub fn is_pending(env: sys::napi_env) -> bool {
    let mut pending = false;
    // SAFETY: `env` is live, on its thread, as for all that this file does; the result is written on success.
    unsafe { sys::napi_is_exception_pending(env, &mut pending) == sys::Status::napi_ok && pending }
}

/// Takes what is pending out of the engine.
fn take(env: sys::napi_env) -> Option<sys::napi_value> {
    let mut thrown = std::ptr::null_mut();
    // SAFETY: as above.
    let taken =
        is_pending(env) && unsafe { sys::napi_get_and_clear_last_exception(env, &mut thrown) == sys::Status::napi_ok };
    taken.then_some(thrown)
}

/// What a getter or a proxy of the caller's threw, taken out of the engine, as text.
pub fn take_text(env: sys::napi_env) -> Option<String> {
    let thrown = take(env)?;
    // SAFETY: a value of this env, just taken from it.
    let thrown = unsafe { Unknown::from_raw_unchecked(env, thrown) };
    let text = thrown.coerce_to_string().and_then(|text| text.into_utf8()?.into_owned());
    // Making it a text may have thrown in turn.
    take(env);
    Some(text.unwrap_or_else(|_| "an exception".to_owned()))
}

/// Tells Node what was thrown where no caller could catch it: `uncaughtException`, as for any listener that throws.
pub fn tell_uncaught(env: sys::napi_env) {
    if let Some(thrown) = take(env) {
        // SAFETY: as above. It fails only while the environment ends.
        unsafe { sys::napi_fatal_exception(env, thrown) };
    }
}

/// What an export returns where something is pending: napi leaves that alone, and Node throws it.
pub fn pending() -> napi::Error {
    napi::Error::new(napi::Status::PendingException, String::new())
}
