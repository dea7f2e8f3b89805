//! Properties of the small parsers. What a whole message and a stream promise is tried by
//! the fuzz programs of this repository's `tests`.

#![cfg(test)]

use proptest::prelude::*;
use sip_message::{NameAddr, Uri, Via};

proptest! {
    #![proptest_config(ProptestConfig { cases: 8_192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn small_parsers_take_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "[sipatel:@;?=<>,\\[\\]%/.\" 0-9A-F]{0,40}") {
        for input in [&bytes[..], text.as_bytes()] {
            let _ = NameAddr::parse(input).map(|address| address.tag());
            let _ = Via::parse(input).map(|via| via.received_address());
            if let Ok(uri) = Uri::parse(input) {
                prop_assert_eq!(uri.raw, input);
                prop_assert!(uri.equivalent(&uri));
                let _ = (uri.host_port(), uri.number(), uri.scheme_name(), uri.is_lr());
            }
        }
    }
}
