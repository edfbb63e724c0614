//! Packs what the report's page brings along: a third of its bytes then, which are bytes of the addon. For Node, has the binding
//! compiled anew where `napi build` lacks the types that compiling it writes; the linker flags are `addon/build.rs`.

use std::path::Path;
use std::{env, fs, io};

const STYLE: [&str; 2] = ["uplot/uPlot.min.css", "page.css"];
const SCRIPT: [&str; 7] =
    ["uplot/LICENSE", "uplot/uPlot.iife.min.js", "format.js", "charts.js", "signals.js", "home.js", "page.js"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=src/report/assets");
    pack("page.css", &STYLE.iter().map(|name| asset(name)).collect::<io::Result<String>>()?)?;
    let [licence, uplot, own @ ..] = SCRIPT;
    let mut script = format!("'use strict'\n/* uPlot 1.6.32\n{}*/\n{}\n", asset(licence)?, asset(uplot)?);
    for name in own {
        script += &asset(name)?;
    }
    pack("page.js", &script)?;
    if env::var_os("CARGO_FEATURE_NODE").is_some() {
        println!("cargo::rerun-if-env-changed=NAPI_TYPE_DEF_TMP_FOLDER");
        println!("cargo::rerun-if-env-changed=NAPI_FORCE_BUILD_SIGNALLOOP");
        // What napi's macros ask of the target.
        println!("cargo::rustc-check-cfg=cfg(napi_wasi_threads)");
        println!("cargo::rustc-check-cfg=cfg(napi_wasi_no_heap_sync)");
    }
    Ok(())
}

fn asset(name: &str) -> io::Result<String> {
    fs::read_to_string(Path::new("src/report/assets").join(name))
}

fn pack(name: &str, text: &str) -> io::Result<()> {
    let folder = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(Path::new(&folder).join(name), miniz_oxide::deflate::compress_to_vec(text.as_bytes(), 10))
}
