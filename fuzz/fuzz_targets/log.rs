#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| signalloop_fuzz::log::run(bytes));
