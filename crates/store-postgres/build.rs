//! New migrations must be noticed: they are embedded when the crate is built.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/postgres");
    println!("cargo:rerun-if-changed=../../migrations/next/postgres");
}
