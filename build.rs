//! Sets the linker flags of the Node addon.

fn main() {
    // The linker flags a Node addon needs; without the `node` feature there is no addon to link.
    if std::env::var_os("CARGO_FEATURE_NODE").is_some() {
        napi_build::setup();
    }
}
