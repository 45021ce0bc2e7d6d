//! Changes as they happen.

use std::time::Duration;

use reqwest::{Method, Response, Url};

use super::{Client, DOWNLOAD, Error, Result, network, refusal};
use crate::BASE;
use crate::watch::{WatchQuery, WatchedChange, WatchedChanges};

/// A stream is never silent for so long.
pub const SILENCE: Duration = Duration::from_secs(45);
/// Longer than any line that a server of ours sends.
const MAX_LINE: usize = 64 * 1024;

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// From here on.
    Start,
    Change(WatchedChange<'static>),
    /// Changes were missed that are not kept any more: list anew.
    Reset,
    /// The last one: the right to watch is gone.
    Expired,
    /// The last one: what was sent was not taken in time.
    Lagged,
}

impl Client {
    /// A stream of changes; `wait` belongs to [`Self::changes`].
    pub async fn watch(&self, query: &WatchQuery) -> Result<Watching> {
        let (path, none) = (format!("{BASE}/watch"), None::<&()>);
        let response = self.open(Method::GET, &path, query, none, Some(DOWNLOAD)).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(Watching {
                base: self.base.clone(),
                response,
                events: Events::default(),
            });
        }
        let body = response.bytes().await.map_err(|error| network(&self.base, &error))?;
        Err(refusal(status, &body))
    }

    /// What has changed since, as soon as something has.
    pub async fn changes(&self, query: &WatchQuery) -> Result<WatchedChanges<'static>> {
        let (path, none) = (format!("{BASE}/watch"), None::<&()>);
        let within = SILENCE + Duration::from_secs(query.wait.unwrap_or_default().into());
        let response = self.open(Method::GET, &path, query, none, Some(within)).await?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| network(&self.base, &error))?;
        if status.is_success() {
            super::answer(status, &body)
        } else {
            Err(refusal(status, &body))
        }
    }
}

/// A stream that is open.
#[derive(Debug)]
pub struct Watching {
    base: Url,
    response: Response,
    events: Events,
}

impl Watching {
    /// The revision to go on from.
    pub fn last(&self) -> Option<i64> {
        self.events.last
    }

    /// None: the server has ended the stream.
    pub async fn next(&mut self) -> Result<Option<WatchEvent>> {
        loop {
            if let Some(event) = self.events.next()? {
                return Ok(Some(event));
            }
            let part = self.response.chunk().await;
            match part.map_err(|error| network(&self.base, &error))? {
                Some(part) => self.events.take(&part)?,
                None => return Ok(None),
            }
        }
    }
}

/// What was received and not told yet.
#[derive(Debug, Default)]
struct Events {
    unread: Vec<u8>,
    name: String,
    data: String,
    id: Option<i64>,
    last: Option<i64>,
}

fn unexpected() -> Error {
    Error::Unexpected("The server's events are not what this client expects.".into())
}

impl Events {
    fn take(&mut self, part: &[u8]) -> Result<()> {
        self.unread.extend_from_slice(part);
        let longest = self.unread.split(|byte| *byte == b'\n').map(<[u8]>::len).max();
        if longest > Some(MAX_LINE) {
            return Err(unexpected());
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<WatchEvent>> {
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            let line = std::str::from_utf8(&line)
                .map_err(|_| unexpected())?
                .trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                // An id counts only with its whole event, also with one that has no data.
                self.last = self.id.take().or(self.last);
                let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
                match told(&name, &data)? {
                    None => continue,
                    event => return Ok(event),
                }
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.name),
                "data" => self.data.push_str(value),
                "id" => self.id = Some(value.parse().map_err(|_| unexpected())?),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// An event that is not known is none of ours to judge.
fn told(name: &str, data: &str) -> Result<Option<WatchEvent>> {
    Ok(match name {
        "start" => Some(WatchEvent::Start),
        "change" => Some(WatchEvent::Change(
            serde_json::from_str(data).map_err(|_| unexpected())?,
        )),
        "reset" => Some(WatchEvent::Reset),
        "expired" => Some(WatchEvent::Expired),
        "lagged" => Some(WatchEvent::Lagged),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "event: start\nid: 5\ndata: {\"revision\":5}\n\n:\nid: 7\n\nevent: change\r\nid: 9\r\ndata: \
        {\"revision\":9,\"kind\":\"secret\",\"path\":\"a/ü\",\"action\":\"secret.write\",\"later\":1}\r\n\r\n\
        event: new\nid: 10\ndata: x\n\nevent: expired\nid: 10\ndata: {}\n\nevent: change\nid: 11\n";

    #[test]
    fn events_are_read_wherever_the_stream_is_cut() {
        for size in 1..STREAM.len() {
            let (mut events, mut told) = (Events::default(), Vec::new());
            for part in STREAM.as_bytes().chunks(size) {
                events.take(part).unwrap();
                while let Some(event) = events.next().unwrap() {
                    told.push((events.last, event));
                }
            }
            let change = WatchedChange {
                revision: 9,
                kind: "secret".into(),
                path: "a/ü".into(),
                version: None,
                action: "secret.write".into(),
            };
            let expected = [
                (Some(5), WatchEvent::Start),
                (Some(9), WatchEvent::Change(change)),
                (Some(10), WatchEvent::Expired),
            ];
            assert_eq!(told, expected, "in parts of {size} bytes");
            assert_eq!(events.last, Some(10), "what has not ended does not count");
        }
    }

    #[test]
    fn what_is_no_stream_of_ours_is_refused() {
        for text in ["id: x\n\n", "event: change\ndata: {}\n\n", "event: change\n\n"] {
            let mut events = Events::default();
            events.take(text.as_bytes()).unwrap();
            assert!(events.next().is_err(), "{text}");
        }
        let mut events = Events::default();
        assert!(events.take(&vec![b'x'; MAX_LINE + 1]).is_err());
    }
}
