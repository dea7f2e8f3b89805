//! The record of a request's facts as a guest has it in memory.
//!
//! What `bindgen!` makes of `request-facts` looks the guest's memory up for each of some
//! sixty integers, which took half of the time of a call that does nothing. Here the
//! record is written as one piece, at offsets that the canonical ABI gives it, and again
//! only where a plugin has changed something.

use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext,
};
use wasmtime::component::{ComponentType, Lower};
use wasmtime::{Error, Result, ValRaw, bail};

use crate::bindings::types as wit;

/// A request's facts as `packed-request-policy` has them: the record, the items of its
/// offer, the text. They are written once and copied into each guest.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Written {
    bytes: Vec<u8>,
    streams: usize,
    text_bytes: usize,
}

impl Written {
    /// # Errors
    /// The facts have 4 GiB, which no message has.
    pub(crate) fn write(&mut self, facts: &wit::RequestFacts<'_>) -> Result<()> {
        (self.streams, self.text_bytes) = (facts.offer.len(), facts.text.len());
        let text_at = FACTS_BYTES + self.streams * STREAM_BYTES;
        // What an absent value leaves out is nothing of an earlier request.
        self.bytes.clear();
        self.bytes.resize(text_at, 0);
        self.bytes.extend_from_slice(facts.text);
        self.bytes
            .resize(self.bytes.len().next_multiple_of(WORD), 0);
        let (record, rest) = self.bytes.split_at_mut(FACTS_BYTES);
        let mut record = Fields(record);
        record.list(facts_at::TEXT, text_at, self.text_bytes)?;
        record.list(facts_at::OFFER, FACTS_BYTES, self.streams)?;
        put_facts(record, facts);
        let places = rest.chunks_exact_mut(STREAM_BYTES);
        for (stream, place) in facts.offer.iter().zip(places) {
            put_stream(Fields(place), stream);
        }
        Ok(())
    }

    /// For guests that take them in one piece.
    pub(crate) fn packed(&self) -> PackedFacts<'_> {
        PackedFacts(&self.bytes)
    }

    /// For guests that take them as a record.
    pub(crate) const fn record(&self) -> RequestRecord<'_> {
        RequestRecord(self)
    }

    fn offer(&self) -> &[u8] {
        let end = FACTS_BYTES + self.streams * STREAM_BYTES;
        self.bytes.get(FACTS_BYTES..end).unwrap_or_default()
    }

    fn text(&self) -> &[u8] {
        let start = FACTS_BYTES + self.streams * STREAM_BYTES;
        let text = self.bytes.get(start..start + self.text_bytes);
        text.unwrap_or_default()
    }
}

/// Whole words, lowered as `list<u64>`.
pub(crate) struct PackedFacts<'f>(&'f [u8]);

/// Bytes of a word.
const WORD: usize = 8;

#[expect(unsafe_code, reason = "as for the record below")]
// SAFETY: flat form, size, alignment and the check of a guest's types are those of a list
// of this type in wasmtime.
unsafe impl ComponentType for PackedFacts<'_> {
    type Lower = <[u64] as ComponentType>::Lower;
    const ABI: CanonicalAbiInfo = <[u64] as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        <[u64] as ComponentType>::typecheck(ty, types)
    }
}

#[expect(unsafe_code, reason = "as for the record below")]
// SAFETY: both parts of the flat form are written, and memory by checked slices.
unsafe impl Lower for PackedFacts<'_> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        _: InterfaceType,
        flat: &mut std::mem::MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        let start = cx.realloc(0, 0, WORD as u32, self.0.len())?;
        slice(cx, start, self.0.len())?.copy_from_slice(self.0);
        let number = |number: usize| i64::try_from(number).map(ValRaw::i64);
        flat.write([number(start)?, number(self.0.len() / WORD)?]);
        Ok(())
    }

    fn linear_lower_to_memory<T>(
        &self,
        _: &mut LowerContext<'_, T>,
        _: InterfaceType,
        _: usize,
    ) -> Result<()> {
        bail!("packed facts are a parameter")
    }
}

/// The facts, lowered by hand.
#[derive(Clone, Copy)]
pub(crate) struct RequestRecord<'f>(&'f Written);

type Derived<'f> = wit::RequestFacts<'f>;

#[expect(
    unsafe_code,
    reason = "wasmtime has its derive macro alone implement this; all that is unsafe about it \
              is the promise below, and a test keeps it"
)]
// SAFETY: flat form, size, alignment and the check of a guest's types are those of the type
// that `bindgen!` made of the same record.
unsafe impl<'f> ComponentType for RequestRecord<'f> {
    type Lower = <Derived<'f> as ComponentType>::Lower;
    const ABI: CanonicalAbiInfo = <Derived<'f> as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        <Derived<'f> as ComponentType>::typecheck(ty, types)
    }
}

#[expect(unsafe_code, reason = "as above")]
// SAFETY: nothing is claimed of the flat form, and memory is written by checked slices.
unsafe impl Lower for RequestRecord<'_> {
    fn linear_lower_to_flat<T>(
        &self,
        _: &mut LowerContext<'_, T>,
        _: InterfaceType,
        _: &mut std::mem::MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        bail!("facts do not fit into parameters")
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        _: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        let (text, offer) = (self.0.text(), self.0.offer());
        let text_at = cx.realloc(0, 0, 1, text.len())?;
        slice(cx, text_at, text.len())?.copy_from_slice(text);
        let offer_at = cx.realloc(0, 0, 8, offer.len())?;
        slice(cx, offer_at, offer.len())?.copy_from_slice(offer);
        let Some(facts) = self.0.bytes.get(..FACTS_BYTES) else {
            bail!("no facts were written");
        };
        let record = slice(cx, offset, FACTS_BYTES)?;
        record.copy_from_slice(facts);
        let mut record = Fields(record);
        record.list(facts_at::TEXT, text_at, text.len())?;
        record.list(facts_at::OFFER, offer_at, self.0.streams)
    }
}

/// A stretch of the guest's memory. A guest that gives none is not asked: it would judge
/// what lay there before.
fn slice<'m, T>(
    cx: &'m mut LowerContext<'_, T>,
    start: usize,
    bytes: usize,
) -> Result<&'m mut [u8]> {
    let memory = cx.as_slice_mut();
    let stretch = memory.get_mut(start..).and_then(|it| it.get_mut(..bytes));
    stretch.ok_or_else(|| Error::msg("the facts lie beyond the end of memory"))
}

/// Sizes of records.
const FACTS_BYTES: usize = 408;
const STREAM_BYTES: usize = 40;

/// Offset of what an option holds, by its alignment.
const OPTION_U64: usize = 8;
const OPTION_U16: usize = 2;
/// Offset of what an address holds.
const ADDRESS: usize = 2;

/// Offsets in `request-facts`.
mod facts_at {
    pub(super) const TEXT: usize = 0;
    pub(super) const METHOD: usize = 8;
    pub(super) const METHOD_NAME: usize = 16;
    pub(super) const REQUEST_URI: usize = 24;
    pub(super) const FROM: usize = 80;
    pub(super) const TO: usize = 168;
    pub(super) const CALL_ID: usize = 256;
    pub(super) const USER_AGENT: usize = 264;
    pub(super) const PEER: usize = 280;
    pub(super) const DIALOG: usize = 352;
    pub(super) const IDENTITY: usize = 360;
    pub(super) const OFFER: usize = 376;
    pub(super) const ANOMALIES: usize = 384;
    pub(super) const SCORE: usize = 388;
    pub(super) const ANNOTATIONS: usize = 392;
    pub(super) const SIZE: usize = 400;
}

/// Offsets in `uri`.
mod uri_at {
    pub(super) const SCHEME: usize = 0;
    pub(super) const WHOLE: usize = 8;
    pub(super) const USER: usize = 16;
    pub(super) const HOST: usize = 32;
    pub(super) const PORT: usize = 40;
    pub(super) const PARAMS: usize = 48;
}

/// Offsets in `party`.
mod party_at {
    pub(super) const URI: usize = 0;
    pub(super) const DISPLAY: usize = 56;
    pub(super) const TAG: usize = 72;
}

/// Offsets in `peer`.
mod peer_at {
    pub(super) const ADDRESS: usize = 0;
    pub(super) const PORT: usize = 18;
    pub(super) const TRANSPORT: usize = 20;
    pub(super) const ZONE: usize = 21;
    pub(super) const NAME: usize = 24;
    pub(super) const CERTIFICATE: usize = 40;
}

/// Offsets in `certificate`.
mod certificate_at {
    pub(super) const NAMES: usize = 0;
    pub(super) const FINGERPRINT: usize = 8;
    pub(super) const ISSUER: usize = 16;
}

/// Offsets in `media-stream`.
mod stream_at {
    pub(super) const KIND: usize = 0;
    pub(super) const PROTOCOL: usize = 8;
    pub(super) const ENCRYPTED: usize = 16;
    pub(super) const ADDRESS: usize = 24;
    pub(super) const PORT: usize = 32;
    pub(super) const ADDRESS_KIND: usize = 34;
}

const _: () = {
    assert!(FACTS_BYTES == <Derived<'static> as ComponentType>::SIZE32);
    assert!(STREAM_BYTES == <wit::MediaStream as ComponentType>::SIZE32);
};

/// A record in the guest's memory.
struct Fields<'m>(&'m mut [u8]);

impl Fields<'_> {
    #[inline]
    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        let place = self.0.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
        debug_assert!(place.is_some(), "{at} is within the record");
        if let Some(place) = place {
            *place = bytes;
        }
    }

    #[inline]
    fn u8(&mut self, at: usize, value: u8) {
        self.put(at, [value]);
    }

    #[inline]
    fn u16(&mut self, at: usize, value: u16) {
        self.put(at, value.to_le_bytes());
    }

    #[inline]
    fn u64(&mut self, at: usize, value: u64) {
        self.put(at, value.to_le_bytes());
    }

    #[inline]
    fn list(&mut self, at: usize, start: usize, len: usize) -> Result<()> {
        self.put(at, u32::try_from(start)?.to_le_bytes());
        self.put(at + 4, u32::try_from(len)?.to_le_bytes());
        Ok(())
    }

    #[inline]
    fn option_u64(&mut self, at: usize, value: Option<u64>) {
        self.u8(at, u8::from(value.is_some()));
        if let Some(value) = value {
            self.u64(at + OPTION_U64, value);
        }
    }

    #[inline]
    fn option_u16(&mut self, at: usize, value: Option<u16>) {
        self.u8(at, u8::from(value.is_some()));
        if let Some(value) = value {
            self.u16(at + OPTION_U16, value);
        }
    }
}

/// All but the two lists.
fn put_facts(mut record: Fields<'_>, facts: &wit::RequestFacts<'_>) {
    record.u8(facts_at::METHOD, facts.method as u8);
    record.u64(facts_at::METHOD_NAME, facts.method_name);
    put_uri(&mut record, facts_at::REQUEST_URI, &facts.request_uri);
    put_party(&mut record, facts_at::FROM, &facts.from);
    put_party(&mut record, facts_at::TO, &facts.to);
    record.u64(facts_at::CALL_ID, facts.call_id);
    record.option_u64(facts_at::USER_AGENT, facts.user_agent);
    put_peer(&mut record, facts_at::PEER, &facts.peer);
    record.u8(facts_at::DIALOG, facts.dialog as u8);
    record.option_u64(facts_at::IDENTITY, facts.identity);
    let [anomalies] = facts.anomalies.as_array();
    // There are fifteen.
    record.u16(facts_at::ANOMALIES, anomalies as u16);
    record.put(facts_at::SCORE, facts.score.to_le_bytes());
    record.u64(facts_at::ANNOTATIONS, facts.annotations);
    record.put(facts_at::SIZE, facts.size.to_le_bytes());
}

#[inline]
fn put_uri(record: &mut Fields<'_>, at: usize, uri: &wit::Uri) {
    record.u8(at + uri_at::SCHEME, uri.scheme as u8);
    record.u64(at + uri_at::WHOLE, uri.whole);
    record.option_u64(at + uri_at::USER, uri.user);
    record.u64(at + uri_at::HOST, uri.host);
    record.option_u16(at + uri_at::PORT, uri.port);
    record.u64(at + uri_at::PARAMS, uri.params);
}

#[inline]
fn put_party(record: &mut Fields<'_>, at: usize, party: &wit::Party) {
    put_uri(record, at + party_at::URI, &party.uri);
    record.option_u64(at + party_at::DISPLAY, party.display);
    record.option_u64(at + party_at::TAG, party.tag);
}

#[inline]
fn put_peer(record: &mut Fields<'_>, at: usize, peer: &wit::Peer) {
    let address = at + peer_at::ADDRESS;
    match peer.address {
        wit::IpAddress::Ipv4((a, b, c, d)) => {
            record.u8(address, 0);
            record.put(address + ADDRESS, [a, b, c, d]);
        }
        wit::IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => {
            record.u8(address, 1);
            let groups = [a, b, c, d, e, f, g, h];
            for (place, group) in groups.into_iter().enumerate() {
                record.u16(address + ADDRESS + 2 * place, group);
            }
        }
    }
    record.u16(at + peer_at::PORT, peer.port);
    record.u8(at + peer_at::TRANSPORT, peer.transport as u8);
    record.u8(at + peer_at::ZONE, peer.zone as u8);
    record.option_u64(at + peer_at::NAME, peer.name);
    let certificate = at + peer_at::CERTIFICATE;
    record.u8(certificate, u8::from(peer.certificate.is_some()));
    if let Some(shown) = &peer.certificate {
        let at = certificate + OPTION_U64;
        record.u64(at + certificate_at::NAMES, shown.names);
        record.u64(at + certificate_at::FINGERPRINT, shown.fingerprint);
        record.u64(at + certificate_at::ISSUER, shown.issuer);
    }
}

fn put_stream(mut record: Fields<'_>, stream: &wit::MediaStream) {
    record.u64(stream_at::KIND, stream.kind);
    record.u64(stream_at::PROTOCOL, stream.protocol);
    record.u8(stream_at::ENCRYPTED, u8::from(stream.encrypted));
    record.u64(stream_at::ADDRESS, stream.address);
    record.u16(stream_at::PORT, stream.port);
    record.u8(stream_at::ADDRESS_KIND, stream.address_kind as u8);
}

#[cfg(test)]
mod tests;
