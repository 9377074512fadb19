//! Lists of things, a page at a time.

use crate::http::problem::Problem;
use crate::http::query::Group;
use api::page::PageQuery;
use axum::response::Response;
use serde::Serialize;

/// A page ends here even if fewer things than `limit` are in it, so that a client that reads slowly
/// holds little memory.
const MAX_PAGE_BYTES: usize = 1 << 20;
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// Which page a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// How many things at most.
    pub(crate) limit: usize,
    /// The key of the last thing that it has seen.
    pub(crate) after: Option<Vec<u8>>,
}

impl Group for Page {
    type Written = PageQuery;

    fn check(written: PageQuery) -> Result<Self, Problem> {
        let limit = match written.limit {
            None => DEFAULT_LIMIT,
            Some(limit) => check_limit(limit)?,
        };
        let after = written.cursor.map(|text| parse_cursor(&text)).transpose()?;
        Ok(Self { limit, after })
    }
}

impl Page {
    /// The text that a cursor holds, where keys are text.
    pub(crate) fn after_text(&self) -> Result<Option<&str>, Problem> {
        self.after
            .as_deref()
            .map(|key| std::str::from_utf8(key).map_err(|_| bad_cursor()))
            .transpose()
    }
}

fn check_limit(limit: u32) -> Result<usize, Problem> {
    let limit = limit as usize;
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    let detail = format!("\"limit\" is {limit}; it must be from 1 to {MAX_LIMIT}");
    Err(Problem::invalid(detail))
}

/// The answer to a cursor that this node did not make.
pub(crate) fn bad_cursor() -> Problem {
    Problem::malformed("\"cursor\" is not one that this call gave as \"next\"")
}

fn parse_cursor(text: &str) -> Result<Vec<u8>, Problem> {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    let key: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
    key.filter(|key| !key.is_empty()).ok_or_else(bad_cursor)
}

/// What is written of the key of a cursor.
pub(crate) fn cursor(key: &[u8]) -> String {
    use std::fmt::Write;
    key.iter()
        .fold(String::with_capacity(2 * key.len()), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Writes `{"items": […], "next": …}` straight to bytes.
#[derive(Debug)]
pub(crate) struct PageWriter {
    body: Vec<u8>,
    items: usize,
    limit: usize,
    last: Vec<u8>,
    next: Option<String>,
}

/// Whether a page takes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It does.
    Left,
    /// There is at least one thing more than fits.
    Full,
}

impl PageWriter {
    pub(crate) fn new(page: &Page) -> Self {
        Self {
            body: b"{\"items\":[".to_vec(),
            items: 0,
            limit: page.limit,
            last: Vec::new(),
            next: None,
        }
    }

    /// Adds a thing, unless the page is full: then the next page begins with it. `key` is what a
    /// cursor must hold to begin after this thing; it is asked for only of the last thing of the
    /// page.
    pub(crate) fn push(
        &mut self,
        item: &impl Serialize,
        key: impl FnOnce() -> Vec<u8>,
    ) -> Result<Room, Problem> {
        if self.items >= self.limit || (self.items > 0 && self.body.len() >= MAX_PAGE_BYTES) {
            self.next = Some(cursor(&self.last));
            return Ok(Room::Full);
        }
        if self.items > 0 {
            self.body.push(b',');
        }
        serde_json::to_writer(&mut self.body, item).map_err(Problem::internal)?;
        self.items += 1;
        if self.items == self.limit || self.body.len() >= MAX_PAGE_BYTES {
            self.last = key();
        }
        Ok(Room::Left)
    }

    /// The response's body.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.body.extend_from_slice(b"],\"next\":");
        match self.next {
            None => self.body.extend_from_slice(b"null}"),
            Some(cursor) => {
                self.body.push(b'"');
                self.body.extend_from_slice(cursor.as_bytes());
                self.body.extend_from_slice(b"\"}");
            }
        }
        self.body
    }

    /// The data of a snapshot event, which says only whether it is the last.
    pub(crate) fn finish_snapshot(mut self) -> Vec<u8> {
        self.body.extend_from_slice(if self.next.is_some() {
            b"],\"last\":false}"
        } else {
            b"],\"last\":true}"
        });
        self.body
    }

    /// The response: 200.
    pub(crate) fn respond(self) -> Response {
        crate::http::json::ok(self.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::query::Query;

    fn take(text: &str) -> Result<Page, Problem> {
        Query::<(Page,)>::parse(Some(text)).map(|Query((page,))| page)
    }

    #[test]
    fn a_cursor_leads_to_what_follows() {
        let page = take("limit=2").unwrap();
        let mut writer = PageWriter::new(&page);
        for n in 1..=3 {
            let room = writer
                .push(&n, || format!("ключ {n}").into_bytes())
                .unwrap();
            assert_eq!(room == Room::Full, n == 3);
        }
        let body: serde_json::Value = serde_json::from_slice(&writer.finish()).unwrap();
        assert_eq!(body["items"], serde_json::json!([1, 2]));
        let next = take(&format!("cursor={}", body["next"].as_str().unwrap())).unwrap();
        assert_eq!(next.after_text().unwrap(), Some("ключ 2"));
    }

    #[test]
    fn a_page_that_holds_all_has_no_next() {
        let mut writer = PageWriter::new(&take("limit=2").unwrap());
        (1..=2).for_each(|n| assert_eq!(writer.push(&n, Vec::new).unwrap(), Room::Left));
        assert_eq!(writer.finish(), br#"{"items":[1,2],"next":null}"#);
    }

    #[test]
    fn a_page_of_large_things_ends_early() {
        let mut writer = PageWriter::new(&take("").unwrap());
        let large = "x".repeat(MAX_PAGE_BYTES / 2 + 1);
        assert_eq!(writer.push(&large, || vec![1]).unwrap(), Room::Left);
        assert_eq!(writer.push(&large, || vec![2]).unwrap(), Room::Left);
        assert_eq!(writer.push(&large, || vec![3]).unwrap(), Room::Full);
        assert!(writer.finish().ends_with(br#"],"next":"02"}"#));
    }

    #[test]
    fn limits_and_cursors_that_are_none_are_refused() {
        for text in ["limit=0", "limit=1001", "limit=x", "limit="] {
            assert_eq!(take(text).unwrap_err().status(), 422, "{text}");
        }
        for text in ["cursor=", "cursor=abc", "cursor=zz", "cursor=%C3%A9"] {
            assert_eq!(take(text).unwrap_err().status(), 400, "{text}");
        }
        assert_eq!(
            take("").unwrap(),
            Page {
                limit: 100,
                after: None
            }
        );
    }
}
