//! Titles from standard input, one a line.

use formats::Bad;
use std::io::Read;

/// The most that is read.
const MAX_BYTES: u64 = 64 << 20;

/// A title and the line that it stands on, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Title {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// All titles, and the lines that can be none. White space around a title, empty lines and the mark
/// that editors of Windows begin a file with are left out; a tab within a title is a space.
pub(crate) fn read(input: &mut impl Read) -> Result<(Vec<Title>, Vec<Bad>), String> {
    let mut bytes = Vec::new();
    input
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("standard input: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("standard input has more than {MAX_BYTES} bytes"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let (mut titles, mut bad) = (Vec::new(), Vec::new());
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line_number = number + 1;
        match std::str::from_utf8(line) {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => titles.push(Title {
                line: line_number,
                text: text.trim().replace('\t', " "),
            }),
            Err(_) => bad.push(Bad {
                line: line_number,
                why: "it is not UTF-8".to_owned(),
            }),
        }
    }
    Ok((titles, bad))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(mut input: &[u8]) -> Vec<(usize, String)> {
        let (titles, bad) = read(&mut input).unwrap();
        assert_eq!(bad, []);
        titles.into_iter().map(|one| (one.line, one.text)).collect()
    }

    #[test]
    fn each_line_is_a_title() {
        let read = titles(b"\xef\xbb\xbf  milk \r\n\n\t\ncall\tbob");
        assert_eq!(read, [(1, "milk".to_owned()), (4, "call bob".to_owned())]);
        assert_eq!(titles(b"\n\n"), []);
    }

    #[test]
    fn what_cannot_be_titles_is_told_with_its_line() {
        let (titles, bad) = read(&mut &b"a\nb\xff\nc\n"[..]).unwrap();
        assert_eq!((titles.len(), bad.len(), bad[0].line), (2, 1, 2));
        let endless = std::io::repeat(b'x');
        assert!(read(&mut { endless }).is_err());
    }
}
