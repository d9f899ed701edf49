//! `bindgen MODULE FOLDER` writes MODULE and the JavaScript and types around it to FOLDER, under the name `driblet`.
//!
//! zstd-sys exports what its C code takes for a C library. JavaScript has no use for that: what only those exports hold, some sorts among
//! it, is a tenth of the module, and goes.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use walrus::ModuleConfig;
use wasm_bindgen_cli_support::Bindgen;

/// What the exports begin with that nobody calls.
const SHIM: &str = "rust_zstd_wasm_shim_";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [module, folder] = arguments.as_slice() else {
        eprintln!("usage: bindgen MODULE FOLDER");
        return ExitCode::from(2);
    };
    match generate(module.as_ref(), folder.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn generate(path: &Path, folder: &Path) -> anyhow::Result<()> {
    let mut module = ModuleConfig::new().parse_file(path)?;
    let unused: Vec<_> = module.exports.iter().filter(|export| export.name.starts_with(SHIM)).map(|export| export.id()).collect();
    unused.into_iter().for_each(|export| module.exports.delete(export));
    let mut bindgen = Bindgen::new();
    bindgen.input_module("driblet", module).typescript(true).remove_name_section(true).remove_producers_section(true);
    bindgen.web(true)?.generate(folder)
}
