//! The loaded pooled models: each once, for as long as some model uses it.

use super::store::Checksum;
use domain::error::Result;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// A pooled model. Locked while it is read, so that others who need it wait instead of reading it too.
type Place<T> = Arc<Mutex<Weak<T>>>;

/// The pooled models that are in use.
pub(super) struct Pools<T> {
    places: Mutex<HashMap<Checksum, Place<T>>>,
}

impl<T> Default for Pools<T> {
    fn default() -> Self {
        Self { places: Mutex::default() }
    }
}

impl<T> Pools<T> {
    /// A pooled model: the loaded one, or else what `read` returns. `None` if `read` finds none.
    ///
    /// # Errors
    /// Those of `read`; the next caller reads again.
    pub fn get(&self, checksum: &Checksum, read: impl FnOnce() -> Result<Option<T>>) -> Result<Option<Arc<T>>> {
        let place = self.place(checksum);
        let mut place = place.lock();
        if let Some(pooled) = place.upgrade() {
            return Ok(Some(pooled));
        }
        let pooled = read()?.map(Arc::new);
        *place = pooled.as_ref().map_or_else(Weak::new, Arc::downgrade);
        Ok(pooled)
    }

    /// The loaded pooled model, if there is one; else loads this one.
    pub fn keep(&self, checksum: &Checksum, pooled: Arc<T>) -> Arc<T> {
        let place = self.place(checksum);
        let mut place = place.lock();
        place.upgrade().unwrap_or_else(|| {
            *place = Arc::downgrade(&pooled);
            pooled
        })
    }

    fn place(&self, checksum: &Checksum) -> Place<T> {
        let mut places = self.places.lock();
        // An entry in use is being read now.
        places.retain(|_, place| Arc::strong_count(place) > 1 || place.lock().strong_count() > 0);
        places.entry(*checksum).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::error::Error;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn many_who_ask_at_once_share_one_and_its_memory_is_freed() {
        let (pools, reads, start) = (Pools::default(), AtomicUsize::new(0), Barrier::new(8));
        let read = || {
            reads.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(20));
            Ok(Some(vec![7_u8; 100]))
        };
        let all: Vec<Arc<Vec<u8>>> = std::thread::scope(|scope| {
            let ask = || {
                start.wait();
                pools.get(&[1; 32], read).unwrap().unwrap()
            };
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        assert!(all.iter().all(|one| Arc::ptr_eq(one, &all[0])));
        let gone = Arc::downgrade(&all[0]);
        drop(all);
        assert!(gone.upgrade().is_none(), "nobody uses it any more");
        // Adding another one removes what is left of it.
        let other = pools.get(&[2; 32], read).unwrap();
        assert_eq!(pools.places.lock().keys().copied().collect::<Vec<_>>(), [[2; 32]]);
        drop(other);
        pools.get(&[1; 32], read).unwrap();
        assert_eq!(reads.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn what_was_just_trained_is_shared_with_what_is_read() {
        let pools = Pools::default();
        let trained = pools.keep(&[1; 32], Arc::new(5));
        let read = pools.get(&[1; 32], || panic!("it is in memory")).unwrap().unwrap();
        assert!(Arc::ptr_eq(&trained, &read) && Arc::ptr_eq(&trained, &pools.keep(&[1; 32], Arc::new(5))));
    }

    #[test]
    fn one_pooled_model_does_not_wait_for_another() {
        let pools = Pools::default();
        let inner = pools.get(&[1; 32], || {
            let other = pools.get(&[2; 32], || Ok(Some(2)))?;
            Ok(other.map(|other| *other + 1))
        });
        assert_eq!(inner.unwrap().as_deref(), Some(&3));
    }

    #[test]
    fn what_could_not_be_read_is_read_again() {
        let pools = Pools::default();
        let failed = pools.get(&[1; 32], || Err::<Option<u8>, _>(Error::Closed));
        assert_eq!(failed.unwrap_err().code(), Error::Closed.code());
        assert_eq!(pools.get(&[1; 32], || Ok(None)).unwrap(), None);
        assert_eq!(pools.get(&[1; 32], || Ok(Some(5))).unwrap().as_deref(), Some(&5));
    }
}
