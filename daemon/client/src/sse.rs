//! Server-sent events, as the HTML standard defines their format (section 9.2.6).

use super::error::ClientError;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerEvent {
    /// Its type; `message` without one.
    pub event: String,
    /// Its data, lines joined by `\n`.
    pub data: String,
    /// The last id that the stream told, to go on after this event.
    pub id: Option<String>,
}

impl ServerEvent {
    /// The event as one of a stream, such as `api::events::ListStreamEvent`. One that is newer than
    /// this program cannot be read.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        let wrong = |error: serde_json::Error| ClientError::Answer(error.to_string());
        let data: Value = serde_json::from_str(&self.data).map_err(wrong)?;
        serde_json::from_value(json!({ "event": self.event, "data": data })).map_err(wrong)
    }
}

/// Cuts bytes, however they come in, into events.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// Bytes of a line whose end has not come yet.
    line: Vec<u8>,
    event: String,
    data: Vec<String>,
    id: Option<String>,
    /// Bytes held in `data`.
    held: usize,
}

/// An event or a line that is longer than any that the API sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// A first snapshot has 1,000 entries of at most some 70 kB.
const MAX_EVENT_BYTES: usize = 128 << 20;

impl Parser {
    /// Takes the next bytes and yields the events that they complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<ServerEvent>, TooLong> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + piece.len() + self.held > MAX_EVENT_BYTES {
                return Err(TooLong);
            }
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(&line);
                events.extend(self.take(line.trim_end_matches(['\n', '\r'])));
            }
        }
        Ok(events)
    }

    fn take(&mut self, line: &str) -> Option<ServerEvent> {
        if line.is_empty() {
            return self.finish();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "id" => self.id = Some(value.to_owned()),
            "data" => {
                self.held += value.len();
                self.data.push(value.to_owned());
            }
            // Comments (an empty field) and whatever comes later in the format.
            _ => {}
        }
        None
    }

    fn finish(&mut self) -> Option<ServerEvent> {
        let (event, data) = (
            std::mem::take(&mut self.event),
            std::mem::take(&mut self.data),
        );
        self.held = 0;
        if data.is_empty() && event.is_empty() {
            return None;
        }
        let event = if event.is_empty() {
            "message".to_owned()
        } else {
            event
        };
        Some(ServerEvent {
            event,
            data: data.join("\n"),
            id: self.id.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(event: &str, data: &str, id: Option<&str>) -> ServerEvent {
        ServerEvent {
            event: event.to_owned(),
            data: data.to_owned(),
            id: id.map(str::to_owned),
        }
    }

    #[test]
    fn events_come_out_however_the_bytes_are_cut() {
        let text = ": hello\n\nevent: snapshot\r\ndata: {\"items\":\r\ndata:[]}\r\n\r\nid: \
            7\ndata: é\n\n";
        let expected = [
            event("snapshot", "{\"items\":\n[]}", None),
            event("message", "é", Some("7")),
        ];
        for size in [1, 2, 3, 1000] {
            let mut parser = Parser::default();
            let events: Vec<ServerEvent> = text
                .as_bytes()
                .chunks(size)
                .flat_map(|chunk| parser.push(chunk).unwrap())
                .collect();
            assert_eq!(events, expected, "{size}");
        }
    }

    #[test]
    fn an_event_without_data_is_told() {
        assert_eq!(
            Parser::default().push(b"event: lagged\n\n"),
            Ok(vec![event("lagged", "", None)])
        );
    }

    #[test]
    fn an_event_that_is_not_finished_is_not_told() {
        assert_eq!(
            Parser::default().push(b"event: changed\ndata: 1\n"),
            Ok(Vec::new())
        );
    }
}
