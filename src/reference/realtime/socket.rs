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

use super::connection::{Closing, Event, Socket, Tap, What};
use super::message::{self, Code, Request, UserResource};
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
pub(super) const SUBSCRIPTIONS: usize = 10;
const FULL: &str = "The socket has as many subscriptions as it may have.";

/// Who opens a socket, and when.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Opening {
    pub(in super::super) owner: u64,
    /// The title that the owner runs.
    pub(in super::super) title: u32,
    pub(in super::super) now: Timestamp,
    /// When the owner's token expires.
    pub(in super::super) expires: Option<Timestamp>,
    /// Whether the client passes the time itself: nothing is held back then.
    pub(in super::super) has_own_time: bool,
}

/// Serves a socket that has been upgraded, until it closes.
pub(in super::super) async fn serve<S>(real_time: Arc<RealTime>, opening: Opening, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (seat, events) = real_time.open(opening);
    let pace = if opening.has_own_time {
        Pace::default()
    } else {
        real_time.pace
    };
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
        pace,
        waiting: None,
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
            Error::Protocol(_) => Self::Closed(Closing::Nonsense("not a WebSocket frame")),
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

/// How long events are held back, and gathered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// How long after it happened an event is sent, at the earliest.
    pub(super) delay: Duration,
    /// How long events are gathered after the first one; zero: each is sent by itself.
    pub(super) window: Duration,
}

struct Talk<S> {
    seat: Seat,
    stream: WebSocketStream<S>,
    pace: Pace,
    /// The event that is sent next, once it is due.
    waiting: Option<Event>,
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
                Some(event) = next_due(&mut self.waiting, self.pace, &mut events) => self.tell(event, &mut events).await?,
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
                let of_user = UserResource::parse(&resource).filter(|_| rules.other_resources_are_harmless.kept());
                if let Some(of_user) = of_user {
                    return Some(self.subscribe_to(seq, &of_user));
                }
                if !message::is_connections(&resource) && rules.unknown_resources_are_refused.kept() {
                    let text = "The service knows no such resource.";
                    return Some(message::not_subscribed(seq, Code::UnknownResource, text));
                }
                if self.seat.is_full() {
                    return Some(message::not_subscribed(seq, Code::SubscriptionLimit, FULL));
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

    /// Subscribes to a resource of a user: the caller's invites, or what another service would show.
    fn subscribe_to(&mut self, seq: u64, resource: &UserResource) -> String {
        if self.seat.is_full() {
            return message::not_subscribed(seq, Code::SubscriptionLimit, FULL);
        }
        if resource.invites_to.is_some() && resource.xuid != self.seat.socket().owner() {
            let text = "Only the user itself is sent its invites.";
            return message::not_subscribed(seq, Code::UnknownResource, text);
        }
        self.subscribed += 1;
        self.seat.listen(self.subscribed, resource.invites_to);
        message::subscribed_to_nothing(seq, self.subscribed)
    }

    /// Writes an event that is due, and those that are due with it.
    async fn tell(&mut self, first: Event, events: &mut mpsc::Receiver<Event>) -> Result<(), End> {
        let socket = Arc::clone(self.seat.socket());
        // Those that happened until then are due.
        let until = if self.pace.window.is_zero() {
            Instant::now().checked_sub(self.pace.delay)
        } else {
            Some(first.at + self.pace.window)
        };
        let mut due = vec![first.what];
        while due.len() < BATCH || !self.pace.window.is_zero() {
            match events.try_recv() {
                Ok(event) if until.is_some_and(|until| event.at <= until) => due.push(event.what),
                Ok(event) => {
                    self.waiting = Some(event);
                    break;
                }
                Err(_) => break,
            }
        }
        let frames = self.frames(due);
        let writing = async {
            for frame in frames {
                for text in self.seat.on_the_wire(frame) {
                    self.stream.feed(Message::text(text)).await?;
                }
            }
            self.stream.flush().await
        };
        in_time(&socket, writing).await
    }

    /// The frames that say what is due: without a window one for each event, else one for each subscription of the socket,
    /// with the newest change of each session (LIVE-019).
    fn frames(&self, due: Vec<What>) -> Vec<String> {
        let rules = self.seat.rules();
        let mut frames = Vec::new();
        let mut gathered: Vec<Vec<Tap>> = Vec::new();
        for what in due {
            match what {
                What::Invite { subscription, data } => {
                    if self.seat.listens(subscription) {
                        frames.push(message::event(subscription, &data));
                    }
                }
                // Nobody wants to hear of a connection that was given up.
                What::Tap(tap) if tap.connection.is_lost() => {}
                What::Tap(tap) if self.pace.window.is_zero() => {
                    frames.push(message::tapped(&tap.connection, [&tap].into_iter(), rules));
                }
                What::Tap(tap) => {
                    let of_connection = gathered.iter_mut().find(|taps| {
                        taps.first()
                            .is_some_and(|first| first.connection.id() == tap.connection.id())
                    });
                    match of_connection {
                        Some(taps) => {
                            taps.retain(|earlier| !tap.replaces(earlier));
                            taps.push(tap);
                        }
                        None => gathered.push(vec![tap]),
                    }
                }
            }
        }
        let of_connections = gathered.iter().filter_map(|taps| {
            let connection = &taps.first()?.connection;
            Some(message::tapped(connection, taps.iter(), rules))
        });
        frames.extend(of_connections);
        frames
    }

    async fn send(&mut self, frame: Message) -> Result<(), End> {
        in_time(&Arc::clone(self.seat.socket()), self.stream.send(frame)).await
    }
}

/// The next event, once it is due; the ones behind it wait in the queue. Nothing is lost if the future is dropped.
async fn next_due(waiting: &mut Option<Event>, pace: Pace, events: &mut mpsc::Receiver<Event>) -> Option<Event> {
    if waiting.is_none() {
        *waiting = Some(events.recv().await?);
    }
    let held = pace.delay.max(pace.window);
    if let Some(event) = waiting
        && !held.is_zero()
    {
        tokio::time::sleep_until(event.at + held).await;
    }
    waiting.take()
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
