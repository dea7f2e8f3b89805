//! Which transaction a message belongs to (RFC 3261 sections 17.1.3, 17.2.3, 8.2.2.2, 9.2).

use super::stage::{Request, Stage, parse};
use crate::{Event, Refused, Transport};

fn invite() -> Request {
    Request::new("INVITE", "one")
}

#[test]
fn branch_sent_by_and_method_each_tell_transactions_apart() {
    let mut stage = Stage::over(Transport::Udp);
    let options = Request {
        method: "OPTIONS",
        ..invite()
    };
    let mut others = vec![options.clone()];
    others.push(Request {
        via: options.via.replace("192.0.2.1", "192.0.2.9"),
        cseq: 2,
        ..options.clone()
    });
    others.push(Request {
        via: options.via.replace(":5060", ":5062"),
        cseq: 3,
        ..options.clone()
    });
    others.push(Request {
        via: options.via.replace("bKone", "bKtwo"),
        cseq: 4,
        ..options.clone()
    });
    others.push(Request {
        method: "MESSAGE",
        ..options
    });
    for (index, request) in others.iter().enumerate() {
        stage.accept(request);
        assert_eq!(stage.layer.server_len(), index + 1);
    }
    for request in &others {
        stage.receive(request);
    }
    assert_eq!(stage.layer.figures().requests_absorbed, 5);
    assert!(stage.events().is_empty());
}

#[test]
fn responses_are_matched_by_branch_sent_by_and_method_of_cseq() {
    let mut stage = Stage::over(Transport::Udp);
    stage.send(&invite());
    stage.send(&invite().method("CANCEL"));
    stage.receive_bytes(invite().method("CANCEL").response(200, "bob"));
    assert_eq!(stage.events(), ["Response 200"]);
    assert_eq!(stage.layer.client_len(), 2);

    let elsewhere = Request {
        via: invite().via.replace("192.0.2.1", "192.0.2.9"),
        ..invite()
    };
    stage.receive_bytes(elsewhere.response(180, "bob"));
    stage.receive_bytes(Request::new("INVITE", "two").response(180, "bob"));
    stage.receive_bytes(invite().method("BYE").response(200, "bob"));
    assert_eq!(stage.events(), ["Stray 180", "Stray 180", "Stray 200"]);
    stage.receive_bytes(invite().response(180, "bob"));
    assert_eq!(stage.events(), ["Response 180"]);
}

#[test]
fn a_client_transaction_needs_a_request_and_a_branch_of_its_own() {
    let mut stage = Stage::over(Transport::Udp);
    stage.send(&invite());
    assert_eq!(stage.try_send(&invite()), Err(Refused::BranchInUse));
    assert_eq!(
        stage.try_send(&invite().method("ACK")),
        Err(Refused::NotTransactional)
    );
    assert_eq!(
        stage.try_send(&Request::legacy("INVITE")),
        Err(Refused::NoBranch)
    );
    let to = stage.flow.reply();
    let response = parse(invite().response(200, "bob"));
    let refused = stage.layer.request(stage.now, response, to);
    assert_eq!(refused, Err(Refused::NotTransactional));
    assert_eq!(stage.sent(), ["INVITE"]);
    assert_eq!(stage.layer.client_len(), 1);
}

#[test]
fn a_cancel_finds_its_invite_and_nothing_else() {
    let mut stage = Stage::over(Transport::Udp);
    let id = stage.accept(&invite());
    stage.receive(&invite().method("CANCEL"));
    match stage.layer.poll_event() {
        Some(Event::Cancel {
            id: own, target, ..
        }) => {
            assert_eq!(target, Some(id));
            assert_ne!(own, id);
            stage.respond(own, &invite().method("CANCEL"), 200);
        }
        other => panic!("{other:?}"),
    }
    stage.receive(&invite().method("CANCEL"));
    assert_eq!(
        stage.sent(),
        ["200", "200"],
        "a repeated CANCEL is absorbed"
    );
    stage.accept(&Request::new("OPTIONS", "three"));
    stage.receive(&Request::new("CANCEL", "two"));
    stage.receive(&Request::new("CANCEL", "three"));
    assert_eq!(stage.events(), ["Cancel lost", "Cancel lost"]);
}

#[test]
fn an_ack_for_a_2xx_belongs_to_no_transaction() {
    let mut stage = Stage::over(Transport::Udp);
    let id = stage.accept(&invite());
    stage.respond(id, &invite(), 200);
    let ack = Request {
        via: invite().via.replace("bKone", "bKack"),
        ..invite()
    };
    stage.receive(&ack.method("ACK").to_tag("bob"));
    assert_eq!(stage.events(), ["Ack"]);
    assert_eq!(stage.layer.len(), 1);
}

#[test]
fn legacy_requests_are_matched_by_their_fields() {
    let mut stage = Stage::over(Transport::Udp);
    let invite = Request::legacy("INVITE");
    let id = stage.accept(&invite);
    stage.receive(&invite);
    assert_eq!(stage.layer.figures().requests_absorbed, 1);
    for other in [
        Request {
            uri: "sip:carol@192.0.2.200",
            cseq: 2,
            ..invite.clone()
        },
        Request {
            call_id: "other".to_owned(),
            ..invite.clone()
        },
        Request {
            from_tag: Some("mallory"),
            ..invite.clone()
        },
        Request {
            cseq: 3,
            ..invite.clone()
        },
        Request {
            via: "SIP/2.0/UDP 192.0.2.1:5062".to_owned(),
            cseq: 4,
            ..invite.clone()
        },
        invite.to_tag("bob"),
    ] {
        stage.accept(&other);
    }

    stage.respond(id, &invite, 486);
    stage.sent();
    // The ACK has the To tag of the response, not of the INVITE.
    stage.receive(&invite.method("ACK").to_tag("somebody-else"));
    assert_eq!(stage.events(), ["Ack"]);
    stage.receive(&invite);
    assert_eq!(stage.sent(), ["486"], "not acknowledged yet");
    stage.receive(&invite.method("ACK").to_tag("bob"));
    stage.receive(&invite);
    assert!(stage.sent().is_empty() && stage.events().is_empty());
}

#[test]
fn a_legacy_cancel_finds_its_invite() {
    let mut stage = Stage::over(Transport::Udp);
    let invite = Request::legacy("INVITE");
    stage.accept(&invite);
    stage.receive(&invite.method("CANCEL"));
    let other = Request { cseq: 9, ..invite };
    stage.receive(&other.method("CANCEL"));
    assert_eq!(stage.events(), ["Cancel found", "Cancel lost"]);
}

fn copy() -> Request {
    Request {
        via: invite().via.replace("bKone", "bKcopy"),
        ..invite()
    }
}

#[test]
fn a_merged_request_is_answered_482_without_a_transaction() {
    let mut stage = Stage::over(Transport::Udp);
    stage.accept(&invite());
    stage.receive(&copy());
    let refusal = stage.layer.poll_transmit().unwrap();
    assert_eq!(refusal.transaction, None);
    assert_eq!(refusal.to.address, stage.flow.peer);
    let refusal = parse(refusal.bytes);
    assert_eq!(refusal.status(), Some(482));
    assert_eq!(refusal.top_via().branch, Some(&b"z9hG4bKcopy"[..]));
    assert_eq!(refusal.top_via().received, None);
    assert!(stage.events().is_empty());
    assert_eq!((stage.layer.len(), stage.layer.figures().merged), (1, 1));

    // The repeat of the copy is refused again, its ACK is swallowed, another ACK is not.
    stage.receive(&copy());
    assert_eq!(stage.sent(), ["482"]);
    let tag = String::from_utf8(refusal.to_tag().unwrap().to_vec()).unwrap();
    stage.receive(&copy().method("ACK").to_tag(&tag));
    assert!(stage.events().is_empty());
    assert_eq!(stage.layer.figures().acks_dropped, 1);
    stage.receive(&copy().method("ACK").to_tag("bob"));
    assert_eq!(stage.events(), ["Ack"]);
}

#[test]
fn a_refusal_finds_its_way_back_through_a_nat() {
    let mut stage = Stage::over(Transport::Udp);
    stage.accept(&invite());
    stage.flow.peer = "203.0.113.9:1024".parse().unwrap();
    let via = "SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKnat".to_owned();
    stage.receive(&Request { via, ..invite() });
    let refusal = stage.layer.poll_transmit().unwrap();
    assert_eq!(refusal.to.address, stage.flow.peer);
    assert_eq!(refusal.to.listener, Some(stage.flow.listener));
    let refusal = parse(refusal.bytes);
    assert_eq!(refusal.top_via().rport, Some(Some(1024)));
    assert_eq!(refusal.top_via().received, Some(&b"203.0.113.9"[..]));
}

#[test]
fn ack_and_cancel_are_never_merged_requests() {
    let mut stage = Stage::over(Transport::Udp);
    stage.accept(&invite());
    stage.receive(&copy().method("ACK"));
    stage.receive(&copy().method("CANCEL"));
    // Nor does a CANCEL or an ACK make a merged request of what follows.
    let second = Request::new("INVITE", "two");
    stage.receive(&second.method("CANCEL"));
    stage.receive(&second.method("ACK"));
    stage.receive(&Request {
        via: copy().via,
        ..second
    });
    assert_eq!(
        stage.events(),
        ["Ack", "Cancel lost", "Cancel lost", "Ack", "Request INVITE"]
    );
    assert_eq!(stage.layer.figures().merged, 0);
}

#[test]
fn requests_that_differ_are_not_merged() {
    let mut stage = Stage::over(Transport::Udp);
    stage.accept(&invite());
    for other in [
        Request { cseq: 2, ..copy() },
        Request {
            from_tag: Some("mallory"),
            via: format!("{}b", copy().via),
            ..copy()
        },
        Request {
            call_id: "other".to_owned(),
            via: format!("{}c", copy().via),
            ..copy()
        },
        // Inside a dialog, the To tag shows that no upstream proxy forked it.
        Request {
            via: format!("{}d", copy().via),
            ..copy().to_tag("bob")
        },
    ] {
        stage.accept(&other);
    }
}

#[test]
fn a_request_is_not_merged_with_one_that_has_ended() {
    let mut stage = Stage::over(Transport::Udp);
    let id = stage.accept(&invite());
    stage.respond(id, &invite(), 486);
    stage.receive(&copy());
    assert_eq!(
        stage.sent(),
        ["486", "482"],
        "ongoing until it is terminated"
    );
    stage.receive(&invite().method("ACK").to_tag("bob"));
    stage.run_until(6_000);
    stage.assert_at_rest();
    stage.accept(&copy());
}

#[test]
fn a_spiral_is_not_a_merged_request() {
    let mut stage = Stage::over(Transport::Udp);
    stage.accept(&invite());
    let forwarded = Request {
        via: "SIP/2.0/UDP 192.0.2.200;branch=z9hG4bKours".to_owned(),
        lower_vias: vec![invite().via],
        ..invite()
    };
    stage.send(&forwarded);
    // It comes back from a proxy behind us, our own Via below that proxy's.
    let spiral = Request {
        via: "SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKtheirs".to_owned(),
        lower_vias: vec![forwarded.via, invite().via],
        ..invite()
    };
    stage.accept(&spiral);
    // A Via that only looks like ours does not help.
    let forged = Request {
        via: "SIP/2.0/UDP 192.0.2.78;branch=z9hG4bKforged".to_owned(),
        lower_vias: vec![
            "SIP/2.0/UDP 192.0.2.200;branch=z9hG4bKguess".to_owned(),
            invite().via,
        ],
        ..invite()
    };
    stage.receive(&forged);
    assert_eq!(stage.layer.figures().merged, 1);
}
