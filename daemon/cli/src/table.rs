//! Tables: aligned and coloured for people, tabs between the fields for programs.

use crate::text::printable;
use std::borrow::Cow;
use unicode_width::UnicodeWidthStr;

/// Between two columns.
const GAP: usize = 2;
/// What a column that may be cut keeps while there are others to be left out.
const MIN_WIDTH: usize = 12;

/// How a cell stands out at a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

impl Paint {
    /// The text in this colour (ECMA-48, select graphic rendition).
    pub(crate) fn on(self, text: &str) -> String {
        let code = match self {
            Self::Bold => 1,
            Self::Dim => 2,
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// How tables are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One record a line, tabs between the fields, no header.
    Plain,
    /// Columns with a header; columns that are empty throughout are left out.
    Aligned {
        /// Whether to colour.
        colour: bool,
        /// How many columns the terminal has, if it says so.
        width: Option<usize>,
    },
}

/// One field of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    paint: Option<Paint>,
}

impl Cell {
    /// A field that stands out.
    pub(crate) fn painted(text: &str, paint: Paint) -> Self {
        Self {
            text: printable(text),
            paint: Some(paint),
        }
    }
}

#[cfg(test)]
impl Cell {
    /// How many columns it takes.
    pub(crate) fn width(&self) -> usize {
        self.text.width()
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: printable(text.as_ref()),
            paint: None,
        }
    }
}

/// Records with the same fields.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    header: Vec<Cow<'static, str>>,
    rows: Vec<Vec<Cell>>,
    cut: &'static [&'static str],
    spare: &'static [&'static str],
    for_people: &'static [&'static str],
}

impl Table {
    /// An empty table with these columns.
    pub(crate) fn new(header: &'static [&'static str]) -> Self {
        Self::with_columns(header.iter().copied())
    }

    /// An empty table with columns that are known only now.
    pub(crate) fn with_columns(
        header: impl IntoIterator<Item = impl Into<Cow<'static, str>>>,
    ) -> Self {
        Self {
            header: header.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
            cut: &[],
            spare: &[],
            for_people: &[],
        }
    }

    /// On a terminal that is too narrow the texts of these columns are cut, the longest first.
    pub(crate) fn cut(mut self, columns: &'static [&'static str]) -> Self {
        self.cut = columns;
        self
    }

    /// Where that is not enough, these columns are left out, the first one first.
    pub(crate) fn spare(mut self, columns: &'static [&'static str]) -> Self {
        self.spare = columns;
        self
    }

    /// These columns are not printed in a pipe: they came when scripts already counted the others.
    pub(crate) fn for_people(mut self, columns: &'static [&'static str]) -> Self {
        self.for_people = columns;
        self
    }

    /// Adds a record: a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// All lines, each with its end; without a record only the header, for people.
    pub(crate) fn render(&self, layout: Layout) -> String {
        match layout {
            Layout::Plain => self.rows.iter().map(|row| self.plain(row)).collect(),
            Layout::Aligned { colour, width } => self.aligned(colour, width),
        }
    }

    fn plain(&self, row: &[Cell]) -> String {
        let columns = self.header.iter().zip(row);
        let fields: Vec<&str> = columns
            .filter(|(name, _)| !self.for_people.contains(&&***name))
            .map(|(_, cell)| cell.text.as_str())
            .collect();
        format!("{}\n", fields.join("\t"))
    }

    fn aligned(&self, colour: bool, terminal: Option<usize>) -> String {
        let mut widths = self.widths();
        if let Some(terminal) = terminal {
            self.fit(&mut widths, terminal);
        }
        let header = self.header.iter().map(|name| Cell {
            text: printable(name),
            paint: Some(Paint::Dim),
        });
        let header: Vec<Cell> = header.collect();
        std::iter::once(&header)
            .chain(&self.rows)
            .map(|row| line(row, &widths, colour))
            .collect()
    }

    /// Each column's width; `None` for one that is empty in every record, if there is a record.
    fn widths(&self) -> Vec<Option<usize>> {
        let mut widths = vec![0; self.header.len()];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let with_header = |(width, name): (usize, &Cow<'static, str>)| {
            let is_shown = width > 0 || self.rows.is_empty();
            is_shown.then(|| width.max(name.width()))
        };
        widths
            .into_iter()
            .zip(&self.header)
            .map(with_header)
            .collect()
    }

    /// Makes the lines as long as the terminal is wide, as far as the columns allow.
    fn fit(&self, widths: &mut [Option<usize>], terminal: usize) {
        self.narrow(widths, terminal, MIN_WIDTH);
        for spare in self.spare {
            if line_width(widths) <= terminal {
                return;
            }
            for (width, name) in widths.iter_mut().zip(&self.header) {
                if name == spare {
                    *width = None;
                }
            }
        }
        self.narrow(widths, terminal, 1);
    }

    /// Takes from the widest column that may be cut, again and again.
    fn narrow(&self, widths: &mut [Option<usize>], terminal: usize, least: usize) {
        while line_width(widths) > terminal {
            let columns = widths.iter_mut().zip(&self.header);
            let may_be_cut = columns.filter(|(_, name)| self.cut.contains(&&***name));
            let widest = may_be_cut.filter_map(|(width, _)| width.as_mut()).max();
            match widest {
                Some(width) if *width > least => *width -= 1,
                Some(_) | None => return,
            }
        }
    }
}

/// How wide a line of such columns is.
fn line_width(widths: &[Option<usize>]) -> usize {
    let shown = widths.iter().flatten();
    (shown.clone().sum::<usize>() + shown.count() * GAP).saturating_sub(GAP)
}

/// The text, cut with an ellipsis if it takes more columns than there are.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let fits = |end: &usize| text.get(..*end).is_some_and(|start| start.width() <= room);
    let ends = text.char_indices().map(|(start, c)| start + c.len_utf8());
    let end = ends.take_while(fits).last().unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// The text in exactly so many columns.
pub(crate) fn padded(text: &str, width: usize) -> String {
    let mut text = shortened(text, width);
    text.push_str(&" ".repeat(width.saturating_sub(text.width())));
    text
}

fn line(row: &[Cell], widths: &[Option<usize>], colour: bool) -> String {
    let mut line = String::new();
    // Spaces are written before the next cell, not after the last one: no line ends in white space.
    let mut gap = 0;
    for (cell, width) in row.iter().zip(widths) {
        let Some(width) = width else { continue };
        let text = shortened(&cell.text, *width);
        if !text.is_empty() {
            line.push_str(&" ".repeat(gap));
            match cell.paint.filter(|_| colour) {
                Some(paint) => line.push_str(&paint.on(&text)),
                None => line.push_str(&text),
            }
            gap = 0;
        }
        gap += width.saturating_sub(text.width()) + GAP;
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Layout = Layout::Aligned {
        colour: false,
        width: None,
    };
    const COLOURED: Layout = Layout::Aligned {
        colour: true,
        width: None,
    };

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "NOTE", "STATE", "TAGS"]);
        table.row([
            "日本".into(),
            Cell::default(),
            Cell::painted("down", Paint::Red),
            "x".into(),
        ]);
        table.row([
            "a\tb".into(),
            Cell::default(),
            "alive".into(),
            Cell::default(),
        ]);
        table
    }

    #[test]
    fn a_pipe_keeps_the_columns_that_scripts_count() {
        let mut table = Table::new(&["A", "NEW", "B"]).for_people(&["NEW"]);
        table.row(["1".into(), "x".into(), "2".into()]);
        assert_eq!(table.render(Layout::Plain), "1\t2\n");
        let terminal = Layout::Aligned {
            colour: false,
            width: None,
        };
        assert_eq!(table.render(terminal), "A  NEW  B\n1  x    2\n");
    }

    #[test]
    fn people_get_columns_of_equal_width() {
        let expected = "NAME     STATE  TAGS\n日本     down   x\na\\u{9}b  alive\n";
        assert_eq!(table().render(WIDE), expected);
    }

    #[test]
    fn colours_do_not_shift_columns() {
        let coloured = table().render(COLOURED);
        assert!(
            coloured.contains("日本     \u{1b}[31mdown\u{1b}[0m   x\n"),
            "{coloured:?}"
        );
    }

    #[test]
    fn programs_get_tabs_and_every_field() {
        assert_eq!(
            table().render(Layout::Plain),
            "日本\t\tdown\tx\na\\u{9}b\t\talive\t\n"
        );
    }

    #[test]
    fn people_see_of_what_there_is_nothing() {
        let empty = Table::new(&["NAME", "STATE"]);
        assert_eq!(empty.render(Layout::Plain), "");
        assert_eq!(empty.render(WIDE), "NAME  STATE\n");
    }

    #[test]
    fn a_long_title_is_cut_at_a_terminal_and_never_in_a_pipe() {
        let mut table = Table::new(&["ID", "TITLE", "DUE", "TAGS"])
            .cut(&["TITLE", "TAGS"])
            .spare(&["TAGS"]);
        let long = "lang ".repeat(200);
        table.row(["ABC", &long, "2026-06-08", "a,b"].map(Cell::from));
        table.row(["ABD", "日本語のタスク", "2026-06-08", ""].map(Cell::from));
        for terminal in [80, 40, 30] {
            let narrow = Layout::Aligned {
                colour: false,
                width: Some(terminal),
            };
            let text = table.render(narrow);
            assert_eq!(text.lines().count(), 3, "{text}");
            for line in text.lines() {
                assert!(line.width() <= terminal, "{terminal}: {line}");
                let due = line.find("2026-06-08").map(|at| line[..at].width());
                let first = text.find("DUE").map(|at| text[..at].width());
                assert!(due.is_none_or(|due| Some(due) == first), "{text}");
            }
            assert_eq!(text.contains("TAGS"), terminal > 30, "{text}");
            assert!(text.contains('…'), "{text}");
        }
        assert!(table.render(Layout::Plain).contains(&long));
        // Nothing can be read there, and nothing breaks.
        for terminal in [0, 1, 10] {
            let narrow = Layout::Aligned {
                colour: false,
                width: Some(terminal),
            };
            assert_eq!(table.render(narrow).lines().count(), 3);
        }
    }

    #[test]
    fn a_text_is_cut_between_characters_as_wide_as_they_are() {
        let cuts = ["plain", "日本語", "e\u{301}te\u{301}s", "x"].map(|text| shortened(text, 3));
        assert_eq!(cuts, ["pl…", "日…", "e\u{301}t…", "x"]);
        assert_eq!(padded("日本", 5), "日本 ");
    }
}
