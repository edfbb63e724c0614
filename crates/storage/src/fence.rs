//! Writes that only the holder of a lease may make.

/// The lease that the writer claims to hold. Tokens grow with each new holder, so writes of a former holder are rejected, even if
/// it was stopped or disconnected and does not know that it lost the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The lease's name.
    pub name: String,
    /// The holder's token.
    pub token: i64,
}
