//! Bytes that versions of this program have written, kept to be read back for ever.
//!
//! A file `golden/NAME.txt` has a line for each sample: its name and its bytes in hexadecimal
//! digits. A line is never changed: what has been written once lies on disks and comes from peers.
//! `UPDATE_GOLDEN=1 cargo test -p node` appends what is missing.

use crate::codec;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write};
use std::path::{Path, PathBuf};

/// Demands that each sample is written and read as the file says, and that the file has no other
/// lines.
pub(crate) fn check<T: PartialEq + Debug>(
    file: &str,
    samples: Vec<(&str, T)>,
    write: impl Fn(&T) -> Vec<u8>,
    read: impl Fn(&[u8]) -> Option<T>,
) {
    let path = path(file);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let mut lines: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    let mut missing = String::new();
    for (name, sample) in &samples {
        let written = hex(&write(sample));
        match lines.remove(name) {
            Some(bytes) => {
                assert_eq!(
                    read(&unhex(bytes)).as_ref(),
                    Some(sample),
                    "{name} in {file} is read \
                    otherwise"
                );
                assert_eq!(written, bytes, "{name} in {file} is written otherwise");
            }
            None => writeln!(missing, "{name} {written}").unwrap(),
        }
    }
    assert!(
        lines.is_empty(),
        "{file} has bytes that no sample stands for: {lines:?}"
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("{text}{missing}")).unwrap();
    } else {
        assert!(missing.is_empty(), "{file} lacks:\n{missing}");
    }
}

/// Demands that what earlier programs wrote, and this one writes otherwise, is read as it was meant.
pub(crate) fn check_old<T: PartialEq + Debug>(
    file: &str,
    samples: Vec<(&str, T)>,
    read: impl Fn(&[u8]) -> Option<T>,
) {
    let text = std::fs::read_to_string(path(file)).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let found: BTreeMap<&str, Option<T>> = lines
        .map(|(name, bytes)| (name, read(&unhex(bytes))))
        .collect();
    let expected = samples
        .into_iter()
        .map(|(name, sample)| (name, Some(sample)));
    assert_eq!(found, expected.collect(), "{file} is read otherwise");
}

/// Demands that there is a sample of each kind that an enum has: its tag stands at `at` in the
/// written bytes.
pub(crate) fn covers<T: DeserializeOwned>(
    file: &str,
    at: usize,
    written: impl IntoIterator<Item = Vec<u8>>,
) {
    let sampled: BTreeSet<u8> = written
        .into_iter()
        .filter_map(|bytes| bytes.get(at).copied())
        .collect();
    // A tag that is known leads into its fields, where these bytes are good or bad for another
    // reason.
    let is_known = |tag: &u8| {
        let bytes: Vec<u8> = std::iter::once(*tag).chain([0; 64]).collect();
        !codec::decode::<T>(&bytes)
            .is_err_and(|error| error.to_string().contains("expected variant index"))
    };
    assert_eq!(
        sampled,
        (0..=250).filter(is_known).collect(),
        "{file} lacks a kind"
    );
}

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(file)
        .with_extension("txt")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
