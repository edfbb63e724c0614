//! The key of a signal: a hash of its id.

use std::fmt;
use std::hash::Hasher;

/// The 128-bit FNV-1a hash of a signal's id. Memory keeps it instead of the id.
///
/// Source: Fowler, Noll, Vo, RFC 9923. Must stay stable across versions, because snapshots contain it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignalKey(pub u64, pub u64);

impl fmt::Display for SignalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0, self.1)
    }
}

impl SignalKey {
    /// The key of the signal with this id.
    pub fn of(id: &str) -> Self {
        Self::of_bytes(id.as_bytes())
    }

    /// The same hash of any bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        let hash = bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME));
        Self((hash >> 64) as u64, hash as u64)
    }
}

/// A hasher for [`SignalKey`]s, which are hashes already.
#[derive(Default)]
pub struct SignalKeyHasher(u64);

impl Hasher for SignalKeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }
    fn write_u64(&mut self, part: u64) {
        // The low half of an FNV hash mixes poorly into the high bits, and the hash table uses both ends.
        self.0 = (self.0.rotate_left(32) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
