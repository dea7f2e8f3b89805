//! Where alerts arrive: a small HTTP server that notes when.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// One alert, and when it came.
#[derive(Clone, Debug)]
pub(crate) struct Alarm {
    pub(crate) at: Instant,
    pub(crate) alert: Value,
}

#[derive(Default)]
struct Shared {
    alarms: Mutex<Vec<Alarm>>,
    over: AtomicBool,
}

/// Listens until it is dropped.
pub(crate) struct Alarms {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Alarms {
    pub(crate) fn listen() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port for alerts");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::<Shared>::default();
        let inner = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if inner.over.load(Ordering::Relaxed) {
                    return;
                }
                let inner = Arc::clone(&inner);
                std::thread::spawn(move || serve(&stream, &inner));
            }
        });
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    /// What the configuration calls it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/alerts", self.address)
    }

    /// All so far.
    pub(crate) fn all(&self) -> Vec<Alarm> {
        self.shared.alarms.lock().expect("a whole list").clone()
    }

    /// The first that is as wanted.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Alarm {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let all = self.all();
            if let Some(found) = all.iter().find(|alarm| wanted(&alarm.alert)) {
                return found.clone();
            }
            assert!(Instant::now() < deadline, "no alert {what}: {all:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Alarms {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        let _wakes = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn serve(stream: &TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let at = Instant::now();
        let head = head.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .and_then(|length| length.trim().parse().ok())
            .expect("a length");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a whole body");
        let alert = serde_json::from_slice(&body).expect("an alert is JSON");
        let mut alarms = shared.alarms.lock().expect("a whole list");
        alarms.push(Alarm { at, alert });
        drop(alarms);
        let answer = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n";
        if (&*stream).write_all(answer).is_err() {
            return;
        }
    }
}
