//! A data directory as text, to be kept beside the tests.
//!
//! | line | is |
//! | --- | --- |
//! | `id HEX` | the id of the node that it belongs to |
//! | `answers JSON` | what the daemon that wrote it answered about it |
//! | `file PATH BYTES HEX` | a file: its length, and its bytes without the zeros at its end |

use anyhow::{Context, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// The bytes of each file, by its path below the directory.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) struct Directory {
    pub(crate) id: String,
    pub(crate) answers: Value,
    pub(crate) files: Files,
}

impl Directory {
    /// All files below a directory.
    pub(crate) fn read(dir: &Path) -> anyhow::Result<Files> {
        let mut files = Files::new();
        let mut dirs = vec![dir.to_owned()];
        while let Some(next) = dirs.pop() {
            for entry in std::fs::read_dir(next)? {
                let path = entry?.path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let name = path
                        .strip_prefix(dir)?
                        .to_str()
                        .context("a name in UTF-8")?
                        .to_owned();
                    files.insert(name, std::fs::read(&path)?);
                }
            }
        }
        Ok(files)
    }

    pub(crate) fn unpack(&self, dir: &Path) -> anyhow::Result<()> {
        for (name, bytes) in &self.files {
            let path = dir.join(name);
            std::fs::create_dir_all(path.parent().context("a file is in a directory")?)?;
            std::fs::write(path, bytes)?;
        }
        Ok(())
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = format!("id {}\nanswers {}\n", self.id, self.answers);
        for (name, bytes) in &self.files {
            let end = bytes
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last + 1);
            let digits: String = bytes[..end]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            writeln!(text, "file {name} {} {digits}", bytes.len())?;
        }
        Ok(std::fs::write(path, text)?)
    }

    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let mut directory = Self {
            id: String::new(),
            answers: Value::Null,
            files: Files::new(),
        };
        for line in std::fs::read_to_string(path)?.lines() {
            match line.split_once(' ').context("a line has two words")? {
                ("id", id) => id.clone_into(&mut directory.id),
                ("answers", json) => directory.answers = serde_json::from_str(json)?,
                ("file", file) => {
                    let mut words = file.split(' ');
                    let (name, length, digits) =
                        (words.next(), words.next(), words.next().unwrap_or_default());
                    let mut bytes = digits
                        .as_bytes()
                        .chunks(2)
                        .map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?))
                        .collect::<anyhow::Result<Vec<u8>>>()?;
                    bytes.resize(length.context("a length")?.parse()?, 0);
                    directory
                        .files
                        .insert(name.context("a name")?.to_owned(), bytes);
                }
                (other, _) => bail!("a line of another kind: {other}"),
            }
        }
        Ok(directory)
    }
}
