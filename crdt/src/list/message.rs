//! A change's message: who wrote it, and what it takes back.
//!
//! The first line is the author. Where the change undoes another one, or makes an undone one anew, a
//! second line says which: `undoes <hash>` or `redoes <hash>`. Where it writes anew what a document from
//! outside has changed, a line `merges <hash>` names each head of that. Other programs show the whole
//! message; what else stands on further lines is passed over here.

use names::ChangeHash;

/// Which change a change takes back, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// It stands for itself.
    Edit,
    /// It undoes that change.
    Undo(ChangeHash),
    /// It undoes that change, which undid another one.
    Redo(ChangeHash),
}

/// Writes a message.
pub(super) fn write(author: &str, act: Act) -> String {
    match act {
        Act::Edit => author.to_owned(),
        Act::Undo(hash) => format!("{author}\nundoes {hash}"),
        Act::Redo(hash) => format!("{author}\nredoes {hash}"),
    }
}

/// An author with the heads of a document that is merged in.
pub(super) fn merging(author: &str, heads: &[ChangeHash]) -> String {
    let lines = heads.iter().map(|hash| format!("\nmerges {hash}"));
    author.to_owned() + &lines.collect::<String>()
}

/// The heads of a document that the change has merged in.
pub(super) fn merged(message: &str) -> impl Iterator<Item = ChangeHash> {
    let lines = message.split('\n').skip(1);
    lines.filter_map(|line| line.strip_prefix("merges ")?.parse().ok())
}

/// The author.
pub(super) fn author(message: &str) -> &str {
    message.split('\n').next().unwrap_or_default()
}

/// What the change takes back. What this program does not understand is nothing.
pub(super) fn act(message: &str) -> Act {
    let line = message.split('\n').nth(1).unwrap_or_default();
    match line
        .split_once(' ')
        .map(|(verb, hash)| (verb, hash.parse()))
    {
        Some(("undoes", Ok(hash))) => Act::Undo(hash),
        Some(("redoes", Ok(hash))) => Act::Redo(hash),
        Some(_) | None => Act::Edit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let hash = ChangeHash([7; 32]);
        for wanted in [Act::Edit, Act::Undo(hash), Act::Redo(hash)] {
            let message = write("kim@node1", wanted);
            assert_eq!((author(&message), act(&message)), ("kim@node1", wanted));
        }
    }

    #[test]
    fn what_was_merged_reads_back() {
        let heads = [ChangeHash([7; 32]), ChangeHash([8; 32])];
        let message = merging("via kim@node1", &heads);
        assert_eq!(author(&message), "via kim@node1");
        assert_eq!(act(&message), Act::Edit);
        assert_eq!(merged(&message).collect::<Vec<_>>(), heads);
        assert_eq!(merged("merges 7\nundoes 8").count(), 0);
    }

    #[test]
    fn what_is_not_understood_stands_for_itself() {
        for message in [
            "",
            "kim",
            "kim\n",
            "kim\nundoes",
            "kim\nundoes 7",
            "kim\nkeeps a",
        ] {
            assert_eq!(act(message), Act::Edit, "{message:?}");
        }
        assert_eq!(author("kim\nundoes 7\nand more"), "kim");
    }
}
