//! The settings in words: the help of the flags, the commented example file and the manual page,
//! from the same keys.

use super::keys::{Applies, Default, KEYS, Key, Kind, TABLES, table_about};
use crate::version;

/// The columns of the example file.
const WIDTH: usize = 100;

/// A flag's help in one line, and in full.
pub(super) fn for_help(key: &Key) -> (String, String) {
    let short = format!("{} [default: {}]", key.help, default(key));
    let more = if key.more.is_empty() {
        String::new()
    } else {
        format!(". {}", key.more.trim_end_matches('.'))
    };
    (
        short,
        format!(
            "{}{more}. {}: {}. Default: \
        {}",
            key.help,
            what(key),
            key.right(),
            default(key)
        ),
    )
}

/// The commented example file.
pub(super) fn example() -> String {
    let mut text = String::new();
    comment(
        &mut text,
        "The settings of musterd; muster.toml(5) describes them all.",
    );
    comment(
        &mut text,
        "Each one can also be given in the environment (MUSTERD_QUIC__LISTEN) or as a flag \
            (--quic-listen); a flag goes before the \
         environment, and that before this file. What is commented out shows the default, or an \
            example where there is none. \
         Paths are relative to this file. \"musterd --check-config\" tells mistakes, \"muster \
            reload\" applies what can be applied \
         without a restart.",
    );
    for (table, about) in TABLES {
        if !table.is_empty() {
            text.push('\n');
            comment(&mut text, about);
            text.push_str(&format!("[{table}]\n"));
        }
        for key in KEYS
            .iter()
            .filter(|key| key.table == *table && key.in_example)
        {
            text.push('\n');
            comment(&mut text, &sentences(key));
            text.push_str(&format!("#{} = {}\n", key.name, in_file(key)));
        }
    }
    text
}

/// The manual page `muster.toml(5)`, in roff.
pub(crate) fn manual() -> String {
    let (built, source) = (version::built(), version::source());
    let mut page = format!(
        ".TH MUSTER.TOML 5 \"{built}\" \"{source}\" \"File formats\"\n.SH NAME\n\
         muster.toml \\- the settings of musterd\n.SH SYNOPSIS\n/etc/muster/muster.toml\n.SH \
            DESCRIPTION\n",
    );
    page.push_str(&roff(
        "A file in TOML with the settings below, all of which may be left out. musterd reads the \
            file that --config names, else the \
         one that $MUSTERD_CONFIG names, else /etc/muster/muster.toml where it exists. A flag \
            goes before the environment, the \
         environment before the file, the file before the default. Paths in the file are relative \
            to it. A key that musterd does not \
         know is refused.",
    ));
    page.push_str(".PP\n");
    page.push_str(&roff(
        "\"musterd --check-config\" tells whether all is well, without starting a node. \"muster reload\" and SIGHUP read the file again and answer what took effect and \
        what needs a restart; if there is a mistake, nothing is changed.",
    ));
    for (table, _) in TABLES {
        let title = if table.is_empty() {
            "TOP LEVEL".to_owned()
        } else {
            format!("[{table}]")
        };
        page.push_str(&format!(
            ".SH {}\n{}",
            escape(&title),
            roff(table_about(table))
        ));
        KEYS.iter()
            .filter(|key| key.table == *table)
            .for_each(|key| page.push_str(&manual_entry(key)));
    }
    page.push_str(
        ".SH FILES\n.TP\n/etc/muster/muster.toml\nRead when no other file is \
        named.\n.SH SEE ALSO\nmuster(1), musterd(8)\n",
    );
    page
}

fn manual_entry(key: &Key) -> String {
    let places = roff(&format!(
        "Flag --{}, variable {}.",
        key.flag(),
        key.variable()
    ));
    format!(
        ".TP\n.BR {}\n{}.br\n{places}",
        escape(key.name),
        roff(&sentences(key))
    )
}

/// All that is to be known about a key.
fn sentences(key: &Key) -> String {
    let more = if key.more.is_empty() {
        String::new()
    } else {
        format!(" {}", key.more)
    };
    let applies = match key.applies {
        Applies::AtReload => "A change takes effect at a reload.",
        Applies::AtRestart => "A change needs a restart.",
    };
    format!(
        "{}.{more} {}: {}. Default: {}. \
        {applies}",
        key.help,
        what(key),
        key.right(),
        default(key)
    )
}

fn what(key: &Key) -> &'static str {
    if key.kind == Kind::List {
        "Each"
    } else {
        "Value"
    }
}

fn default(key: &Key) -> String {
    match key.default {
        Default::Text(text) | Default::Words(text) => text.to_owned(),
        Default::Place(place) => {
            let home = if place.below_home.is_empty() {
                String::new()
            } else {
                format!(" (without it ~/{})", place.below_home)
            };
            let service = if place.in_service.is_empty() {
                String::new()
            } else {
                format!("/{}", place.in_service)
            };
            let root = format!(
                "${}{service} where systemd sets that, else {} for \
                root",
                place.service, place.root
            );
            format!("{root}, else {} in ${}{home}", place.file, place.variable)
        }
    }
}

/// A value as a file has it: the default, or an example.
fn in_file(key: &Key) -> String {
    match (key.default, key.kind) {
        (Default::Text(text), Kind::Switch | Kind::Number(..)) => text.to_owned(),
        (Default::Text(text), Kind::Text | Kind::Path | Kind::List | Kind::Time(..)) => {
            format!("\"{text}\"")
        }
        (Default::Place(place), _) => format!("\"{}\"", place.root),
        (Default::Words(_), _) => key.example.to_owned(),
    }
}

/// Appends a comment, in lines of at most [`WIDTH`] columns.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push_str("\n#");
            line.clear();
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// One paragraph; a sentence a line, as roff wants it.
fn roff(words: &str) -> String {
    words
        .split_inclusive(". ")
        .map(|sentence| format!("{}\n", escape(sentence.trim())))
        .collect()
}

/// Roff takes a backslash, a dash and a dot or quote that begins a line for its own.
fn escape(words: &str) -> String {
    let words = words
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('…', "\\(el");
    if words.starts_with(['.', '\'']) {
        format!("\\&{words}")
    } else {
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file;
    use std::path::{Path, PathBuf};

    #[test]
    fn the_example_is_that_of_the_keys() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("packaging/muster.toml");
        if std::env::var_os("UPDATE_PACKAGING").is_some() {
            std::fs::write(&path, example()).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == example(),
            "{} is not what the keys say: UPDATE_PACKAGING=1 cargo test -p \
            muster describe",
            path.display()
        );
    }

    #[test]
    fn every_key_is_described() {
        for key in KEYS {
            let (short, long) = for_help(key);
            assert!(
                !key.help.is_empty() && short.starts_with(key.help) && long.contains(&key.right()),
                "{long}"
            );
            assert!(
                matches!(key.default, Default::Words(_)) != key.example.is_empty(),
                "{}",
                key.dotted()
            );
            let manual = manual().replace("\\-", "-");
            assert!(
                manual.contains(key.help) && manual.contains(key.name),
                "{}",
                key.dotted()
            );
            let setting = format!("\n#{} = ", key.name);
            assert_eq!(
                example().contains(key.help) && example().contains(&setting),
                key.in_example,
                "{}",
                key.dotted()
            );
            assert!(
                TABLES.iter().any(|(table, _)| *table == key.table),
                "{}",
                key.dotted()
            );
        }
    }

    #[test]
    fn the_example_sets_nothing_and_its_values_are_right() {
        let mut mistakes = Vec::new();
        let path = Path::new("/etc/muster/muster.toml");
        let none = file::parse(&example(), path, &mut mistakes);
        assert!(
            KEYS.iter().all(|key| none.get(&key.dotted()).is_none()) && mistakes.is_empty(),
            "{mistakes:?}"
        );
        let uncommented: String = example()
            .lines()
            .map(|line| uncomment(line) + "\n")
            .collect();
        let all = file::parse(&uncommented, path, &mut mistakes);
        assert!(
            KEYS.iter()
                .all(|key| all.get(&key.dotted()).is_some() == key.in_example)
                && mistakes.is_empty(),
            "{mistakes:?}\n{uncommented}"
        );
    }

    fn uncomment(line: &str) -> String {
        line.strip_prefix('#')
            .filter(|rest| !rest.starts_with(' '))
            .unwrap_or(line)
            .to_owned()
    }
}
