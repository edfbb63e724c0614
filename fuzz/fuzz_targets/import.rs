#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| signalloop_fuzz::import::run(bytes));
