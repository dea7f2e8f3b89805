//! A network of datagrams with delay, loss, duplication and reordering, on a
//! virtual clock.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use sip_transaction::Moment;

use super::random::Random;

/// What a network does to datagrams. Chosen once for each world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// Shortest way through.
    pub(super) delay_ms: u64,
    /// Spread above that; makes datagrams overtake each other.
    pub(super) jitter_ms: u64,
    /// Datagrams lost, in a hundred.
    pub(super) loss_percent: u64,
    /// Datagrams that arrive twice, in a hundred.
    pub(super) duplicate_percent: u64,
}

impl Weather {
    /// From a perfect line to one that loses every seventh datagram.
    #[must_use]
    pub(super) fn of(random: &mut Random) -> Self {
        if random.percent(20) {
            return Self {
                delay_ms: 1,
                jitter_ms: 0,
                loss_percent: 0,
                duplicate_percent: 0,
            };
        }
        Self {
            delay_ms: 1 + random.below(150),
            jitter_ms: random.below(300),
            loss_percent: random.below(15),
            duplicate_percent: random.below(15),
        }
    }
}

/// A datagram on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Datagram {
    /// Sender.
    pub(super) from: SocketAddr,
    /// Receiver.
    pub(super) to: SocketAddr,
    /// Content.
    pub(super) bytes: Bytes,
}

#[derive(Debug, PartialEq, Eq)]
struct Arrival {
    at: Moment,
    /// Breaks ties, so that order never depends on the heap's insides.
    number: u64,
    datagram: Datagram,
}

impl Ord for Arrival {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Arrival {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The wires.
#[derive(Debug)]
pub(super) struct Network {
    weather: Weather,
    under_way: BinaryHeap<Arrival>,
    sent: u64,
}

impl Network {
    /// Empty wires.
    #[must_use]
    pub(super) fn new(weather: Weather) -> Self {
        Self {
            weather,
            under_way: BinaryHeap::new(),
            sent: 0,
        }
    }

    /// Put a datagram on the wire.
    pub(super) fn send(&mut self, now: Moment, random: &mut Random, datagram: Datagram) {
        let copies = match () {
            () if random.percent(self.weather.loss_percent) => 0,
            () if random.percent(self.weather.duplicate_percent) => 2,
            () => 1,
        };
        for _ in 0..copies {
            let delay = self.weather.delay_ms + random.below(self.weather.jitter_ms + 1);
            self.sent += 1;
            self.under_way.push(Arrival {
                at: now + Duration::from_millis(delay),
                number: self.sent,
                datagram: datagram.clone(),
            });
        }
    }

    /// When the next datagram arrives.
    #[must_use]
    pub(super) fn next_arrival(&self) -> Option<Moment> {
        self.under_way.peek().map(|arrival| arrival.at)
    }

    /// A datagram that has arrived by `now`.
    pub(super) fn arrived(&mut self, now: Moment) -> Option<Datagram> {
        if self.next_arrival()? > now {
            return None;
        }
        self.under_way.pop().map(|arrival| arrival.datagram)
    }
}
