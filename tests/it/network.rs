//! Servers that stand between the program and a service, or in place of one: hostile, encrypted, or in the way.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as a hostile server reads it.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    /// Whether it is what a run asks first, to see whether a target is there.
    pub fn is_first_look(&self) -> bool {
        self.method == "GET" && self.path.ends_with("/sessiontemplates")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Reads one from a connection; `None` at its end.
    pub fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut words = head.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut request = Self {
            method,
            path,
            head,
            body: Vec::new(),
        };
        let length = request
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        request.body = vec![0; length];
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }
}

/// Answers with a status, headers and a body, and closes.
pub fn answer(stream: &mut TcpStream, status: u16, headers: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

/// A gigabyte of zeros, packed twice into a few thousand bytes; `Content-Encoding: gzip, gzip`.
pub fn bomb() -> Vec<u8> {
    let pack = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let part = pack(&vec![0; 32 << 20]);
    let bomb = pack(&part.repeat(32));
    assert!(bomb.len() < 64 << 10, "{}", bomb.len());
    bomb
}

/// Listens on a loopback port, and has each connection served on a thread; its address.
pub fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A server that answers what a run asks first, and is hostile to everything else.
pub fn hostile(behave: impl Fn(&Request, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    listen(move |mut stream| {
        let Some(request) = Request::read(&stream) else { return };
        // Whoever asked may have left in the meantime.
        let _ = if request.is_first_look() {
            answer(
                &mut stream,
                200,
                "Content-Type: application/json\r\n",
                r#"{"results":[]}"#,
            )
        } else {
            behave(&request, &mut stream)
        };
    })
}

/// Sends something again and again, until nobody listens any more.
pub fn drip(stream: &mut TcpStream, piece: &[u8], pause: Duration) -> io::Result<()> {
    loop {
        stream.write_all(piece)?;
        thread::sleep(pause);
    }
}

/// Passes bytes on to a service until it is told to die, or has passed on as many as it may.
#[derive(Clone, Debug)]
pub struct Relay {
    pub address: SocketAddr,
    dead: Arc<AtomicBool>,
    /// How many connections were made.
    pub connections: Arc<AtomicUsize>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    /// In front of a service; `limit` is how many bytes of answers it passes on before it dies.
    pub fn start(upstream: SocketAddr, limit: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap(),
            dead: Arc::default(),
            connections: Arc::default(),
            streams: Arc::default(),
        };
        let (own, passed) = (relay.clone(), Arc::new(AtomicUsize::new(0)));
        thread::spawn(move || {
            for inbound in listener.incoming().map_while(Result::ok) {
                if own.dead.load(Ordering::SeqCst) {
                    return;
                }
                own.connections.fetch_add(1, Ordering::SeqCst);
                let outbound = TcpStream::connect(upstream).unwrap();
                own.streams
                    .lock()
                    .unwrap()
                    .extend([inbound.try_clone().unwrap(), outbound.try_clone().unwrap()]);
                let (mut from, mut to) = (inbound.try_clone().unwrap(), outbound.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
                let (own, passed) = (own.clone(), Arc::clone(&passed));
                thread::spawn(move || {
                    let (mut from, mut to, mut bytes) = (outbound, inbound, [0; 16 << 10]);
                    while let Ok(count @ 1..) = from.read(&mut bytes) {
                        if to.write_all(&bytes[..count]).is_err() {
                            break;
                        }
                        if passed.fetch_add(count, Ordering::SeqCst) + count > limit {
                            own.die();
                        }
                    }
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        });
        relay
    }

    /// Breaks all connections, and takes no more.
    pub fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the listener, so that the port is closed.
        let _ = TcpStream::connect(self.address);
    }
}
