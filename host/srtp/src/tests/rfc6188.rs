//! RFC 6188 section 7 (AES-256), and the packet with which libsrtp checks itself.

use media::Suite;

use super::{material, octets, with_room};
use crate::counter_mode::CounterMode;
use crate::derivation::{Protocol, SessionKeys};
use crate::{ContextLimits, ReceiveContext, SendContext};

const MASTER: &str = "f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6
    3b04803de51ee7c96423ab5b78d2";

/// Section 7.1: the key stream of AES_256_CM.
#[test]
fn counter_mode_key_stream() {
    let key = octets("57f82fe3613fd170a85ec93c40b1f092 2ec4cb0dc025b58272147cc438944a98");
    let salt = octets("f0f1f2f3f4f5f6f7f8f9fafbfcfd");
    let keys = SessionKeys::stated(&key, [0; 20], &salt);
    let cipher = CounterMode::new(&keys, 10).unwrap();
    let mut stream = vec![0; 0xff02 * 16];
    cipher.apply_key_stream(0, 0, &mut stream).unwrap();
    for (block, expected) in [
        (0x0000, "92bdd28a93c3f52511c677d08b5515a4"),
        (0x0001, "9da71b2378a854f67050756ded165bac"),
        (0x0002, "63c4868b7096d88421b563b8c94c9a31"),
        (0xfeff, "cea518c90fd91ced9cbb18c078a54711"),
        (0xff00, "3dbc4814f4da5f00a08772b63c6a046d"),
        (0xff01, "6eb246913062a16891433e97dd01a57f"),
    ] {
        assert_eq!(
            stream[block * 16..][..16],
            octets(expected),
            "block {block:x}"
        );
    }
}

/// Section 7.2: session keys of AES_256_CM_PRF.
#[test]
fn key_derivation() {
    let keys =
        SessionKeys::derive(Suite::AesCm256HmacSha1_80, &octets(MASTER), Protocol::Rtp).unwrap();
    assert_eq!(
        keys.encryption(),
        octets("5ba1064e30ec51613cad926c5a28ef73 1ec7fb397f70a960653caf06554cd8c4")
    );
    assert_eq!(keys.salt.to_vec(), octets("fa31791685ca444a9e07c6c64e93"));
    assert_eq!(
        keys.authentication.to_vec(),
        octets("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05")
    );
}

#[test]
fn packet_of_libsrtp() {
    let material = material(Suite::AesCm256HmacSha1_80, MASTER);
    let mut send = SendContext::new(&material, ContextLimits::default()).unwrap();
    let mut receive = ReceiveContext::new(&material, ContextLimits::default()).unwrap();
    let rtp = octets("800f1234 decafbad cafebabe abababab abababab abababab abababab");
    let mut buffer = with_room(&rtp, 10);
    let len = send.protect_rtp(&mut buffer, rtp.len()).unwrap();
    assert_eq!(
        buffer[..len],
        octets(
            "800f1234 decafbad cafebabe f1d9de17 ff251ff1 aa007774 b0b4b40d
             a08d9d9a5b3a55d8873b"
        )
    );
    let len = receive.unprotect_rtp(&mut buffer, len).unwrap();
    assert_eq!(buffer[..len], rtp);
}
