//! Figures of the program as users run it: real processes, a real disk, clients on the socket.
//!
//! `cargo bench -p tests --bench figures` prints a table; names after `--` choose parts of it
//! (`adds growing reads visible catch-up detection cut memory registering found gone heal
//! converting`). Beside each figure stands the disk's own fdatasync in the same run and directory,
//! because on shared machines only ratios mean something. `$FIGURES_DIR` says where the data goes;
//! `$FIGURES_SECONDS` how long each row takes.
#![expect(
    clippy::indexing_slicing,
    reason = "a benchmark that indexes wrongly shall end"
)]

mod converting;
#[path = "../../tests/processes/fleet.rs"]
#[expect(dead_code, reason = "shared with the tests, which need more of it")]
mod fleet;
#[path = "../../tests/processes/http.rs"]
#[expect(dead_code, reason = "shared with the tests, which need more of it")]
mod http;
#[path = "../../tests/processes/kept.rs"]
#[expect(dead_code, reason = "shared with the tests, which need more of it")]
mod kept;
mod lists;
mod load;
mod membership;
mod memory;
mod parts;
mod processes;
mod table;
mod usage;

use std::process::ExitCode;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"))
        .collect();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("figures: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(parts::run(&wanted)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("figures: {error:?}");
            ExitCode::FAILURE
        }
    }
}
