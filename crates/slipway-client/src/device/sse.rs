//! Incremental parser of server-sent events (WHATWG HTML, section 9.2.6).

use std::time::Duration;

/// Input that is not a complete event yet.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    /// Line that has not ended.
    line: Vec<u8>,
    /// The last byte was a carriage return, so a line feed after it ends no other line.
    after_return: bool,
    event: Event,
    /// Delay before a reconnection, once the server has sent one.
    pub(super) retry: Option<Duration>,
}

/// Event without its `id`, because a push contains its own sequence.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: String,
}

impl EventReader {
    /// Begins another stream. An incomplete event is dropped, the reconnection delay is kept.
    pub(super) fn begin(&mut self) {
        *self = Self {
            retry: self.retry,
            ..Self::default()
        };
    }

    /// Returns the events that these bytes complete.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in bytes {
            let ends_a_return = std::mem::replace(&mut self.after_return, *byte == b'\r') && *byte == b'\n';
            match byte {
                b'\n' if ends_a_return => {}
                b'\n' | b'\r' => {
                    let line = std::mem::take(&mut self.line);
                    events.extend(self.take(&String::from_utf8_lossy(&line)));
                }
                byte => self.line.push(*byte),
            }
        }
        events
    }

    /// Processes a line; an empty one ends an event.
    fn take(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return (!event.data.is_empty()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" if self.event.data.is_empty() => value.clone_into(&mut self.event.data),
            "data" => {
                self.event.data.push('\n');
                self.event.data.push_str(value);
            }
            "retry" => self.retry = value.parse().ok().map(Duration::from_millis).or(self.retry),
            // A comment, or a field that a later server may send.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        let (name, data) = (name.to_owned(), data.to_owned());
        Event { name, data }
    }

    #[test]
    fn events_are_read_however_the_bytes_are_cut() {
        let text = "retry: 1500\r\n\r\n:\n\nevent: push\nid: 7\ndata: {\"a\":\ndata:\"é\"}\n\n\revent:other\rdata: x\r\r";
        let expected = [event("push", "{\"a\":\n\"é\"}"), event("other", "x")];
        for size in 1..=text.len() {
            let mut reader = EventReader::default();
            let events: Vec<_> = text
                .as_bytes()
                .chunks(size)
                .flat_map(|bytes| reader.read(bytes))
                .collect();
            assert_eq!(events, expected, "{size} bytes at a time");
            assert_eq!(reader.retry, Some(Duration::from_millis(1_500)));
        }
    }

    #[test]
    fn an_event_that_is_not_complete_is_none() {
        let mut reader = EventReader::default();
        assert!(reader.read(b"retry: soon\nevent: push\ndata: {}\n").is_empty());
        assert_eq!(reader.retry, None);
        assert_eq!(reader.read(b"\nretry: 7\n\ndata: half\n"), [event("push", "{}")]);
        reader.begin();
        assert!(reader.read(b"\n").is_empty());
        assert_eq!(reader.retry, Some(Duration::from_millis(7)));
    }
}
