//! Errors on their way to JavaScript: `error.code` is the core's stable code, whether thrown or rejected.

use crate::engine::SignalLoop;
use crate::error::{Error, Result, guard};
use napi::bindgen_prelude::{Env, PromiseRaw, ToNapiValue, Unknown, sys};
use std::future::Future;

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

/// The end of an asynchronous export: becomes the value, or rejects with the core's code.
///
/// napi rejects an `async fn` with codes of its own, so the JavaScript error is built here, on the JavaScript thread.
pub struct Reply<T>(Result<T>);

impl<T> From<Result<T>> for Reply<T> {
    fn from(result: Result<T>) -> Self {
        Self(result)
    }
}

impl<T: ToNapiValue> ToNapiValue for Reply<T> {
    unsafe fn to_napi_value(env: sys::napi_env, reply: Self) -> napi::Result<sys::napi_value> {
        match reply.0 {
            // SAFETY: napi calls this on the JavaScript thread with a live `env`, which is passed on as it is.
            Ok(value) => unsafe { T::to_napi_value(env, value) },
            Err(error) => Err(unsafe { error_object(env, &error)? }),
        }
    }
}

/// # Safety
/// `env` must be live, and this the JavaScript thread.
unsafe fn error_object(env: sys::napi_env, error: &Error) -> napi::Result<napi::Error> {
    let mut object = std::ptr::null_mut();
    // SAFETY: both strings become JavaScript strings of this env; `object` is written on success.
    let status = unsafe {
        let code = String::to_napi_value(env, error.code().to_owned())?;
        let message = String::to_napi_value(env, error.to_string())?;
        sys::napi_create_error(env, code, message, &mut object)
    };
    if status != sys::Status::napi_ok {
        return Err(napi::Error::from_reason(error.to_string()));
    }
    // SAFETY: `object` is a value of this env, just created.
    Ok(napi::Error::from(unsafe { Unknown::from_raw_unchecked(env, object) }))
}

/// A promise of work on a loop, which a `close()` that comes later waits for.
pub fn call<'env, T, F>(
    env: &'env Env,
    core: &SignalLoop,
    prepare: impl FnOnce() -> Result<F>,
) -> napi::Result<PromiseRaw<'env, Reply<T>>>
where
    T: ToNapiValue + Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    promise(env, || {
        let (call, work) = (core.begin()?, prepare()?);
        Ok(async move {
            let _under_way = call;
            work.await
        })
    })
}

/// A promise of `work`. Reading the arguments (`prepare`) happens now, on the JavaScript thread; if that fails the promise
/// rejects, and nothing is thrown.
pub fn promise<'env, T, F>(
    env: &'env Env,
    prepare: impl FnOnce() -> Result<F>,
) -> napi::Result<PromiseRaw<'env, Reply<T>>>
where
    T: ToNapiValue + Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let prepared = guard(prepare);
    env.spawn_future(async move {
        Ok(Reply(match prepared {
            Ok(work) => work.await,
            Err(error) => Err(error),
        }))
    })
}
