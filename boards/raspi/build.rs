//! Tells the linker where things lie, from whatever folder the board is built.

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo:rerun-if-changed=link.ld");
    println!("cargo:rerun-if-changed=src/boot.s");
    println!("cargo:rerun-if-changed=src/vectors.s");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none") {
        println!("cargo:rustc-link-arg-bins=-T{folder}/link.ld");
        // The texts of log frames, which stay in the ELF file and never reach the board.
        println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
    }
}
