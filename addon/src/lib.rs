//! The addon: the crate with its binding, which registers itself with Node.

extern crate signalloop;
