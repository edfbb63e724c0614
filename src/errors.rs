//! Converts errors for JavaScript: `error.code` is the core's stable code, whether thrown or rejected.

use domain::error::{Error, Result, guard};
use napi::bindgen_prelude::{ToNapiValue, sys};

/// A stable code as napi's error status, which becomes `error.code`.
pub struct Code(&'static str);

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        self.0
    }
}

/// The core's error as one that can be thrown.
pub fn thrown(error: Error) -> napi::Error<Code> {
    napi::Error::new(Code(error.code()), error.to_string())
}

/// Runs a synchronous export; errors, and panics, are thrown with their code.
pub fn sync<T>(work: impl FnOnce() -> Result<T>) -> napi::Result<T, Code> {
    guard(work).map_err(thrown)
}

/// Converts the core's error to a JavaScript error that rejects a promise; `None` while the environment ends. It is built by
/// hand: napi rejects with its own codes, and its [`napi::Error`] of a JavaScript error asks JavaScript for a text, which may
/// throw.
///
/// # Safety
/// `env` must be live, and this its thread.
pub unsafe fn error_object(env: sys::napi_env, error: &Error) -> Option<sys::napi_value> {
    let mut object = std::ptr::null_mut();
    // SAFETY: both strings become JavaScript strings of this env; `object` is written on success.
    let made = unsafe {
        String::to_napi_value(env, error.code().to_owned()).and_then(|code| {
            let message = String::to_napi_value(env, error.to_string())?;
            Ok(sys::napi_create_error(env, code, message, &mut object))
        })
    };
    matches!(made, Ok(sys::Status::napi_ok)).then_some(object)
}
