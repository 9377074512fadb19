//! Titles from standard input, one a line, in batches that a request can hold.

use std::io::BufRead;

/// The most entries in one request: a batch is one change of the list, all or nothing.
const MAX_BATCH: usize = 1_000;
/// The most bytes of titles in one request; with their names and quotes they stay below 1 MiB.
const MAX_BATCH_BYTES: usize = 256 << 10;
/// Longer than any title may be: the daemon says so in its words.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// The next batch of titles; empty at the end of the input. White space around a title and empty
/// lines are left out.
pub(crate) fn next_batch(input: &mut impl BufRead) -> Result<Vec<String>, String> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while batch.len() < MAX_BATCH && bytes < MAX_BATCH_BYTES {
        let Some(line) = next_line(input)? else { break };
        let title = line.trim();
        if !title.is_empty() {
            bytes += title.len();
            batch.push(title.to_owned());
        }
    }
    Ok(batch)
}

fn next_line(input: &mut impl BufRead) -> Result<Option<String>, String> {
    let mut line = Vec::new();
    let read = std::io::Read::take(&mut *input, MAX_LINE_BYTES)
        .read_until(b'\n', &mut line)
        .map_err(|error| format!("standard input: {error}"))?;
    if read == 0 {
        return Ok(None);
    }
    if !line.ends_with(b"\n") && line.len() as u64 == MAX_LINE_BYTES {
        return Err(format!(
            "standard input has a line of more than {MAX_LINE_BYTES} bytes"
        ));
    }
    String::from_utf8(line).map(Some).map_err(|_| {
        "standard input has a line that is not \
        UTF-8"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(mut input: &[u8]) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        loop {
            let batch = next_batch(&mut input).unwrap();
            if batch.is_empty() {
                return all;
            }
            all.push(batch);
        }
    }

    #[test]
    fn each_line_is_a_title() {
        assert_eq!(batches(b"  milk \r\n\n\t\nbread"), [["milk", "bread"]]);
        assert!(batches(b"\n\n").is_empty());
    }

    #[test]
    fn much_comes_in_batches_and_in_order() {
        let text: String = (0..2_500).map(|n| format!("{n}\n")).collect();
        let batches = batches(text.as_bytes());
        assert_eq!(
            batches.iter().map(Vec::len).collect::<Vec<_>>(),
            [1000, 1000, 500]
        );
        assert!(
            batches
                .concat()
                .iter()
                .enumerate()
                .all(|(n, title)| *title == n.to_string())
        );
        let long = format!("{}\n", "x".repeat(4096)).repeat(100);
        assert!(self::batches(long.as_bytes()).len() > 1);
    }

    #[test]
    fn what_cannot_be_titles_is_refused() {
        assert!(next_batch(&mut &b"a\xff\n"[..]).is_err());
        assert!(next_batch(&mut "x".repeat(100_000).as_bytes()).is_err());
    }
}
