//! One socket: what it says and is told, until it closes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::connection::{Closing, Event, Socket};
use super::message::{self, Code, Request};
use super::{RealTime, Seat};

/// How long the other side may take to read what it is sent.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the other side may take to say good-bye.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often the other side is asked whether it is there.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How long the other side may be silent: it has not answered then, three times.
const SILENCE: Duration = Duration::from_secs(100);
/// How many frames a second a client may send.
const FRAMES_A_SECOND: u32 = 100;
/// The longest frame that a client needs is far shorter.
const FRAME_BYTES: usize = 8 << 10;
const BUFFER_BYTES: usize = 4 << 10;
/// How many taps are written at once.
const BATCH: usize = 64;
/// How many subscriptions a socket may have.
const SUBSCRIPTIONS: usize = 10;

/// Who opens a socket, and when.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Opening {
    pub(in super::super) owner: u64,
    pub(in super::super) now: Timestamp,
    /// When the owner's token expires.
    pub(in super::super) expires: Option<Timestamp>,
}

/// Serves a socket that has been upgraded, until it closes.
pub(in super::super) async fn serve<S>(real_time: Arc<RealTime>, opening: Opening, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (seat, events) = real_time.open(opening.owner, opening.now, opening.expires);
    drop(real_time);
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(16 * BUFFER_BYTES)
        .max_message_size(Some(FRAME_BYTES))
        .max_frame_size(Some(FRAME_BYTES));
    let stream = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    // Held until the farewell is over: whoever closes all sockets waits for that.
    let mut closed = seat.closed();
    let mut talk = Talk {
        seat,
        stream,
        subscribed: 0,
        frames: 0,
        counting: Instant::now(),
    };
    let Err(end) = talk.listen(events, &mut closed).await;
    // Whoever waits for the loss of its connections need not wait for the farewell.
    let Talk { seat, mut stream, .. } = talk;
    drop(seat);
    if let Some(frame) = end.frame() {
        let farewell = async {
            stream.close(Some(frame)).await?;
            while let Some(Ok(_)) = stream.next().await {}
            Ok::<_, Error>(())
        };
        drop(timeout(FAREWELL, farewell).await);
    }
}

/// Why a conversation ends.
#[derive(Debug)]
enum End {
    /// The other side has gone, or says so.
    Gone,
    /// The service ends it.
    Closed(Closing),
    /// A frame is longer than the service reads.
    TooLong,
    /// A frame is no text.
    Binary,
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error {
            Error::Capacity(_) => Self::TooLong,
            Error::Utf8(_) => Self::Closed(Closing::Nonsense("a frame is text")),
            Error::Protocol(_) => Self::Closed(Closing::Nonsense("that is no WebSocket frame")),
            _ => Self::Gone,
        }
    }
}

impl End {
    /// What the other side is told, if it still listens.
    fn frame(&self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Gone => return None,
            Self::Closed(Closing::Expired) => (CloseCode::Normal, "the socket or its token has expired"),
            Self::Closed(Closing::Stopping) => (CloseCode::Away, "the service stops"),
            Self::Closed(Closing::TooSlow) => (CloseCode::Policy, "too many taps are waiting"),
            Self::Closed(Closing::TooMuch) => (CloseCode::Policy, "too many frames"),
            Self::Closed(Closing::Nonsense(what)) => (CloseCode::Policy, *what),
            Self::TooLong => (CloseCode::Size, "the frame is too long"),
            Self::Binary => (CloseCode::Unsupported, "a frame is text"),
        };
        Some(CloseFrame {
            code,
            reason: reason.into(),
        })
    }
}

struct Talk<S> {
    seat: Seat,
    stream: WebSocketStream<S>,
    /// How many subscriptions there have been: their ids.
    subscribed: u64,
    /// How many frames have come since `counting`.
    frames: u32,
    counting: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Talk<S> {
    /// Talks until something ends it.
    async fn listen(
        &mut self,
        mut events: mpsc::Receiver<Event>,
        closed: &mut watch::Receiver<u64>,
    ) -> Result<Infallible, End> {
        let socket = Arc::clone(self.seat.socket());
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        let mut heard = Instant::now();
        loop {
            // In this order, so that an answer comes after the taps that were waiting when it was asked for.
            tokio::select! {
                biased;
                why = socket.closing() => return Err(End::Closed(why)),
                // A service that was dropped without being stopped goes on.
                Ok(()) = closed.changed() => return Err(End::Closed(Closing::Stopping)),
                Some(event) = events.recv() => self.tap(event, &mut events).await?,
                frame = self.stream.next() => {
                    heard = Instant::now();
                    self.hear(frame.ok_or(End::Gone)??).await?;
                }
                _ = heartbeat.tick() => {
                    if heard.elapsed() > SILENCE {
                        return Err(End::Gone);
                    }
                    self.send(Message::Ping(bytes::Bytes::new())).await?;
                }
            }
        }
    }

    async fn hear(&mut self, frame: Message) -> Result<(), End> {
        if self.counting.elapsed() >= Duration::from_secs(1) {
            (self.frames, self.counting) = (0, Instant::now());
        }
        self.frames += 1;
        if self.frames > FRAMES_A_SECOND {
            return Err(End::Closed(Closing::TooMuch));
        }
        match frame {
            Message::Text(text) => {
                let request = Request::parse(&text).map_err(|what| End::Closed(Closing::Nonsense(what)))?;
                let answer = self.answer(request);
                for text in answer.map(|answer| self.seat.on_the_wire(answer)).unwrap_or_default() {
                    self.send(Message::text(text)).await?;
                }
                Ok(())
            }
            Message::Binary(_) => Err(End::Binary),
            Message::Close(_) => Err(End::Gone),
            // Pings are answered by the stream itself.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    fn answer(&mut self, request: Request) -> Option<String> {
        let rules = self.seat.rules();
        // RTA-007
        let is_echoed = rules.sequence_is_echoed.kept();
        let echo = |seq: u64| if is_echoed { seq } else { seq.wrapping_add(1) };
        match request {
            Request::Subscribe { seq, resource } => {
                let seq = echo(seq);
                if !message::is_connections(&resource) && rules.unknown_resources_are_refused.kept() {
                    let text = "The service knows no such resource.";
                    return Some(message::not_subscribed(seq, Code::UnknownResource, text));
                }
                if self.seat.connections.len() >= SUBSCRIPTIONS {
                    let text = "The socket has as many subscriptions as it may have.";
                    return Some(message::not_subscribed(seq, Code::SubscriptionLimit, text));
                }
                self.subscribed += 1;
                let connection = self.seat.subscribe(self.subscribed);
                Some(message::subscribed(seq, self.subscribed, connection, self.seat.rules()))
            }
            Request::Unsubscribe { seq, subscription } => {
                let seq = echo(seq);
                let is_answered = rules.unsubscribing_is_answered.kept();
                let found = subscription.is_some_and(|subscription| self.seat.unsubscribe(subscription));
                let code = if found { Code::Success } else { Code::UnknownResource };
                is_answered.then(|| message::unsubscribed(seq, code))
            }
            Request::Other => None,
        }
    }

    /// Writes a tap, and what else is waiting.
    async fn tap(&mut self, first: Event, events: &mut mpsc::Receiver<Event>) -> Result<(), End> {
        let socket = Arc::clone(self.seat.socket());
        let writing = async {
            let mut next = Some(first);
            let mut taken = 1;
            while let Some(event) = next {
                // Of a connection that was given up nobody wants to hear.
                if !event.connection.is_lost() {
                    for text in self.seat.on_the_wire(message::tapped(&event, self.seat.rules())) {
                        self.stream.feed(Message::text(text)).await?;
                    }
                }
                next = (taken < BATCH).then(|| events.try_recv().ok()).flatten();
                taken += 1;
            }
            self.stream.flush().await
        };
        in_time(&socket, writing).await
    }

    async fn send(&mut self, frame: Message) -> Result<(), End> {
        in_time(&Arc::clone(self.seat.socket()), self.stream.send(frame)).await
    }
}

/// Waits until something is written, as long as the socket may stay open and the other side reads.
async fn in_time(socket: &Socket, writing: impl Future<Output = Result<(), Error>>) -> Result<(), End> {
    tokio::select! {
        biased;
        written = timeout(PATIENCE, writing) => match written {
            Ok(written) => Ok(written?),
            // It does not read, so there is no telling it anything.
            Err(_) => Err(End::Gone),
        },
        why = socket.closing() => Err(End::Closed(why)),
    }
}
