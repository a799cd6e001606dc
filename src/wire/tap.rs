//! Reading along on a WebSocket that others speak on.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, WebSocket};

/// The longest message that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// One direction of a socket.
#[derive(Debug)]
pub(crate) struct Tap {
    socket: Option<WebSocket<Line>>,
}

/// Bytes that came, and nowhere to answer to.
#[derive(Debug, Default)]
struct Line(VecDeque<u8>);

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.read(buffer)
    }
}

impl Write for Line {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Tap {
    /// Of what the client says.
    pub(crate) fn of_client() -> Self {
        Self::new(Role::Server)
    }

    /// Of what the service says.
    pub(crate) fn of_service() -> Self {
        Self::new(Role::Client)
    }

    fn new(role: Role) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST));
        Self {
            socket: Some(WebSocket::from_raw_socket(Line::default(), role, Some(config))),
        }
    }

    /// Whether it cannot be followed any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.socket.is_none()
    }

    /// Takes bytes that passed; the messages that are whole now, with their text unless they are bytes.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Vec<Option<String>> {
        let mut heard = Vec::new();
        let Some(socket) = &mut self.socket else { return heard };
        socket.get_mut().0.extend(bytes);
        loop {
            use tokio_tungstenite::tungstenite::Error;
            match socket.read() {
                Ok(Message::Text(text)) => heard.push(Some(text.as_str().to_owned())),
                Ok(Message::Binary(_)) => heard.push(None),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
                // It was closed in order: what follows is only the other side's goodbye.
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => break,
                Err(_) => {
                    self.socket = None;
                    break;
                }
            }
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text frame as a service sends it.
    fn frame(text: &str) -> Vec<u8> {
        let mut bytes = vec![0x81, u8::try_from(text.len()).unwrap()];
        bytes.extend(text.as_bytes());
        bytes
    }

    #[test]
    fn messages_are_heard_however_their_bytes_are_cut() {
        let bytes = [frame("[1]"), frame("[2]")].concat();
        let mut tap = Tap::of_service();
        let heard: Vec<_> = bytes.iter().flat_map(|byte| tap.hear(&[*byte])).collect();
        assert_eq!(heard, [Some("[1]".to_owned()), Some("[2]".to_owned())]);
    }

    #[test]
    fn what_the_client_masks_is_unmasked() {
        let mask = [1, 2, 3, 4];
        let text = b"[1,1]";
        let mut bytes = vec![0x81, 0x80 | 5];
        bytes.extend(mask);
        bytes.extend(text.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        assert_eq!(Tap::of_client().hear(&bytes), [Some("[1,1]".to_owned())]);
    }

    #[test]
    fn a_compressed_frame_ends_the_listening_and_nothing_else() {
        let mut bytes = frame("xyz");
        bytes[0] |= 0x40;
        let mut tap = Tap::of_service();
        assert_eq!(tap.hear(&bytes), []);
        assert!(tap.is_lost());
        assert_eq!(tap.hear(&frame("[1]")), []);
    }
}
