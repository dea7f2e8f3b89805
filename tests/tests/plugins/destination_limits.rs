//! `destination-limits`: which numbers may be called.

use serde_json::json;
use sipward_tests::guests::{Caller, Host, Worker, admitted, refusal};

use crate::refuses_settings;

#[test]
fn destination_limits_read_a_number_however_it_is_dialled() {
    let host = Host::new();
    let plugin = host.plugin(
        "destination-limits",
        json!({
            "default": "deny", "country_code": "49", "national_prefix": "0",
            "allow": ["+49", "110"], "deny": ["+49900"], "names": ["reception"],
        }),
    );
    let mut worker = Worker::new(&[&plugin]);
    let caller = Caller::at("192.0.2.1");
    for (uri, status) in [
        ("sip:+4930123456@pbx.example", None),
        ("sip:004930123456@pbx.example", None),
        ("sip:030123456@pbx.example", None),
        ("sip:+49-30-123.456@pbx.example;user=phone", None),
        ("sip:%2B4930123456@pbx.example", None),
        ("tel:+4930123456", None),
        ("sip:110@pbx.example", None),
        ("sip:reception@pbx.example", None),
        ("sip:+49900123456@pbx.example", Some(403)),
        ("sip:0900123456@pbx.example", Some(403)),
        ("sip:%30900123456@pbx.example", Some(403)),
        ("sip:+8817123456789@pbx.example", Some(403)),
        ("sip:kitchen@pbx.example", Some(403)),
        ("sip:pbx.example", Some(484)),
        // Fifteen digits are a number, sixteen are none; so are seven and six.
        ("sip:+493012345678901@pbx.example", None),
        ("sip:+4930123456789012@pbx.example", Some(604)),
        ("sip:+4930123@pbx.example", None),
        ("sip:+493012@pbx.example", Some(484)),
    ] {
        let conclusion = worker.judge(caller.invite(uri));
        match status {
            None => assert!(admitted(&conclusion), "{uri}: {:?}", conclusion.decision),
            Some(status) => {
                let (given, plugin, reason) = refusal(&conclusion);
                assert_eq!(
                    (given, plugin),
                    (status, "destination-limits"),
                    "{uri}: {reason}"
                );
            }
        }
    }
    let refer = |target: &str| {
        caller.request(
            "REFER",
            "sip:110@pbx.example",
            &format!("Refer-To: <{target}>\r\n"),
        )
    };
    assert!(admitted(
        &worker.judge(refer("sip:+4930123456@pbx.example"))
    ));
    assert_eq!(
        refusal(&worker.judge(refer("sip:+49900123456@pbx.example"))).0,
        403
    );
    assert_eq!(
        refusal(&worker.judge(caller.request("REFER", "sip:110@pbx.example", ""))).0,
        400
    );
    assert!(admitted(&worker.judge(caller.request(
        "OPTIONS",
        "sip:+49900123456@pbx.example",
        ""
    ))));
}

#[test]
fn destination_limits_name_the_wrong_key() {
    refuses_settings(
        "destination-limits",
        &[
            (json!({ "default": "perhaps" }), "default"),
            (
                json!({ "default": "deny", "allow": ["+49", "forty-nine"] }),
                "allow[1]",
            ),
            (
                json!({ "default": "deny", "methods": ["invite"] }),
                "methods[0]",
            ),
            (
                json!({ "default": "deny", "allow": ["+49"], "deny": ["+49"] }),
                "allow",
            ),
        ],
    );
}
