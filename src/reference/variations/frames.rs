//! The frames of a real-time socket, on their way to the client (RFC 6455).

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::Act;
use super::edge::Edge;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const LAST: u8 = 0x80;
/// An event, the first element of its frame.
const EVENT: u64 = 3;

/// A frame as the service sends it: unmasked, and whole.
struct Frame {
    kind: u8,
    payload: Vec<u8>,
}

async fn read(from: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Frame> {
    let kind = from.read_u8().await? & !LAST;
    let length = match from.read_u8().await? & 0x7f {
        126 => u64::from(from.read_u16().await?),
        127 => from.read_u64().await?,
        short => u64::from(short),
    };
    let mut payload = Vec::new();
    from.take(length).read_to_end(&mut payload).await?;
    Ok(Frame { kind, payload })
}

fn head(kind: u8, length: usize) -> Vec<u8> {
    let mut head = vec![kind];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..126), _) => head.push(short),
        (_, Ok(length)) => {
            head.push(126);
            head.extend(length.to_be_bytes());
        }
        _ => {
            head.push(127);
            head.extend((length as u64).to_be_bytes());
        }
    }
    head
}

/// Carries the frames of the service to the client, until one of them ends.
pub(super) async fn carry(
    edge: &Edge,
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
) -> io::Result<()> {
    let mut ways = Ways::default();
    for act in edge.acts() {
        match act {
            Act::FramesLate(ms) => ways.late = Some(Duration::from_millis(*ms)),
            Act::FramesMerged(ms) => ways.merged = Some(Duration::from_millis(*ms)),
            Act::Fragments(size) => ways.fragment = Some(*size),
            Act::Pings => ways.is_pinged = true,
            _ => {}
        }
    }
    // Reading must not be given up in the midst of a frame, so it has a task of its own.
    let (sender, mut frames) = tokio::sync::mpsc::unbounded_channel();
    let reading = async move {
        while let Ok(frame) = read(from).await {
            if sender.send((Instant::now(), frame)).is_err() {
                break;
            }
        }
    };
    let writing = async {
        let mut gathered: Vec<Value> = Vec::new();
        let mut due: Option<Instant> = None;
        loop {
            let next = tokio::select! {
                biased;
                () = sleep_until(due), if due.is_some() => {
                    due = None;
                    let events = std::mem::take(&mut gathered);
                    for event in joined(events) {
                        edge.touch(|act| matches!(act, Act::FramesMerged(_)));
                        ways.write(to, Frame { kind: TEXT, payload: edge.frame(event).into() }).await?;
                    }
                    continue;
                }
                next = frames.recv() => next,
            };
            let Some((came, frame)) = next else { return Ok(()) };
            let json = (frame.kind == TEXT).then(|| serde_json::from_slice::<Value>(&frame.payload).ok());
            let Some(json) = json.flatten() else {
                ways.write(to, frame).await?;
                continue;
            };
            let is_event = json.get(0).and_then(Value::as_u64) == Some(EVENT);
            match (ways.merged, ways.late) {
                (Some(pause), _) if is_event => {
                    gathered.push(json);
                    due.get_or_insert(came + pause);
                    continue;
                }
                (_, Some(late)) if is_event => {
                    edge.touch(|act| matches!(act, Act::FramesLate(_)));
                    tokio::time::sleep_until(came + late).await;
                }
                _ => {}
            }
            let payload = edge.frame(json).into();
            edge.touch(|act| matches!(act, Act::Fragments(_) | Act::Pings));
            ways.write(to, Frame { kind: TEXT, payload }).await?;
        }
    };
    let ((), written) = tokio::join!(reading, writing);
    written
}

async fn sleep_until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due).await;
    }
}

/// Events of one subscription in one frame, with the taps of all (LIVE-019).
fn joined(events: Vec<Value>) -> Vec<Value> {
    let mut joined: Vec<Value> = Vec::new();
    for event in events {
        let taps = event.pointer("/2/shoulderTaps").and_then(Value::as_array).cloned();
        let same = joined.iter_mut().find(|known| known.get(1) == event.get(1));
        match (same.and_then(|known| known.pointer_mut("/2/shoulderTaps")), taps) {
            (Some(Value::Array(known)), Some(taps)) => known.extend(taps),
            _ => joined.push(event),
        }
    }
    joined
}

/// How frames are written.
#[derive(Default)]
struct Ways {
    late: Option<Duration>,
    merged: Option<Duration>,
    fragment: Option<usize>,
    is_pinged: bool,
}

impl Ways {
    async fn write(&self, to: &mut (impl AsyncWriteExt + Unpin), frame: Frame) -> io::Result<()> {
        let mut bytes = Vec::new();
        if self.is_pinged && frame.kind != CLOSE {
            bytes.extend(head(LAST | PING, 2));
            bytes.extend(b"hi");
        }
        match self.fragment {
            Some(size) if frame.kind == TEXT && frame.payload.len() > size => {
                let count = frame.payload.chunks(size).count();
                for (place, part) in frame.payload.chunks(size).enumerate() {
                    let kind = if place == 0 { TEXT } else { 0 };
                    let last = if place + 1 == count { LAST } else { 0 };
                    bytes.extend(head(kind | last, part.len()));
                    bytes.extend(part);
                }
            }
            _ => {
                bytes.extend(head(LAST | frame.kind, frame.payload.len()));
                bytes.extend(frame.payload);
            }
        }
        to.write_all(&bytes).await?;
        to.flush().await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_taps_of_one_subscription_come_in_one_frame() {
        let event = |subscription: u64, tap: u64| json!([3, subscription, { "ncid": "n", "shoulderTaps": [tap] }]);
        let joined = joined(vec![event(1, 10), event(2, 20), event(1, 11)]);
        assert_eq!(joined.len(), 2);
        assert_eq!(joined[0][2]["shoulderTaps"], json!([10, 11]));
    }
}
