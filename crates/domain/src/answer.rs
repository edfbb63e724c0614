//! Answers that are often known at once.

use std::future::Future;
use std::pin::Pin;

/// Work that finds an answer, as a future.
pub type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The answer to a call: the value, where it is known without waiting, or the work that finds it.
///
/// Nearly every call that JavaScript makes for a signal or a price can be answered from memory. Handing such a call to another
/// thread would wake up that thread, and then the event loop. A caller that must not wait looks at the answer first:
/// [`Answer::Ready`] costs no allocation and no task. `W` is a future to await, or a closure that may block the thread it is
/// called on.
pub enum Answer<T, W = Work<T>> {
    /// The value.
    Ready(T),
    /// It has to be waited for: for another thread, a file or a database.
    Pending(W),
}

impl<T, W> Answer<T, W> {
    /// The value if it is known without waiting.
    pub fn ready(self) -> Option<T> {
        match self {
            Self::Ready(value) => Some(value),
            Self::Pending(_) => None,
        }
    }
}

impl<T, W: FnOnce() -> T> Answer<T, W> {
    /// The value. Blocks this thread where it has to be waited for.
    pub fn wait(self) -> T {
        match self {
            Self::Ready(value) => value,
            Self::Pending(work) => work(),
        }
    }
}

impl<T: Send + 'static> Answer<T> {
    /// An answer that has to be waited for.
    pub fn pending(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self::Pending(Box::pin(work))
    }
}

impl<T: Send + 'static> IntoFuture for Answer<T> {
    type Output = T;
    type IntoFuture = Work<T>;

    fn into_future(self) -> Work<T> {
        match self {
            Self::Ready(value) => Box::pin(std::future::ready(value)),
            Self::Pending(work) => work,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_is_there_at_once_or_once_it_was_waited_for() {
        let known = || Answer::<i32, fn() -> i32>::Ready(1);
        assert_eq!((known().ready(), known().wait()), (Some(1), 1));
        let unknown = || Answer::<i32, fn() -> i32>::Pending(|| 2);
        assert_eq!((unknown().ready(), unknown().wait()), (None, 2));
        assert_eq!((Answer::<i32>::Ready(3).await, Answer::pending(async { 4 }).await), (3, 4));
        assert_eq!(Answer::pending(async { 4 }).ready(), None);
    }
}
