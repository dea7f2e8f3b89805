//! The shard's way out, where final responses wait for records.
//!
//! Where the operator wants durable records, the end of a call is acknowledged only once
//! its record is on the disk: the 200 to a BYE, and every refusal. A record that is
//! handed to the writer opens a *hold*; the final responses that the same piece of work
//! causes wait behind it, and leave when the writer has confirmed all its records.
//! Nothing else waits: requests (a BYE that ends a call whose time is up must not depend
//! on a disk), provisional responses, and other pieces of work.
//!
//! A retransmission of a response that waits is no second message, and does not overtake
//! it. Holds are bounded by the calls that were let in while records had room.

use hashbrown::HashMap;
use records::Receipt;
use sip_transaction::{TransactionId, Transmit};
use transport::Sender;

/// Bits of a receipt that name the hold; the others name the shard.
const HOLD_BITS: u32 = 48;

/// Shard and hold of a receipt.
pub(crate) fn of_receipt(receipt: Receipt) -> (usize, u64) {
    let shard = usize::try_from(receipt >> HOLD_BITS).unwrap_or(usize::MAX);
    (shard, receipt & ((1 << HOLD_BITS) - 1))
}

/// Where bytes go.
pub(crate) trait Wire {
    /// Send them.
    fn send(&self, transmit: Transmit);
}

impl Wire for Sender {
    fn send(&self, transmit: Transmit) {
        Self::send(self, transmit);
    }
}

/// See the top of the file.
pub(crate) struct Outlet<W = Sender> {
    wire: W,
    shard: usize,
    next: u64,
    /// The hold of this piece of work, if a record was handed over in it.
    current: Option<u64>,
    holds: HashMap<u64, Hold>,
    /// Transactions whose final response waits, and behind which hold.
    waiting: HashMap<TransactionId, u64>,
}

#[derive(Default)]
struct Hold {
    /// Records that are not confirmed.
    records: usize,
    responses: Vec<Transmit>,
}

impl<W: Wire> Outlet<W> {
    pub(crate) fn new(wire: W, shard: usize) -> Self {
        Self {
            wire,
            shard,
            next: 0,
            current: None,
            holds: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    /// Final responses of this piece of work wait for one more record. The receipt goes
    /// with that record.
    pub(crate) fn hold(&mut self) -> Receipt {
        let number = *self.current.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.holds.entry(number).or_default().records += 1;
        (self.shard as u64) << HOLD_BITS | number
    }

    /// Send, now or when the records are there.
    pub(crate) fn send(&mut self, transmit: Transmit) {
        let before = transmit
            .transaction
            .and_then(|transaction| self.waiting.get(&transaction));
        let number = match (before, self.current) {
            (Some(number), _) => *number,
            (None, Some(number)) if is_final(&transmit.bytes) => number,
            _ => return self.wire.send(transmit),
        };
        let Some(hold) = self.holds.get_mut(&number) else {
            return self.wire.send(transmit);
        };
        if before.is_some() {
            let same = |it: &Transmit| {
                it.transaction == transmit.transaction && it.bytes == transmit.bytes
            };
            if hold.responses.iter().any(same) {
                return;
            }
        }
        if let Some(transaction) = transmit.transaction {
            self.waiting.insert(transaction, number);
        }
        hold.responses.push(transmit);
    }

    /// A piece of work is done: what comes now belongs to another.
    pub(crate) fn turn_over(&mut self) {
        if let Some(number) = self.current.take() {
            self.release_if_done(number);
        }
    }

    /// Records are on the disk; each hold is named once for each of its records.
    pub(crate) fn confirmed(&mut self, holds: &[u64]) {
        for number in holds {
            if let Some(hold) = self.holds.get_mut(number) {
                hold.records = hold.records.saturating_sub(1);
                self.release_if_done(*number);
            }
        }
    }

    /// Final responses that wait.
    pub(crate) fn held(&self) -> usize {
        self.holds.values().map(|hold| hold.responses.len()).sum()
    }

    fn release_if_done(&mut self, number: u64) {
        let is_done = |hold: &Hold| hold.records == 0 || hold.responses.is_empty();
        if self.current == Some(number) || !self.holds.get(&number).is_some_and(is_done) {
            return;
        }
        let hold = self.holds.remove(&number).unwrap_or_default();
        for response in hold.responses {
            if let Some(transaction) = response.transaction {
                self.waiting.remove(&transaction);
            }
            self.wire.send(response);
        }
    }
}

/// Whether it is a response of 200 to 699.
fn is_final(bytes: &[u8]) -> bool {
    let status = bytes.strip_prefix(b"SIP/2.0 ");
    matches!(status, Some([b'2'..=b'6', ..]))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use bytes::Bytes;
    use sip_message::{Limits, Message};
    use sip_transaction::{
        Destination, Event, Flow, ListenerId, Moment, TableLimits, Timers, TransactionLayer,
        Transport,
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Sent(Rc<RefCell<Vec<Bytes>>>);

    impl Wire for Sent {
        fn send(&self, transmit: Transmit) {
            self.0.borrow_mut().push(transmit.bytes);
        }
    }

    impl Sent {
        fn take(&self) -> Vec<String> {
            let sent = std::mem::take(&mut *self.0.borrow_mut());
            let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
            sent.iter().map(text).collect()
        }
    }

    fn outlet() -> (Outlet<Sent>, Sent) {
        let sent = Sent::default();
        (Outlet::new(sent.clone(), 3), sent)
    }

    fn transmit(text: &'static str, transaction: Option<TransactionId>) -> Transmit {
        Transmit {
            to: Destination::new(Transport::Udp, ([192, 0, 2, 1], 5060).into()),
            bytes: Bytes::from_static(text.as_bytes()),
            transaction,
        }
    }

    const OK: &str = "SIP/2.0 200 OK\r\n";
    const BUSY: &str = "SIP/2.0 486 Busy\r\n";
    const RINGING: &str = "SIP/2.0 180 Ringing\r\n";
    const BYE: &str = "BYE sip:a@b SIP/2.0\r\n";

    #[test]
    fn without_a_record_nothing_waits() {
        let (mut outlet, sent) = outlet();
        for text in [OK, BUSY, RINGING, BYE] {
            outlet.send(transmit(text, None));
        }
        outlet.turn_over();
        assert_eq!(sent.take(), [OK, BUSY, RINGING, BYE]);
    }

    #[test]
    fn final_responses_wait_for_all_records_and_the_rest_for_none() {
        let (mut outlet, sent) = outlet();
        let (shard, hold) = of_receipt(outlet.hold());
        assert_eq!((shard, of_receipt(outlet.hold())), (3, (3, hold)));
        for text in [OK, RINGING, BYE] {
            outlet.send(transmit(text, None));
        }
        outlet.turn_over();
        outlet.send(transmit(BUSY, None));
        assert_eq!(
            sent.take(),
            [RINGING, BYE, BUSY],
            "another piece of work goes on"
        );
        assert_eq!(outlet.held(), 1);
        outlet.confirmed(&[hold]);
        assert_eq!(sent.take(), [""; 0]);
        outlet.confirmed(&[hold]);
        assert_eq!(sent.take(), [OK]);
        outlet.confirmed(&[hold]);
        assert_eq!((outlet.held(), outlet.holds.len()), (0, 0));
    }

    #[test]
    fn a_hold_without_responses_is_forgotten() {
        let (mut outlet, sent) = outlet();
        outlet.hold();
        outlet.send(transmit(BYE, None));
        outlet.turn_over();
        assert_eq!(sent.take(), [BYE]);
        assert!(outlet.holds.is_empty() && outlet.waiting.is_empty());
    }

    /// Two transactions of a real layer.
    fn transactions() -> [TransactionId; 2] {
        let mut layer = TransactionLayer::new(Timers::default(), TableLimits::default(), 1);
        let flow = Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            local: ([192, 0, 2, 2], 5060).into(),
            peer: ([192, 0, 2, 1], 5060).into(),
            connection: None,
        };
        ["z9hG4bK1", "z9hG4bK2"].map(|branch| {
            let text = format!(
                "BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch={branch}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n\
                 Call-ID: x\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n"
            );
            let message = Message::parse_datagram(text.into(), &Limits::default()).unwrap();
            layer.handle_message(Moment::from_micros(1), message.into(), &flow);
            match layer.poll_event() {
                Some(Event::Request { id, .. }) => id,
                other => panic!("{other:?}"),
            }
        })
    }

    #[test]
    fn a_retransmission_neither_overtakes_nor_doubles_what_waits() {
        let (mut outlet, sent) = outlet();
        let [held, other] = transactions();
        let (_, hold) = of_receipt(outlet.hold());
        outlet.send(transmit(OK, Some(held)));
        outlet.turn_over();
        // The peer sent its BYE again, and the layer its answer.
        outlet.send(transmit(OK, Some(held)));
        outlet.send(transmit(OK, Some(other)));
        outlet.turn_over();
        assert_eq!(sent.take(), [OK], "of the other transaction");
        assert_eq!(outlet.held(), 1);
        outlet.confirmed(&[hold]);
        assert_eq!(sent.take(), [OK], "once");
        outlet.send(transmit(OK, Some(held)));
        assert_eq!(sent.take(), [OK], "from now on at once");
        assert!(outlet.holds.is_empty() && outlet.waiting.is_empty());
    }

    #[test]
    fn a_record_that_is_confirmed_within_its_own_turn_lets_go_at_its_end() {
        let (mut outlet, sent) = outlet();
        let (_, hold) = of_receipt(outlet.hold());
        outlet.confirmed(&[hold]);
        outlet.send(transmit(BUSY, None));
        assert_eq!(sent.take(), [""; 0], "another record of the turn may come");
        outlet.turn_over();
        assert_eq!(sent.take(), [BUSY]);
    }
}
