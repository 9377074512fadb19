//! Tables: aligned and coloured for people, tabs between the fields for programs.

use super::text::printable;
use unicode_width::UnicodeWidthStr;

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
    header: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table with these columns.
    pub(crate) fn new(header: &'static [&'static str]) -> Self {
        Self {
            header,
            rows: Vec::new(),
        }
    }

    /// Adds a record: a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// All lines, each with its end; nothing when there is no record.
    pub(crate) fn render(&self, layout: Layout) -> String {
        match layout {
            Layout::Plain => self.rows.iter().map(|row| plain(row)).collect(),
            Layout::Aligned { .. } if self.rows.is_empty() => String::new(),
            Layout::Aligned { colour } => self.aligned(colour),
        }
    }

    fn aligned(&self, colour: bool) -> String {
        let widths = self.widths();
        let header = self.header.iter().map(|name| Cell {
            text: (*name).to_owned(),
            paint: Some(Paint::Dim),
        });
        let header: Vec<Cell> = header.collect();
        std::iter::once(&header)
            .chain(&self.rows)
            .map(|row| line(row, &widths, colour))
            .collect()
    }

    /// Each column's width; `None` for one that is empty in every record.
    fn widths(&self) -> Vec<Option<usize>> {
        let mut widths = vec![0; self.header.len()];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let with_header =
            |(width, name): (usize, &&str)| (width > 0).then(|| width.max(name.width()));
        widths
            .into_iter()
            .zip(self.header)
            .map(with_header)
            .collect()
    }
}

fn plain(row: &[Cell]) -> String {
    let fields: Vec<&str> = row.iter().map(|cell| cell.text.as_str()).collect();
    format!("{}\n", fields.join("\t"))
}

fn line(row: &[Cell], widths: &[Option<usize>], colour: bool) -> String {
    let mut line = String::new();
    // Spaces are written before the next cell, not after the last one: no line ends in white space.
    let mut gap = 0;
    for (cell, width) in row.iter().zip(widths) {
        let Some(width) = width else { continue };
        if !cell.text.is_empty() {
            line.push_str(&" ".repeat(gap));
            match cell.paint.filter(|_| colour) {
                Some(paint) => line.push_str(&paint.on(&cell.text)),
                None => line.push_str(&cell.text),
            }
            gap = 0;
        }
        gap += width.saturating_sub(cell.text.width()) + 2;
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn people_get_columns_of_equal_width() {
        let expected = "NAME     STATE  TAGS\n日本     down   x\na\\u{9}b  alive\n";
        assert_eq!(table().render(Layout::Aligned { colour: false }), expected);
    }

    #[test]
    fn colours_do_not_shift_columns() {
        let coloured = table().render(Layout::Aligned { colour: true });
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
    fn nothing_is_printed_as_nothing() {
        let empty = Table::new(&["NAME"]);
        assert_eq!(
            (
                empty.render(Layout::Plain),
                empty.render(Layout::Aligned { colour: true })
            ),
            (String::new(), String::new())
        );
    }
}
