//! The overlay over a real state: what is seen, and that nothing is left behind.

use arc_swap::ArcSwap;
use state::digest::{Accounts, Nonces};

use super::*;
use crate::services::{Lookups, RecentNumbers};

const NOW: u64 = 1_700_000_000_000;

struct World {
    state: State,
    live: HostServices,
    overlay: Arc<Overlay>,
    shadow: HostServices,
}

fn world() -> World {
    let state = State::open(None, state::Limits::default(), NOW).unwrap();
    let live = HostServices::embedded(
        state.clone(),
        Arc::new(ArcSwap::from_pointee(Accounts::empty())),
        Arc::new(Nonces::new([1; 32], std::time::Duration::from_secs(60))),
        Arc::new(Lookups::default()),
        Arc::new(RecentNumbers::new().unwrap()),
    );
    let overlay = Overlay::over(live.clone()).unwrap();
    let shadow = overlay.services();
    World {
        state,
        live,
        overlay,
        shadow,
    }
}

fn add(services: &HostServices, amount: u32) -> u64 {
    let addition = Addition {
        scope: "p",
        name: "calls",
        key: b"alice",
        amount,
        window_ms: 60_000,
        durable: true,
        now_ms: NOW,
    };
    services.counters.add(addition).unwrap()
}

fn wish(limit: u64) -> LeaseWish<'static> {
    LeaseWish {
        scope: "p",
        name: "calls",
        key: b"alice",
        amount: 1,
        limit,
    }
}

#[test]
fn a_counter_of_the_live_version_is_seen_and_not_counted_twice() {
    let world = world();
    for _ in 0..5 {
        add(&world.live, 1);
    }
    assert_eq!(add(&world.live, 1), 6);
    assert_eq!(add(&world.shadow, 1), 6, "the same request, counted live");
    assert_eq!(add(&world.live, 0), 6, "nothing is left behind");
    // A counter that only the shadow keeps.
    for expected in 7..=9 {
        let own = (1..expected).fold(0, |_, _| add(&world.shadow, 1));
        assert!(own >= expected - 1);
    }
    assert_eq!(add(&world.live, 0), 6);
    let reset = world.shadow.counters.reset("p", "calls", b"alice", NOW);
    reset.unwrap();
    assert_eq!(add(&world.shadow, 1), 1);
    assert_eq!(add(&world.live, 0), 6);
}

#[test]
fn tokens_of_the_shadow_are_its_own() {
    let world = world();
    let take = |services: &HostServices| {
        let request = TokenRequest {
            scope: "p",
            name: "b",
            key: b"k",
            tokens: 1,
            capacity: 1,
            refill_per_second_milli: 1,
            now_ms: NOW,
        };
        services.counters.take(request).unwrap().taken
    };
    assert!(take(&world.shadow));
    assert!(!take(&world.shadow));
    assert!(take(&world.live), "the live bucket was not touched");
}

#[test]
fn values_are_copied_when_they_are_written() {
    let world = world();
    let get = |services: &HostServices, key: &str| services.keyvalue.get("p", key, NOW).unwrap();
    let set = |services: &HostServices, key: &str, value: &[u8]| {
        services.keyvalue.set("p", key, value, 0, NOW).unwrap();
    };
    set(&world.live, "a", b"live");
    assert_eq!(get(&world.shadow, "a").unwrap(), b"live");
    set(&world.shadow, "a", b"");
    assert_eq!(get(&world.shadow, "a").unwrap(), b"");
    assert_eq!(get(&world.live, "a").unwrap(), b"live");
    assert!(world.shadow.keyvalue.delete("p", "a", NOW).unwrap());
    assert!(!world.shadow.keyvalue.delete("p", "a", NOW).unwrap());
    assert_eq!(get(&world.shadow, "a"), None);
    assert_eq!(get(&world.live, "a").unwrap(), b"live");
    let most = vec![7; 65_536];
    set(&world.shadow, "b", &most);
    assert_eq!(get(&world.shadow, "b").unwrap(), most);
    let more = vec![7; 65_537];
    let refused = world.shadow.keyvalue.set("p", "b", &more, 0, NOW);
    assert_eq!(refused, Err(KeyvalueError::Invalid));
    assert_eq!(get(&world.live, "b"), None);
}

#[test]
fn a_shadow_holds_what_the_live_call_holds_and_both_end_together() {
    let world = world();
    let leases = world.state.leases();
    let other = world.live.leases.open();
    assert!(other.hold(wish(9)).unwrap().granted);
    // The second of two calls: live takes the last place, and so does the shadow.
    let understudy = world.overlay.open();
    let call = WatchedHoldings::new(
        world.live.leases.open(),
        vec![(Arc::from("p"), Arc::clone(&understudy))],
    );
    assert_eq!(call.hold(wish(2)).unwrap().held, 2);
    world.overlay.begin(Precedent {
        at_ms: NOW,
        held: call.granted(),
        codes: Vec::new(),
    });
    let shadow = call.understudy("p").unwrap();
    assert!(call.understudy("q").is_none());
    assert_eq!(world.shadow.leases.held("p", "calls", b"alice"), Ok(1));
    let held = shadow.hold(wish(2)).unwrap();
    assert!(held.granted);
    assert_eq!(held.held, 2);
    assert_eq!(world.shadow.leases.held("p", "calls", b"alice"), Ok(2));
    // A third finds no place, here or there, though the shadow knows of one call only.
    let third = world.overlay.open();
    world.overlay.begin(Precedent::default());
    assert!(!third.hold(wish(2)).unwrap().granted);
    assert!(third.hold(wish(3)).unwrap().granted);
    drop(third);
    assert_eq!(leases.figures().units, 2, "the shadow took nothing");
    call.release();
    assert_eq!(leases.figures().units, 1);
    assert_eq!(world.overlay.leases.0.figures().units, 0);
    assert_eq!(shadow.hold(wish(9)), Err(LeaseError::NoCall));
    drop(other);
    assert!(leases.figures().conserved());
    assert!(world.overlay.leases.0.figures().conserved());
}

#[test]
fn codes_are_answered_from_the_live_run_and_never_tried() {
    let world = world();
    let codes = &world.shadow.credentials;
    assert_eq!(
        codes.check_code("alice", "1234", NOW),
        CodeVerification::Wrong
    );
    world.overlay.begin(Precedent {
        at_ms: NOW + 5,
        held: Vec::new(),
        codes: vec![(code_key("alice", "1234"), CodeVerification::Ok)],
    });
    assert_eq!(codes.check_code("alice", "1234", NOW), CodeVerification::Ok);
    assert_eq!(
        codes.check_code("alic", "e1234", NOW),
        CodeVerification::Wrong
    );
    assert_eq!(world.shadow.clock.now_ms(), NOW + 5);
}

#[test]
fn resets_have_a_ceiling() {
    let world = world();
    for number in 0..=RESETS {
        let key = number.to_string();
        let reset = world.shadow.counters.reset("p", "n", key.as_bytes(), NOW);
        reset.unwrap();
    }
    assert_eq!(world.overlay.resets.lock().len(), 1);
}
