//! Compiles native/kernels for the CPU, with the flags that make floats mean the same: no contraction.

fn main() {
    let kernels = "..";
    println!("cargo:rerun-if-changed={kernels}");
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .file(format!("{kernels}/host/shim.cc"))
        .include(kernels)
        .define("OPENLEDGER_HOST", None)
        .std("c++17")
        .opt_level(2)
        .flag("-ffp-contract=off")
        .flag("-Wno-unknown-pragmas")
        .flag("-Wno-unused-function");
    build.compile("openledger_kernels_host");
}
