//! Fragments of IP put together. An INVITE with many codecs does not fit into one packet.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use etherparse::IpNumber;
use etherparse::defrag::IpDefragBuf;

use super::link::Datagram;

/// Datagrams that wait for the rest of theirs. 256: at most 16 MiB; the rest comes within
/// milliseconds or never. The oldest gives way.
const OPEN_DATAGRAMS: usize = 256;

/// Fragments of one datagram. 64: 64 KiB in packets of 1,280 bytes are 53.
const FRAGMENTS: usize = 64;

/// Source, destination, identification, protocol.
type Key = (IpAddr, IpAddr, u32, u8);

/// Datagrams in pieces.
#[derive(Default)]
pub(super) struct Fragments {
    open: HashMap<Key, Open>,
    begun: u64,
    lost: u64,
}

struct Open {
    buffer: IpDefragBuf,
    number: u64,
    pieces: usize,
}

/// What a datagram became.
pub(super) enum Assembled<'f> {
    Whole(Datagram<'f>),
    Waiting,
}

impl Fragments {
    /// Takes a datagram, and gives it back when it is whole.
    pub(super) fn take<'f>(&mut self, datagram: Datagram<'f>) -> Assembled<'f> {
        let Some(piece) = datagram.fragment else {
            return Assembled::Whole(datagram);
        };
        let Datagram {
            source,
            destination,
            protocol,
            payload,
            ..
        } = datagram;
        let key = (source, destination, piece.identification, protocol);
        if !self.open.contains_key(&key) {
            self.make_room();
        }
        self.begun += 1;
        let number = self.begun;
        let open = self.open.entry(key).or_insert_with(|| Open {
            buffer: IpDefragBuf::new(IpNumber(protocol), Vec::new(), Vec::new()),
            number,
            pieces: 0,
        });
        open.pieces += 1;
        let added = open.buffer.add(piece.offset, piece.more, &payload);
        if added.is_err() || open.pieces > FRAGMENTS {
            let pieces = self.open.remove(&key).map_or(0, |open| open.pieces);
            self.lost += pieces as u64;
            return Assembled::Waiting;
        }
        if !open.buffer.is_complete() {
            return Assembled::Waiting;
        }
        match self.open.remove(&key) {
            Some(open) => Assembled::Whole(Datagram {
                source,
                destination,
                protocol,
                payload: Cow::Owned(open.buffer.take_bufs().0),
                fragment: None,
            }),
            None => Assembled::Waiting,
        }
    }

    fn make_room(&mut self) {
        if self.open.len() < OPEN_DATAGRAMS {
            return;
        }
        let oldest = self.open.iter().min_by_key(|(_, open)| open.number);
        if let Some((&key, open)) = oldest {
            self.lost += open.pieces as u64;
            self.open.remove(&key);
        }
    }

    /// Fragments that never became a whole.
    pub(super) fn lost(&self) -> u64 {
        let open: usize = self.open.values().map(|open| open.pieces).sum();
        self.lost + open as u64
    }
}
