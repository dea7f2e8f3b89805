//! The first packets: those of a party that speaks as soon as it has read the answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use media::Protection;

use crate::harness::{Call, Party, free_ports, rtp};
use crate::on_each_backend;

/// Answers in one test.
const ROUNDS: u16 = 300;

/// Speaks so much that the relay lets packets gather before it looks at them.
fn chatter(party: &Party, over: &AtomicBool) {
    let mut sequence = 0;
    while !over.load(Ordering::Relaxed) {
        party.send(&rtp(9, sequence));
        sequence = sequence.wrapping_add(1);
        std::thread::sleep(Duration::from_micros(300));
    }
}

/// Ends what the other thread does, also when an assertion fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

on_each_backend! {
    fn none_is_lost_right_after_the_order(backend) {
        let mut call = Call::new(backend);
        // Another stream of the same worker, busy all the time.
        let (talker, listener) = (Party::new(), Party::new());
        call.agree_on(1, [&talker, &listener].map(|party| party.plan(Protection::Plain)));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| chatter(&talker, &over));
            let _over = Over(&over);
            std::thread::sleep(Duration::from_millis(100));
            for sequence in 0..ROUNDS {
                // Offered, as when a call is put to other ports...
                call.caller.ours = free_ports();
                let offered = call.plans(Protection::Plain, Protection::Closed);
                call.agree(offered);
                std::thread::sleep(Duration::from_millis(u64::from(sequence % 4)));
                // ... and answered.
                let answered = call.plans(Protection::Plain, Protection::Plain);
                call.agree(answered);
                call.caller.send(&rtp(1, sequence));
                assert_eq!(call.callee.receive(), rtp(1, sequence), "{sequence}");
            }
        });
        let figures = call.close();
        // What the other stream sent last may meet the closing of the session.
        let mut asked = figures.streams.iter().filter(|figures| figures.stream == 0);
        assert!(asked.all(|figures| figures.rejected.closed == 0));
    }
}
