//! One stream: two ends, and what passes between them.

use media::gate::Component;
use media::{EndPlan, Rejection, Side, StreamFigures};

use crate::backend::Outgoing;
use crate::end::{Admitted, Arrival, Dropped, End, Kind};
use crate::shield::{FlowStart, Shield};

/// What became of a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Passed {
    /// It goes on to the other party.
    On(Outgoing),
    /// It is for our handshake with this party.
    Handshake,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) index: u8,
    generation: u32,
    pub(crate) ends: [End; 2],
}

impl Stream {
    pub(crate) fn new(index: u8, ends: &[EndPlan; 2]) -> Self {
        let [caller, callee] = ends;
        Stream {
            index,
            generation: 0,
            ends: [End::new(caller), End::new(callee)],
        }
    }

    /// Follows a plan, unless a newer one was followed already.
    pub(crate) fn apply(
        &mut self,
        generation: u32,
        plans: [EndPlan; 2],
        start: &FlowStart<'_>,
    ) -> bool {
        if generation < self.generation {
            return false;
        }
        self.generation = generation;
        for (end, plan) in self.ends.iter_mut().zip(plans) {
            let start = FlowStart {
                rtcp: !plan.rtcp_mux,
                ..*start
            };
            end.apply(plan, &start);
        }
        true
    }

    /// Nothing passes any more; what passed is still known.
    pub(crate) fn shut(&mut self) {
        for end in &mut self.ends {
            end.shut();
        }
    }

    /// Takes a datagram from one side: opened, checked, counted and closed for the
    /// other one, all in its buffer.
    pub(crate) fn relay(
        &mut self,
        side: Side,
        arrival: Arrival,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<Passed, Dropped> {
        let [caller, callee] = &mut self.ends;
        let (from, to) = match side {
            Side::Caller => (caller, callee),
            Side::Callee => (callee, caller),
        };
        let (kind, opened) = match from.admit(arrival, buffer, length)? {
            Admitted::Handshake => return Ok(Passed::Handshake),
            Admitted::Media(kind, opened) => (kind, opened),
        };
        let passthrough = |end: &End| matches!(end.shield, Shield::Passthrough);
        if passthrough(from) != passthrough(to) {
            return Err(Rejection::Closed.into());
        }
        let outgoing = to.emit(kind, arrival.component, buffer, opened)?;
        match kind {
            Kind::Rtp(head) => from.tally.count(head, length, &from.plan, arrival.now_us),
            Kind::Udptl => from.tally.count_octets(length),
            Kind::Rtcp | Kind::Dtls => {}
        }
        Ok(Passed::On(outgoing))
    }

    /// Reads what a packet from `side` will need, for [`crate::engine::Engine::warm`].
    pub(crate) fn warm(&self, side: Side) {
        side.of(&self.ends).warm_receiving();
        side.other().of(&self.ends).warm_sending();
    }

    /// The same for the keys, which lie behind it.
    pub(crate) fn warm_keys(&self, side: Side, component: Component) {
        side.of(&self.ends).shield.warm_receiving(component);
        side.other().of(&self.ends).shield.warm_sending(component);
    }

    /// Whether media may flow between the parties.
    pub(crate) fn is_open(&self) -> bool {
        self.ends.iter().all(End::is_open)
    }

    /// Whether `side` may be expected to send.
    pub(crate) fn expects(&self, side: Side) -> bool {
        self.is_open()
            && side.of(&self.ends).plan.sends
            && side.other().of(&self.ends).plan.receives
    }

    pub(crate) fn figures(&self) -> impl Iterator<Item = StreamFigures> {
        Side::BOTH.into_iter().map(|side| {
            let end = side.of(&self.ends);
            end.tally.figures(self.index, side, end.shield.cipher())
        })
    }
}
