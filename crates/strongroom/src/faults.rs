//! The program with fail points, for the tests of rotations and leases: the same, built with the feature `failpoints`.

#[path = "main.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
