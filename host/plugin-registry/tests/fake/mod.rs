//! A server that answers as it is told, one request for each connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// Its method.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Who asks.
    pub(crate) authorization: Option<String>,
    /// What was sent.
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    None,
    /// Zeros until nobody takes them.
    Endless,
    /// A zero now and then.
    Dripping,
}

/// What is answered.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<String>,
    body: Vec<u8>,
    rest: Rest,
}

impl Reply {
    /// Nothing but a status.
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            rest: Rest::None,
        }
    }

    /// 200 with a body.
    pub(crate) fn ok(body: &[u8]) -> Self {
        Self::status(200).body(body)
    }

    /// A body without end.
    pub(crate) fn endless(status: u16) -> Self {
        Self {
            rest: Rest::Endless,
            ..Self::status(status)
        }
    }

    /// A body that comes byte by byte.
    pub(crate) fn dripping() -> Self {
        Self {
            rest: Rest::Dripping,
            ..Self::status(200)
        }
    }

    /// The same with a body.
    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// The same with a header line.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push(format!("{name}: {value}\r\n"));
        self
    }
}

type Shared = Arc<Mutex<Vec<Heard>>>;

/// A server on this machine; it ends when it is dropped.
pub(crate) struct Fake {
    /// Host and port.
    pub(crate) address: String,
    heard: Shared,
    sent: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    /// Starts one that answers so.
    pub(crate) fn start(answer: impl Fn(&Heard) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (heard, sent, over) = (Shared::default(), Arc::default(), Arc::default());
        let shared = (
            Arc::clone(&heard),
            Arc::<AtomicU64>::clone(&sent),
            Arc::<AtomicBool>::clone(&over),
        );
        let thread = std::thread::spawn(move || {
            let (heard, sent, over) = shared;
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let stream = stream.expect("a connection");
                // Whoever has heard enough hangs up.
                let _gone = serve(stream, &answer, &heard, &sent);
            }
        });
        Self {
            address,
            heard,
            sent,
            over,
            thread: Some(thread),
        }
    }

    /// All requests so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("nobody panics").clone()
    }

    /// Bytes of bodies without end that were taken.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _woken = TcpStream::connect(&self.address);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn serve(
    stream: TcpStream,
    answer: &impl Fn(&Heard) -> Reply,
    heard: &Shared,
    sent: &AtomicU64,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(());
    }
    let mut words = line.split(' ').map(str::to_owned);
    let mut request = Heard {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        ..Heard::default()
    };
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => request.authorization = Some(value.to_owned()),
            "content-length" => length = value.parse().expect("a number"),
            _ => {}
        }
    }
    request.body = vec![0; length];
    reader.read_exact(&mut request.body)?;
    heard.lock().expect("nobody panics").push(request.clone());
    reply(stream, &request, answer(&request), sent)
}

fn reply(
    mut stream: TcpStream,
    request: &Heard,
    reply: Reply,
    sent: &AtomicU64,
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", reply.status);
    head.extend(reply.headers);
    if reply.rest == Rest::None {
        head.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&reply.body)?;
    }
    match reply.rest {
        Rest::None => Ok(()),
        Rest::Endless => loop {
            let zeros = [0; 4096];
            stream.write_all(&zeros)?;
            sent.fetch_add(4096, Ordering::Relaxed);
        },
        Rest::Dripping => loop {
            stream.write_all(b" ")?;
            std::thread::sleep(Duration::from_millis(20));
        },
    }
}
