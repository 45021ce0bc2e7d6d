//! The program of tomorrow, for the tests of an upgrade: the same, built with the feature `next-schema`. It has a name of
//! its own, so that both lie side by side.

#[path = "main.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
