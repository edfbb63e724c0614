//! Errors on their way to JavaScript: `error.code` is the core's stable code, whether thrown or rejected.

use crate::error::{Error, Result, guard};
use napi::bindgen_prelude::{ToNapiValue, Unknown, sys};

/// A stable code as napi's error status, which becomes `error.code`.
pub struct Code(&'static str);

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        self.0
    }
}

/// The core's error as one to throw.
pub fn thrown(error: Error) -> napi::Error<Code> {
    napi::Error::new(Code(error.code()), error.to_string())
}

/// Runs a synchronous export; errors, and panics, are thrown with their code.
pub fn sync<T>(work: impl FnOnce() -> Result<T>) -> napi::Result<T, Code> {
    guard(work).map_err(thrown)
}

/// The core's error as one to reject a promise with. napi rejects with codes of its own, so it is built here.
///
/// # Safety
/// `env` must be live, and this its thread.
pub unsafe fn error_object(env: sys::napi_env, error: &Error) -> napi::Error {
    let mut object = std::ptr::null_mut();
    // SAFETY: both strings become JavaScript strings of this env; `object` is written on success.
    let made = unsafe {
        String::to_napi_value(env, error.code().to_owned()).and_then(|code| {
            let message = String::to_napi_value(env, error.to_string())?;
            Ok(sys::napi_create_error(env, code, message, &mut object))
        })
    };
    match made {
        // SAFETY: `object` is a value of this env, just created.
        Ok(sys::Status::napi_ok) => napi::Error::from(unsafe { Unknown::from_raw_unchecked(env, object) }),
        _ => napi::Error::from_reason(error.to_string()),
    }
}
