//! RFC 7714 sections 16 and 17, and the packets with which libsrtp checks itself.

use std::path::Path;

use media::Suite;

use super::{material, octets, with_room};
use crate::derivation::{Protocol, SessionKeys};
use crate::transform::{RtcpPacket, RtpPacket, Transform};
use crate::{ContextLimits, ReceiveContext, SendContext, SrtpError};

const SALT: &str = "51756964 2070726f 2071756f";
const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The RTP packet of section 16.
const RTP: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
    69736120 696e2070 61727465 73207472 6573";
const RTP_AT: RtpPacket<'_> = RtpPacket {
    ssrc: 0x5501_a0b2,
    index: 0xf17b,
    header_len: 12,
    len: 50,
    mki: &[],
};

/// Sections 16.1.1 and 16.2.1.
const SRTP_128: &str = "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
    0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce";
const SRTP_256: &str = "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238
    9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13";

/// The RTCP packet of sections 17.1 to 17.4, with index 5d4.
const RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
    deadbeef deadbeef deadbeef deadbeef deadbeef";
const RTCP_SSRC: u32 = 0x4d61_7273;
const RTCP_INDEX: u32 = 0x5d4;

/// Sections 17.1 and 17.2: encrypted.
const SRTCP_128: &str = "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
    c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4";
const SRTCP_256: &str = "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50
    a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4";

/// Sections 17.3 and 17.4: tagged only.
const TAGGED_128: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
    deadbeef deadbeef deadbeef deadbeef deadbeef 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4";
const TAGGED_256: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
    deadbeef deadbeef deadbeef deadbeef deadbeef 91db4afb feee5a97 8fab4393 ed2615fe 000005d4";

fn rtcp_at(word: u32, len: usize) -> RtcpPacket<'static> {
    RtcpPacket {
        ssrc: RTCP_SSRC,
        word,
        len,
        mki: &[],
    }
}

/// The vectors state session keys, not master keys.
fn transform(suite: Suite, key: &str, protocol: Protocol) -> Transform {
    let keys = SessionKeys::stated(&octets(key), [0; 20], &octets(SALT));
    Transform::new(suite, &keys, protocol).unwrap()
}

#[test]
fn srtp_both_ways() {
    for (suite, key, expected) in [
        (Suite::AeadAes128Gcm, KEY_128, SRTP_128),
        (Suite::AeadAes256Gcm, KEY_256, SRTP_256),
    ] {
        let cipher = transform(suite, key, Protocol::Rtp);
        let rtp = octets(RTP);
        let mut buffer = with_room(&rtp, 16);
        let len = cipher.cipher().protect_rtp(&mut buffer, &RTP_AT).unwrap();
        assert_eq!(buffer[..len], octets(expected));
        let len = cipher
            .cipher()
            .unprotect_rtp(&mut buffer, &RtpPacket { len, ..RTP_AT })
            .unwrap();
        assert_eq!(buffer[..len], rtp);
    }
}

#[test]
fn srtcp_both_ways() {
    for (suite, key, expected) in [
        (Suite::AeadAes128Gcm, KEY_128, SRTCP_128),
        (Suite::AeadAes256Gcm, KEY_256, SRTCP_256),
    ] {
        let cipher = transform(suite, key, Protocol::Rtcp);
        let rtcp = octets(RTCP);
        let mut buffer = with_room(&rtcp, 20);
        let len = cipher
            .cipher()
            .protect_rtcp(&mut buffer, &rtcp_at(1 << 31 | RTCP_INDEX, rtcp.len()))
            .unwrap();
        assert_eq!(buffer[..len], octets(expected));
        let word = cipher.rtcp_word(&buffer, &[]).unwrap();
        assert_eq!(word, 1 << 31 | RTCP_INDEX);
        let len = cipher
            .cipher()
            .unprotect_rtcp(&mut buffer, &rtcp_at(word, len))
            .unwrap();
        assert_eq!(buffer[..len], rtcp);
    }
}

#[test]
fn tagged_srtcp_is_verified() {
    for (suite, key, tagged) in [
        (Suite::AeadAes128Gcm, KEY_128, TAGGED_128),
        (Suite::AeadAes256Gcm, KEY_256, TAGGED_256),
    ] {
        let cipher = transform(suite, key, Protocol::Rtcp);
        let mut buffer = octets(tagged);
        let word = cipher.rtcp_word(&buffer, &[]).unwrap();
        assert_eq!(word, RTCP_INDEX);
        let packet = rtcp_at(word, buffer.len());
        let len = cipher
            .cipher()
            .unprotect_rtcp(&mut buffer, &packet)
            .unwrap();
        assert_eq!(buffer[..len], octets(RTCP));

        let mut forged = octets(tagged);
        forged[20] ^= 1;
        let refused = cipher.cipher().unprotect_rtcp(&mut forged, &packet);
        assert_eq!(refused, Err(SrtpError::Authentication));
    }
}

/// From a master key, with the 96-bit master salt filled up as section 11 has it.
#[test]
fn packets_of_libsrtp() {
    let material = material(
        Suite::AeadAes128Gcm,
        "000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaab",
    );
    let mut send = SendContext::new(&material, ContextLimits::default()).unwrap();
    let mut receive = ReceiveContext::new(&material, ContextLimits::default()).unwrap();
    let rtp = octets("800f1234 decafbad cafebabe abababab abababab abababab abababab");
    let mut buffer = with_room(&rtp, 16);
    let len = send.protect_rtp(&mut buffer, rtp.len()).unwrap();
    assert_eq!(
        buffer[..len],
        octets(
            "800f1234 decafbad cafebabe c5002ede 04cfdd2e b91159e0 880aa06e
             d2976826f796b201df3131a127e8a392"
        )
    );
    let len = receive.unprotect_rtp(&mut buffer, len).unwrap();
    assert_eq!(buffer[..len], rtp);

    let rtcp = octets("81c8000b cafebabe abababab abababab abababab abababab");
    let mut buffer = with_room(&rtcp, 20);
    send.protect_rtcp(&mut buffer.clone(), rtcp.len()).unwrap();
    let len = send.protect_rtcp(&mut buffer, rtcp.len()).unwrap();
    assert_eq!(
        buffer[..len],
        octets(
            "81c8000b cafebabe c98b8b5d f0392a55 852b6c21 ac8e7025
             c52c6fbea2b3b446ea31123ba88ce61e 80000001"
        )
    );
    let len = receive.unprotect_rtcp(&mut buffer, len).unwrap();
    assert_eq!(buffer[..len], rtcp);
}

/// The vectors above are those of the RFC's text, where that text is at hand.
#[test]
fn copies_are_those_of_the_text() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/rfc7714");
    for (file, vectors) in [
        ("rtp-vectors.txt", &[RTP, SRTP_128, SRTP_256][..]),
        (
            "rtcp-vectors.txt",
            &[RTCP, SRTCP_128, SRTCP_256, TAGGED_128, TAGGED_256][..],
        ),
    ] {
        let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
            continue;
        };
        let text: String = text.split_whitespace().collect();
        for vector in vectors {
            assert!(
                text.contains(&hex::encode(octets(vector))),
                "{vector} is not in {file}"
            );
        }
    }
}
