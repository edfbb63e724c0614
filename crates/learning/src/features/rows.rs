//! The rows of a series in one contiguous piece of memory.

use super::state::Row;
use std::ops::{Deref, DerefMut};

/// From this size on, memory is requested in large pages. A table of 130 000 rows has 12 000 small pages, and the
/// system takes as long to provide those one by one as it takes to compute all features. NumPy uses the same limit.
#[cfg(target_os = "linux")]
const LARGE_BYTES: usize = 4 << 20;

/// A table with a fixed number of rows, which can only be truncated. It is read as a slice of [`Row`].
#[derive(Debug)]
pub struct Rows {
    memory: Memory,
    len: usize,
}

#[derive(Debug)]
enum Memory {
    Heap(Vec<Row>),
    #[cfg(target_os = "linux")]
    Pages(memmap2::MmapMut),
}

impl Rows {
    /// A table of `len` rows of zeros.
    pub(super) fn zeros(len: usize) -> Self {
        #[cfg(target_os = "linux")]
        if let Some(pages) = large_pages(len * size_of::<Row>()) {
            return Self { memory: Memory::Pages(pages), len };
        }
        Self { memory: Memory::Heap(vec![[0.0; domain::features::COUNT]; len]), len }
    }

    /// Keeps the first `len` rows.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

/// Zeroed memory, in large pages where the system has them; `None` for less than [`LARGE_BYTES`], or if the request
/// fails.
#[cfg(target_os = "linux")]
fn large_pages(bytes: usize) -> Option<memmap2::MmapMut> {
    if bytes < LARGE_BYTES {
        return None;
    }
    let pages = memmap2::MmapMut::map_anon(bytes).ok()?;
    // Only a hint: a system without large pages gives small ones.
    let _ = pages.advise(memmap2::Advice::HugePage);
    Some(pages)
}

impl Deref for Rows {
    type Target = [Row];

    fn deref(&self) -> &[Row] {
        match &self.memory {
            Memory::Heap(rows) => &rows[..self.len],
            // A page is aligned for numbers, and the mapping has the requested length.
            #[cfg(target_os = "linux")]
            Memory::Pages(pages) => {
                zerocopy::FromBytes::ref_from_bytes(&pages[..self.len * size_of::<Row>()]).unwrap_or_default()
            }
        }
    }
}

impl DerefMut for Rows {
    fn deref_mut(&mut self) -> &mut [Row] {
        match &mut self.memory {
            Memory::Heap(rows) => &mut rows[..self.len],
            #[cfg(target_os = "linux")]
            Memory::Pages(pages) => {
                zerocopy::FromBytes::mut_from_bytes(&mut pages[..self.len * size_of::<Row>()]).unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::features::COUNT;

    #[test]
    fn small_and_large_tables_start_zeroed_and_keep_writes() {
        for len in [0, 1, 3000, 20_000] {
            let mut rows = Rows::zeros(len);
            assert_eq!(rows.len(), len);
            assert!(rows.iter().flatten().all(|value| value.to_bits() == 0));
            for (i, row) in rows.iter_mut().enumerate() {
                *row = [i as f64; COUNT];
            }
            assert!(rows.iter().enumerate().all(|(i, row)| *row == [i as f64; COUNT]));
            rows.truncate(len / 2);
            rows.truncate(len);
            assert_eq!(rows.len(), len / 2);
        }
    }
}
