//! Both sides of every ceiling.

use std::time::Duration;

use policy::{Outcome, Verdict};
use sip_message::{HeaderKind, Method};
use sip_proxy::{ForkMode, FullTable, LogEvent, ProxyConfig, ProxyLimits, Routing};

use crate::harness::*;

fn limited(change: impl FnOnce(&mut ProxyLimits)) -> Routing {
    let mut routing = routing();
    change(&mut routing.limits);
    routing
}

fn is_full(net: &Net, table: FullTable) -> bool {
    net.log.contains(&LogEvent::Full(table))
}

#[test]
fn pending_consults() {
    let mut net = Net::new(limited(|limits| limits.pending_consults = 2));
    net.slow_policy();
    for call in ["1", "2"] {
        let invite = net.invite().call(call);
        net.send(PBX, &invite.text());
        net.expect(PBX, 100);
    }
    assert!(!is_full(&net, FullTable::PendingConsults));
    let invite = net.invite().call("3");
    net.send(PBX, &invite.text());
    let refused = net.expect(PBX, 503);
    assert_eq!(refused.values(HeaderKind::RetryAfter), ["5"]);
    assert!(is_full(&net, FullTable::PendingConsults));
    net.conclude(Outcome::reject(403, ""));
    net.expect(PBX, 403);
    let invite = net.invite().call("4");
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
}

#[test]
fn calls() {
    let mut net = Net::new(limited(|limits| limits.calls = 1));
    let call = net.call();
    assert!(!is_full(&net, FullTable::Calls));
    let invite = net.invite().call("2");
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    net.expect(PBX, 503);
    assert!(is_full(&net, FullTable::Calls));
    // What is no call has room, and so has what belongs to one.
    let branch = net.branch();
    net.send(PBX, &Request::new("MESSAGE", PBX, &branch).call("3").text());
    net.expect_request(TRUNK, Method::Message);
    let bye = net.caller_request(&call, "BYE", 2);
    net.send(PBX, &bye.text());
    let bye = net.expect_request(TRUNK, Method::Bye);
    net.reply(&bye, 200, "bob");
    let invite = net.invite().call("4");
    net.send(PBX, &invite.text());
    net.expect_request(TRUNK, Method::Invite);
}

#[test]
fn contexts() {
    let mut net = Net::new(limited(|limits| limits.contexts = 1));
    let call = net.call();
    let branch = net.branch();
    net.send(PBX, &Request::new("MESSAGE", PBX, &branch).call("2").text());
    net.expect(PBX, 503);
    assert!(is_full(&net, FullTable::Contexts));
    // A call can always end.
    let bye = net.caller_request(&call, "BYE", 2);
    net.send(PBX, &bye.text());
    net.expect_request(TRUNK, Method::Bye);
    net.wait(Duration::from_secs(70));
    net.forget();
    let branch = net.branch();
    net.send(PBX, &Request::new("INFO", PBX, &branch).call("3").text());
    net.expect_request(TRUNK, Method::Info);
}

#[test]
fn client_transactions() {
    let mut config = ProxyConfig::new([1; 32], std::sync::Arc::new(routing()));
    config.transaction_limits.client = 1;
    let mut net = Net::with(config);
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect_request(TRUNK, Method::Invite);
    let invite = net.invite().call("2");
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    net.expect(PBX, 100);
    let refused = net.expect(PBX, 503);
    assert_eq!(refused.values(HeaderKind::RetryAfter), ["5"]);
    assert!(is_full(&net, FullTable::ClientTransactions));
    net.quiet();
}

#[test]
fn targets_per_request() {
    let all = [TRUNK, TRUNK_2, TRUNK_3];
    let mut routing = routing_to(&all, |peer| peer.fork = ForkMode::Parallel);
    routing.limits.targets_per_request = 2;
    let mut net = Net::new(routing);
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    net.expect_request(TRUNK, Method::Invite);
    net.expect_request(TRUNK_2, Method::Invite);
    net.quiet();
}

#[test]
fn silenced() {
    for (limit, silent) in [(2, true), (1, false)] {
        let mut net = Net::new(limited(|limits| limits.silenced = limit));
        let asked = std::rc::Rc::new(std::cell::Cell::new(0));
        let count = std::rc::Rc::clone(&asked);
        net.policy(move |_| {
            count.set(count.get() + 1);
            Outcome::of(Verdict::Drop, "")
        });
        let first = net.invite().call("1");
        let second = net.invite().call("2");
        for request in [&first, &second, &first] {
            net.send(PBX, &request.text());
        }
        assert_eq!(asked.get(), if silent { 2 } else { 3 }, "limit {limit}");
        assert_eq!(net.proxy.figures().silenced, limit);
    }
}

#[test]
fn dialogs_per_call() {
    let mut net = Net::new(limited(|limits| limits.dialogs_per_call = 2));
    let invite = net.invite();
    net.send(PBX, &invite.text());
    net.expect(PBX, 100);
    let forwarded = net.expect_request(TRUNK, Method::Invite);
    for tag in ["a", "b", "c"] {
        net.reply(&forwarded, 183, tag);
        net.expect(PBX, 183);
    }
    let known = |net: &mut Net, tag: &str, cseq| {
        let branch = net.branch();
        let mut prack = Request::new("PRACK", PBX, &branch).cseq(cseq);
        prack.to = format!("<sip:100@proxy.example>;tag={tag}");
        net.send(PBX, &prack.text());
    };
    known(&mut net, "b", 2);
    net.expect_request(TRUNK, Method::Prack);
    known(&mut net, "c", 3);
    net.expect(PBX, 481);
    // A dialog that is confirmed takes the place of an early one.
    net.reply(&forwarded, 200, "c");
    net.expect(PBX, 200);
    known(&mut net, "c", 4);
    net.expect_request(TRUNK, Method::Prack);
}

#[test]
fn max_breadth_is_never_more_than_ours() {
    for (asked, written) in [
        ("59", "59"),
        ("60", "60"),
        ("61", "60"),
        ("99999999999", "60"),
    ] {
        let mut net = Net::new(routing());
        let invite = net.invite().with("Max-Breadth", asked);
        net.send(PBX, &invite.text());
        let forwarded = net.expect_request(TRUNK, Method::Invite);
        assert_eq!(forwarded.values(HeaderKind::MaxBreadth), [written]);
    }
}
