//! Work on the other threads of the runtime, as tasks of one kind.
//!
//! Of each kind of work that is spawned, tokio has all that polls, ends and drops a task compiled anew, and again for each of
//! its schedulers: some four kilobytes. Behind a box all work is of one kind.

use crate::error::{Error, Result};
use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};

/// What any work comes to.
type Answer = Box<dyn Any + Send>;

/// Work on its way; it goes on when this is dropped.
pub struct Spawned<T> {
    task: JoinHandle<Answer>,
    comes_to: PhantomData<fn() -> T>,
}

/// Begins work on the runtime of the caller.
pub fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Spawned<T> {
    spawn_on(&Handle::current(), work)
}

/// Begins work on a runtime.
pub fn spawn_on<T: Send + 'static>(runtime: &Handle, work: impl Future<Output = T> + Send + 'static) -> Spawned<T> {
    let work: Pin<Box<dyn Future<Output = Answer> + Send>> = Box::pin(async move { Box::new(work.await) as Answer });
    Spawned { task: runtime.spawn(work), comes_to: PhantomData }
}

/// Begins work that computes or waits, on a thread where it holds up nothing else.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Spawned<T> {
    let work: Box<dyn FnOnce() -> Answer + Send> = Box::new(move || Box::new(work()));
    Spawned { task: tokio::task::spawn_blocking(work), comes_to: PhantomData }
}

/// [`spawn_blocking`]'s answer; a panic in it becomes [`Error::Internal`].
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|e| Err(Error::Internal(e.to_string())))
}

impl<T: 'static> Spawned<T> {
    /// Ends the work where it waits next.
    pub fn abort(&self) {
        self.task.abort();
    }
}

impl<T: 'static> Future for Spawned<T> {
    type Output = std::result::Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.task).poll(context))?;
        match answer.downcast() {
            Ok(answer) => Poll::Ready(Ok(*answer)),
            Err(_) => unreachable!("work comes to what it was spawned with"),
        }
    }
}
