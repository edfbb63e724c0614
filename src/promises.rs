//! Promises whose work is driven by the event loop itself.
//!
//! napi's own futures cost a task on another thread and a threadsafe function for each promise: three threads wake up for one
//! record. Here an environment (a Node thread, or a module loaded again) has one threadsafe function for all its promises, the
//! bell. Completed work rings it, unless it is already ringing, and the event loop then polls everything that can continue. So
//! the replies of a whole batch of the store's writer come with one wake-up.
//!
//! Work starts in the next microtask, together with everything requested until then. So the writer wakes up once for it, and
//! writes it in one batch.

use super::environment;
use super::errors::error_object;
use super::shared::User;
use super::thrown;
use domain::error::{Error, Result, guard, panicked};
use napi::bindgen_prelude::{
    Env, Function, FunctionRef, PromiseRaw, ToNapiValue, check_status, sys, within_runtime_if_available,
};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use parking_lot::Mutex;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use tokio::task::JoinHandle;

/// The work of a promise. It is polled on the event loop, so it must not compute for long, nor block.
pub type Work<T> = Pin<Box<dyn Future<Output = Result<T>>>>;

/// Settles a promise with the result of its work.
type Settle = Box<dyn FnOnce()>;
/// Work whose output settles its promise.
type Task = Pin<Box<dyn Future<Output = Settle>>>;

/// The promises of one environment.
pub struct Promises {
    /// Work that starts in the next microtask, in order.
    fresh: RefCell<Vec<Task>>,
    /// Requests that microtask.
    soon: FunctionRef<(), ()>,
    asked: Cell<bool>,
    /// The lowest stack address from which it was requested; the stack grows downwards.
    lowest: Cell<usize>,
    waiting: RefCell<HashMap<u64, Task>>,
    begun: Cell<u64>,
    /// Created in the first of those microtasks, when none of the caller's code is running: otherwise Jest would report it as a
    /// handle that a test left open.
    bell: OnceCell<Arc<Bell>>,
}

/// Makes a function that calls `begin` in a microtask, once, however often it is requested. `await` calls nothing that other code
/// may have replaced, as tracing does with `Promise.prototype.then`.
const SOON: &str = "(begin) => {
  let asked = false
  const later = async () => {
    await undefined
    asked = false
    begin()
  }
  return () => {
    if (asked) return
    later()
    asked = true
  }
}";

/// Wakes the event loop, from any thread.
struct Bell {
    /// The tasks that can continue.
    ready: Mutex<Vec<u64>>,
    /// Unreferenced while no task waits: then it does not keep Node alive.
    function: ThreadsafeFunction<(), (), (), napi::Status, false, true>,
}

/// Wakes one task through the bell.
struct Ringer {
    bell: Arc<Bell>,
    task: u64,
}

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        let mut ready = self.bell.ready.lock();
        ready.push(self.task);
        // An earlier task has rung the bell, and the event loop has not answered yet.
        if ready.len() == 1 {
            // This fails when the environment has ended, and its promises with it.
            let _ = self.bell.function.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

impl Promises {
    /// Creates the state of an environment without promises.
    pub fn new(env: &Env) -> napi::Result<Self> {
        let soon: Function<'_, Function<'_, (), ()>, Function<'_, (), ()>> = env.run_script(SOON)?;
        Ok(Self {
            fresh: RefCell::default(),
            soon: soon.apply((), function(env, Self::begin)?)?.create_ref()?,
            asked: Cell::new(false),
            lowest: Cell::new(usize::MAX),
            waiting: RefCell::default(),
            begun: Cell::new(0),
            bell: OnceCell::new(),
        })
    }

    fn bell(&self, env: &Env) -> napi::Result<&Arc<Bell>> {
        if let Some(bell) = self.bell.get() {
            return Ok(bell);
        }
        let function = function(env, Self::answer)?.build_threadsafe_function::<()>().weak::<true>().build()?;
        Ok(self.bell.get_or_init(|| Arc::new(Bell { ready: Mutex::default(), function })))
    }

    /// Schedules the work added in this turn for the next microtask. It calls JavaScript, so near the end of the stack it throws,
    /// before any work has started. If there was room at an earlier, lower address, there is room now.
    fn ask(&self, env: &Env) -> napi::Result<()> {
        let here = std::ptr::from_ref(&env).addr();
        if !self.asked.get() || here < self.lowest.get() {
            self.soon.borrow_back(env)?.apply::<()>((), ())?;
            self.asked.set(true);
            self.lowest.update(|lowest| lowest.min(here));
        }
        Ok(())
    }

    fn add(&self, task: Task) {
        self.fresh.borrow_mut().push(task);
    }

    fn begin(&self, env: &Env) -> napi::Result<()> {
        self.asked.set(false);
        // If this fails, the added work starts with the next call.
        let bell = self.bell(env)?;
        let fresh = self.fresh.take();
        let idle = self.waiting.borrow().is_empty();
        for task in fresh {
            let number = self.begun.get();
            self.begun.set(number + 1);
            if let Some(settle) = self.poll(bell, number, task) {
                self.settle_in_turn(bell, number, settle);
            }
        }
        if idle && !self.waiting.borrow().is_empty() {
            // SAFETY: on the JavaScript thread, in a call from JavaScript: `env` is live, and so is its function.
            unsafe { sys::napi_ref_threadsafe_function(env.raw(), bell.function.raw()) };
        }
        Ok(())
    }

    fn answer(&self, env: &Env) -> napi::Result<()> {
        let bell = self.bell(env)?;
        let ready = std::mem::take(&mut *bell.ready.lock());
        for number in ready {
            // The task is gone if it was woken twice. Nothing is borrowed while it is polled, because settling may call getters.
            let task = self.waiting.borrow_mut().remove(&number);
            if let Some(settle) = task.and_then(|task| self.poll(bell, number, task)) {
                settle();
            }
        }
        if self.waiting.borrow().is_empty() {
            // SAFETY: as in `begin`; unreferencing twice does nothing.
            unsafe { sys::napi_unref_threadsafe_function(env.raw(), bell.function.raw()) };
        }
        Ok(())
    }

    /// Settles a promise whose work was done in its first poll, unless earlier work was done meanwhile: then after that.
    fn settle_in_turn(&self, bell: &Arc<Bell>, number: u64, settle: Settle) {
        let mut ready = bell.ready.lock();
        if ready.is_empty() {
            drop(ready);
            return settle();
        }
        self.waiting.borrow_mut().insert(number, Box::pin(std::future::ready(settle)));
        ready.push(number);
    }

    fn poll(&self, bell: &Arc<Bell>, number: u64, mut task: Task) -> Option<Settle> {
        let waker = Waker::from(Arc::new(Ringer { bell: bell.clone(), task: number }));
        match task.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(settle) => Some(settle),
            Poll::Pending => {
                self.waiting.borrow_mut().insert(number, task);
                None
            }
        }
    }
}

/// A function that runs with the promises of the calling environment.
fn function(env: &Env, act: fn(&Promises, &Env) -> napi::Result<()>) -> napi::Result<Function<'_, (), ()>> {
    env.create_function_from_closure::<(), (), _>("signalloop", move |context| {
        act(&environment::of(context.env)?.promises, context.env)
    })
}

/// A promise of the work that `prepare` starts. `prepare` runs now, on the JavaScript thread; if it fails, the promise rejects.
/// Nothing is thrown except JavaScript's own `RangeError` at the end of the stack.
pub fn promise<'env, T: ToNapiValue + 'static>(
    env: &'env Env,
    prepare: impl FnOnce() -> Result<Work<T>>,
) -> napi::Result<PromiseRaw<'env, T>> {
    let environment = environment::of(env)?;
    environment.promises.ask(env)?;
    let prepared = guard(prepare);
    let raw = env.raw();
    if prepared.is_err() && thrown::is_pending(raw) {
        return Err(thrown::pending());
    }
    let (deferred, promise) = deferred(env)?;
    match prepared {
        Err(error) => settle::<T>(raw, deferred, Err(error)),
        Ok(mut work) => {
            let task = async move {
                let result = std::future::poll_fn(|context| poll_guarded(&mut work, context)).await;
                Box::new(move || settle(raw, deferred, result)) as Settle
            };
            environment.promises.add(Box::pin(task));
        }
    }
    Ok(promise)
}

/// A promise of work on other threads. A later `close()` waits for that work.
pub fn call<'env, T, F>(
    env: &'env Env,
    core: &User,
    prepare: impl FnOnce() -> Result<F>,
) -> napi::Result<PromiseRaw<'env, T>>
where
    T: ToNapiValue + Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    promise(env, || {
        let (call, work) = (core.begin()?, prepare()?);
        Ok(elsewhere(async move {
            let _under_way = call;
            work.await
        }))
    })
}

/// Work on its way on other threads.
pub struct Elsewhere<T>(JoinHandle<Result<T>>);

impl<T: 'static> Future for Elsewhere<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        Pin::new(&mut self.0).poll(context).map(|done| {
            done.unwrap_or_else(|ended| match ended.try_into_panic() {
                Ok(panic) => Err(panicked(&*panic)),
                Err(_) => Err(Error::Internal("the work was dropped".to_owned())),
            })
        })
    }
}

/// Starts work on other threads.
pub fn spawned<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Elsewhere<T> {
    Elsewhere(within_runtime_if_available(|| tokio::spawn(work)))
}

/// A result that was available at once.
pub fn done<T: 'static>(value: T) -> Work<T> {
    Box::pin(std::future::ready(Ok(value)))
}

/// Starts work on other threads that a promise waits for.
pub fn elsewhere<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Work<T> {
    Box::pin(spawned(work))
}

fn poll_guarded<T>(work: &mut Work<T>, context: &mut Context<'_>) -> Poll<Result<T>> {
    // Within the runtime, so that work can spawn further work on other threads.
    match guard(|| Ok(within_runtime_if_available(|| work.as_mut().poll(context)))) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(Err(panic)),
    }
}

fn deferred<'env, T>(env: &'env Env) -> napi::Result<(sys::napi_deferred, PromiseRaw<'env, T>)> {
    let (mut deferred, mut promise) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: `env` is live, on its thread; both are written on success.
    check_status!(
        unsafe { sys::napi_create_promise(env.raw(), &mut deferred, &mut promise) },
        "Failed to make a promise"
    )?;
    Ok((deferred, PromiseRaw::new(env.raw(), promise)))
}

/// Settles a promise with the value, or with an error that has the core's code.
fn settle<T: ToNapiValue>(env: sys::napi_env, deferred: sys::napi_deferred, result: Result<T>) {
    // A promise cannot be settled while an exception is pending, and its callers would wait forever. So the exception is taken
    // first.
    thrown::tell_uncaught(env);
    let unsaid = |error: napi::Error| Error::Internal(format!("the result cannot be told: {}", error.reason));
    // SAFETY: promises are made and their work is polled on the JavaScript thread alone, from calls in which `env` is
    // live. The deferred is settled once, here, for the work that owns it ends with this. When it fails, the environment
    // is being ended and nobody sees the promise any more.
    unsafe {
        match result.and_then(|value| T::to_napi_value(env, value).map_err(unsaid)) {
            Ok(value) => drop(sys::napi_resolve_deferred(env, deferred, value)),
            Err(error) => {
                thrown::tell_uncaught(env);
                if let Some(error) = error_object(env, &error) {
                    sys::napi_reject_deferred(env, deferred, error);
                }
            }
        }
    }
}
