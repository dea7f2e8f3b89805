//! RFC 3711 appendix B, and the packets with which libsrtp checks itself.

use media::Suite;

use super::{material, octets, with_room};
use crate::counter_mode::CounterMode;
use crate::derivation::{Protocol, SessionKeys, authentication_stream};
use crate::{ContextLimits, ReceiveContext, SendContext};

const MASTER: &str = "E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6";

/// Appendix B.2: the key stream of AES-CM.
#[test]
fn counter_mode_key_stream() {
    let key = octets("2B7E151628AED2A6ABF7158809CF4F3C");
    let salt = octets("F0F1F2F3F4F5F6F7F8F9FAFBFCFD");
    let keys = SessionKeys::stated(&key, [0; 20], &salt);
    let cipher = CounterMode::new(&keys, 10).unwrap();
    let mut stream = vec![0; 0xff02 * 16];
    cipher.apply_key_stream(0, 0, &mut stream).unwrap();
    for (block, expected) in [
        (0x0000, "E03EAD0935C95E80E166B16DD92B4EB4"),
        (0x0001, "D23513162B02D0F72A43A2FE4A5F97AB"),
        (0x0002, "41E95B3BB0A2E8DD477901E4FCA894C0"),
        (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
        (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
        (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
    ] {
        assert_eq!(
            stream[block * 16..][..16],
            octets(expected),
            "block {block:x}"
        );
    }
}

/// Appendix B.3: session keys and the long authentication key.
#[test]
fn key_derivation() {
    let master = octets(MASTER);
    let keys = SessionKeys::derive(Suite::AesCm128HmacSha1_80, &master, Protocol::Rtp).unwrap();
    assert_eq!(
        keys.encryption(),
        octets("C61E7A93744F39EE10734AFE3FF7A087")
    );
    assert_eq!(keys.salt.to_vec(), octets("30CBBC08863D8C85D49DB34A9AE1"));
    let long = octets(
        "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE
         E049646C43D9327AD175578EF7227098 6371C10C9A369AC2F94A8C5FBCDDDC25
         6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2",
    );
    assert_eq!(keys.authentication.to_vec(), long[..20]);
    let mut stream = vec![0; long.len()];
    authentication_stream(&master[..16], &master[16..], &mut stream);
    assert_eq!(stream, long);
}

/// SRTCP derives from other labels than SRTP.
#[test]
fn protocols_do_not_share_keys() {
    let master = octets(MASTER);
    let derive =
        |protocol| SessionKeys::derive(Suite::AesCm128HmacSha1_80, &master, protocol).unwrap();
    let (rtp, rtcp) = (derive(Protocol::Rtp), derive(Protocol::Rtcp));
    assert_ne!(rtp.encryption(), rtcp.encryption());
    assert_ne!(*rtp.authentication, *rtcp.authentication);
    assert_ne!(*rtp.salt, *rtcp.salt);
}

/// The packets of libsrtp's self-test, made by another implementation.
#[test]
fn packets_of_libsrtp() {
    let material = material(Suite::AesCm128HmacSha1_80, MASTER);
    let mut send = SendContext::new(&material, ContextLimits::default()).unwrap();
    let mut receive = ReceiveContext::new(&material, ContextLimits::default()).unwrap();

    let rtp = octets("800f1234 decafbad cafebabe abababab abababab abababab abababab");
    let srtp = octets(
        "800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402
         b78d6acc99ea179b8dbb",
    );
    let mut buffer = with_room(&rtp, 10);
    let len = send.protect_rtp(&mut buffer, rtp.len()).unwrap();
    assert_eq!(buffer[..len], srtp);
    let len = receive.unprotect_rtp(&mut buffer, len).unwrap();
    assert_eq!(buffer[..len], rtp);

    // Its first SRTCP index is 1, ours 0 as the RFC has it: the vector is our second packet.
    let rtcp = octets("81c8000b cafebabe abababab abababab abababab abababab");
    let srtcp = octets(
        "81c8000b cafebabe 7128035b e487b9bd bef89041 f977a5a8 80000001 993e08cd54d6c1230798",
    );
    let mut first = with_room(&rtcp, 14);
    let len = send.protect_rtcp(&mut first, rtcp.len()).unwrap();
    assert_eq!(first[rtcp.len()..][..4], [0x80, 0, 0, 0]);
    assert_eq!(len, rtcp.len() + 14);
    let mut buffer = with_room(&rtcp, 14);
    let len = send.protect_rtcp(&mut buffer, rtcp.len()).unwrap();
    assert_eq!(buffer[..len], srtcp);
    let len = receive.unprotect_rtcp(&mut buffer, len).unwrap();
    assert_eq!(buffer[..len], rtcp);
}

/// A header without payload is a packet too.
#[test]
fn empty_payload_of_libsrtp() {
    let material = material(Suite::AesCm128HmacSha1_80, MASTER);
    let mut send = SendContext::new(&material, ContextLimits::default()).unwrap();
    let mut buffer = with_room(&octets("800f1234 decafbad cafebabe"), 10);
    assert_eq!(send.protect_rtp(&mut buffer, 12), Ok(22));
    assert_eq!(
        buffer,
        octets("800f1234 decafbad cafebabe 773c2e1cd91d590d16e5")
    );
}
