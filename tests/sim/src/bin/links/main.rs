//! Prints how soon nodes find each other, see a death and come together again, and how quiet they are,
//! over links of several kinds. Time is virtual: the figures are the same on every machine.
//!
//! ```text
//! links [--seeds N] [ROW …]      of these rows: join, crash, many, alone, heal, quiet, rest
//! ```

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a program that measures may panic"
)]

mod cluster;
mod rows;

use std::process::ExitCode;

const USAGE: &str =
    "usage: links [--seeds N] [ROW ...], of: join, crash, many, alone, heal, quiet, rest";

/// As in the daemon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Prints one kind of figures, from so many seeds.
type Row = fn(u64);

const ROWS: [(&str, Row); 7] = [
    ("join", rows::join),
    ("crash", rows::crash),
    ("many", rows::many),
    ("alone", rows::alone),
    ("heal", rows::heal),
    ("quiet", rows::quiet),
    ("rest", rows::rest),
];

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok((seeds, chosen)) => {
            chosen.into_iter().for_each(|row| row(seeds));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<(u64, Vec<Row>), String> {
    let (mut seeds, mut chosen) = (20, Vec::new());
    while let Some(word) = words.next() {
        if word == "--seeds" {
            let value = words.next().and_then(|value| value.parse().ok());
            seeds = value.ok_or("--seeds needs a number")?;
        } else {
            let row = ROWS.iter().find(|(name, _)| *name == word);
            let (_, row) = row.ok_or_else(|| format!("there is no row {word:?}"))?;
            chosen.push(*row);
        }
    }
    if chosen.is_empty() {
        chosen = ROWS.iter().map(|(_, row)| *row).collect();
    }
    Ok((seeds, chosen))
}
