//! The records of this module are those of `wit/policy.wit`, in the order and at the
//! places that the canonical ABI gives them.
//!
//! Pointers are wider here than in a guest. So the rules of the canonical ABI are written
//! down once more, for pointers of any size: with those of a guest they have to say what
//! wit-parser says, and with ours what the compiler says. All of our records are
//! `repr(C)`, which is the same rule for either.

use std::any::type_name;
use std::path::Path;

use wit_parser::{Function, Resolve, SizeAlign, Type, TypeDefKind};

use super::answer::{Alert, Answer, Challenge, Effect, Points, Rejection, Verdict, View};
use super::facts::{
    Address, Certificate, MediaStream, Parameters, Party, Peer, RequestFacts, ResponseFacts, Uri,
};
use super::{List, Maybe};
use crate::{
    AddressKind, Dialog, DigestAlgorithm, MediaRequirement, Method, Scheme, Severity, Transport,
    Zone,
};

/// Bytes of a pointer in a guest.
const IN_GUESTS: usize = 4;

/// What `wit/policy.wit` says.
pub(super) struct Wit(Resolve);

/// Size and alignment.
type Extent = (usize, usize);

impl Wit {
    pub(super) fn read() -> Self {
        let mut resolve = Resolve::default();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit");
        resolve.push_path(folder).unwrap();
        Self(resolve)
    }

    fn function(&self, name: &str) -> &Function {
        let mut interfaces = self.0.interfaces.iter();
        interfaces
            .find_map(|(_, interface)| interface.functions.get(name))
            .unwrap()
    }

    /// A type, seen through its other names.
    fn plain(&self, ty: Type) -> Type {
        let Type::Id(id) = ty else { return ty };
        match &self.0.types[id].kind {
            TypeDefKind::Type(same) => self.plain(*same),
            _ => ty,
        }
    }

    /// What a type is that is not built in.
    fn kind(&self, ty: Type) -> Option<&TypeDefKind> {
        match self.plain(ty) {
            Type::Id(id) => Some(&self.0.types[id].kind),
            _ => None,
        }
    }

    fn name(&self, ty: Type) -> &str {
        match self.plain(ty) {
            Type::Id(id) => self.0.types[id].name.as_deref().unwrap_or_default(),
            _ => "",
        }
    }

    /// Parts of a record or a tuple. Those of a tuple have no names.
    fn parts(&self, ty: Type) -> Vec<(&str, Type)> {
        match self.kind(ty) {
            Some(TypeDefKind::Record(record)) => {
                let fields = record.fields.iter();
                fields.map(|it| (it.name.as_str(), it.ty)).collect()
            }
            Some(TypeDefKind::Tuple(tuple)) => tuple.types.iter().map(|it| ("", *it)).collect(),
            kind => panic!("{kind:?} has no parts"),
        }
    }

    /// Cases of a variant, by name, with what they hold.
    pub(super) fn cases(&self, ty: Type) -> Vec<(&str, Option<Type>)> {
        match self.kind(ty) {
            Some(TypeDefKind::Variant(variant)) => {
                let cases = variant.cases.iter();
                cases.map(|it| (it.name.as_str(), it.ty)).collect()
            }
            Some(TypeDefKind::Option(held)) => vec![("none", None), ("some", Some(*held))],
            kind => panic!("{kind:?} has no cases"),
        }
    }

    /// The type of this name.
    pub(super) fn named(&self, name: &str) -> Type {
        let mut types = self.0.types.iter();
        let is_it = |it: &Option<String>| it.as_deref() == Some(name);
        Type::Id(types.find(|(_, it)| is_it(&it.name)).unwrap().0)
    }

    fn extent(&self, ty: Type, pointer: usize) -> Extent {
        match self.plain(ty) {
            Type::Bool | Type::U8 | Type::S8 => (1, 1),
            Type::U16 | Type::S16 => (2, 2),
            Type::U32 | Type::S32 => (4, 4),
            Type::U64 | Type::S64 => (8, 8),
            Type::String => (2 * pointer, pointer),
            _ => match self.kind(ty).unwrap_or_else(|| panic!("{ty:?}")) {
                TypeDefKind::Record(_) | TypeDefKind::Tuple(_) => {
                    let parts = self.parts(ty);
                    self.in_a_row(parts.iter().map(|(_, it)| *it), pointer).1
                }
                TypeDefKind::Variant(_) | TypeDefKind::Option(_) => {
                    let cases = self.cases(ty).into_iter();
                    let held = cases.filter_map(|(_, it)| Some(self.extent(it?, pointer)));
                    let (size, align) = held.fold((0, 1), |most, it| {
                        (usize::max(most.0, it.0), usize::max(most.1, it.1))
                    });
                    ((align + size).next_multiple_of(align), align)
                }
                TypeDefKind::List(_) => (2 * pointer, pointer),
                TypeDefKind::Enum(_) => (1, 1),
                TypeDefKind::Flags(flags) if (9..=16).contains(&flags.flags.len()) => (2, 2),
                TypeDefKind::Handle(_) => (4, 4),
                other => panic!("{other:?}"),
            },
        }
    }

    /// Offsets of types that lie one behind the other, and the extent of all.
    fn in_a_row(&self, types: impl Iterator<Item = Type>, pointer: usize) -> (Vec<usize>, Extent) {
        let (mut end, mut most) = (0_usize, 1);
        let mut offsets = Vec::new();
        for ty in types {
            let (size, align) = self.extent(ty, pointer);
            let start = end.next_multiple_of(align);
            offsets.push(start);
            (end, most) = (start + size, most.max(align));
        }
        (offsets, (end.next_multiple_of(most), most))
    }
}

/// A type that lies in memory as one of the interface.
trait Mirrors: Sized {
    fn assert(wit: &Wit, ty: Type);
}

fn assert<T: Mirrors>(wit: &Wit, ty: Type) {
    let pointer = size_of::<usize>();
    let name = type_name::<T>();
    assert_eq!(
        (size_of::<T>(), align_of::<T>()),
        wit.extent(ty, pointer),
        "{name}"
    );
    T::assert(wit, wit.plain(ty));
}

fn assert_field<R, T: Mirrors>(_: impl FnOnce(&R) -> &T, wit: &Wit, ty: Type) {
    assert::<T>(wit, ty);
}

macro_rules! integer {
    ($($rust:ty: $wit:pat),+) => {
        $(impl Mirrors for $rust {
            fn assert(_: &Wit, ty: Type) {
                assert!(matches!(ty, $wit), "{ty:?}");
            }
        })+
    };
}

integer!(u8: Type::U8, u32: Type::U32, u64: Type::U64, i32: Type::S32, bool: Type::Bool);

impl Mirrors for u16 {
    fn assert(wit: &Wit, ty: Type) {
        let flags = matches!(wit.kind(ty), Some(TypeDefKind::Flags(_)));
        assert!(flags || ty == Type::U16, "{ty:?}");
    }
}

impl<T: Mirrors> Mirrors for Maybe<T> {
    fn assert(wit: &Wit, ty: Type) {
        let Some(TypeDefKind::Option(held)) = wit.kind(ty) else {
            panic!("{ty:?} is no option");
        };
        assert::<T>(wit, *held);
    }
}

impl<T: Mirrors> Mirrors for List<T> {
    fn assert(wit: &Wit, ty: Type) {
        View::<T>::assert(wit, ty);
    }
}

impl<T: Mirrors> Mirrors for View<T> {
    fn assert(wit: &Wit, ty: Type) {
        match wit.kind(ty) {
            Some(TypeDefKind::List(item)) => assert::<T>(wit, *item),
            _ if ty == Type::String => assert::<T>(wit, Type::U8),
            kind => panic!("{kind:?} is no list"),
        }
    }
}

impl<T: Mirrors, const N: usize> Mirrors for [T; N] {
    fn assert(wit: &Wit, ty: Type) {
        let parts = wit.parts(ty);
        assert_eq!(parts.len(), N);
        parts.iter().for_each(|(_, part)| assert::<T>(wit, *part));
    }
}

macro_rules! record {
    ($record:ty { $($field:ident),+ $(,)? }) => {
        impl Mirrors for $record {
            fn assert(wit: &Wit, ty: Type) {
                let parts = wit.parts(ty);
                let ours = [$((stringify!($field), std::mem::offset_of!($record, $field))),+];
                let ours: Vec<_> = ours.map(|(it, at)| (it.replace('_', "-"), at)).into();
                let types = parts.iter().map(|(_, ty)| *ty);
                let (offsets, _) = wit.in_a_row(types, size_of::<usize>());
                let names = parts.iter().map(|(name, _)| (*name).to_owned());
                assert_eq!(ours, names.zip(offsets).collect::<Vec<_>>());
                let mut types = parts.iter().map(|(_, ty)| *ty);
                $(assert_field(|it: &$record| &it.$field, wit, types.next().unwrap());)+
            }
        }
    };
}

record!(RequestFacts {
    text,
    method,
    method_name,
    request_uri,
    from,
    to,
    call_id,
    user_agent,
    peer,
    dialog,
    identity,
    offer,
    anomalies,
    score,
    annotations,
    size,
});
record!(ResponseFacts {
    text,
    status,
    phrase,
    method,
    call_id,
    peer,
    identity,
    caller
});
record!(Uri {
    scheme,
    whole,
    user,
    host,
    port,
    params
});
record!(Party { uri, display, tag });
record!(Certificate {
    names,
    fingerprint,
    issuer
});
record!(Peer {
    address,
    port,
    transport,
    zone,
    name,
    certificate
});
record!(MediaStream {
    kind,
    protocol,
    encrypted,
    address,
    port,
    address_kind
});
record!(Answer {
    verdict,
    effects,
    reason
});
record!(Rejection {
    status,
    phrase,
    retry_after
});
record!(Challenge {
    realm,
    algorithms,
    as_registrar,
    stale
});
record!(Points { amount, reason });
record!(Alert {
    severity,
    key,
    text
});

/// Enums that wit-bindgen makes of the interface: it numbers them.
macro_rules! enumeration {
    ($($rust:ty: $name:literal),+ $(,)?) => {
        $(impl Mirrors for $rust {
            fn assert(wit: &Wit, ty: Type) {
                assert!(matches!(wit.kind(ty), Some(TypeDefKind::Enum(_))));
                assert_eq!(wit.name(ty), $name);
            }
        })+
    };
}

enumeration!(
    Method: "method",
    Scheme: "scheme",
    Transport: "transport",
    Zone: "zone",
    Dialog: "dialog",
    AddressKind: "address-kind",
    DigestAlgorithm: "digest-algorithm",
    MediaRequirement: "media-requirement",
    Severity: "severity",
);

/// Cases in the order of the interface. That ours have it too is seen by their numbers,
/// in the tests of what makes and what reads them.
macro_rules! variant {
    ($variant:ty { $($case:literal $(: $held:ty)?),+ $(,)? }) => {
        impl Mirrors for $variant {
            fn assert(wit: &Wit, ty: Type) {
                let mut cases = wit.cases(ty).into_iter();
                $(
                    let (name, _held) = cases.next().unwrap();
                    assert_eq!(name, $case);
                    $(assert::<$held>(wit, _held.unwrap());)?
                )+
                assert_eq!(cases.next(), None);
            }
        }
    };
}

variant!(Address { "ipv4": [u8; 4], "ipv6": [u16; 8] });
variant!(Verdict {
    "next",
    "reject": Rejection,
    "challenge": Challenge,
    "redirect": View<View<u8>>,
    "drop",
});
variant!(Effect {
    "set-header": [View<u8>; 2],
    "add-header": [View<u8>; 2],
    "remove-header": View<u8>,
    "annotate": [View<u8>; 2],
    "score": Points,
    "identify": View<u8>,
    "limit-duration": u32,
    "route": View<u8>,
    "alert": Alert,
    "require-media": MediaRequirement,
    "tick-after": u32,
    "set-request-uri": View<u8>,
    "set-from": View<u8>,
    "set-to": View<u8>,
    "conceal": View<u8>,
    "other": [View<u8>; 2],
});

/// The parameters lie in memory as a tuple, and the answer's place is returned.
fn assert_hook<F: Mirrors>(wit: &Wit, name: &str) {
    let hook = wit.function(name);
    let types: Vec<Type> = hook.params.iter().map(|it| it.ty).collect();
    assert!(matches!(wit.kind(types[1]), Some(TypeDefKind::Handle(_))));
    let (offsets, extent) = wit.in_a_row(types.iter().copied(), size_of::<usize>());
    let facts = std::mem::offset_of!(Parameters<F>, facts);
    let message = std::mem::offset_of!(Parameters<F>, message);
    assert_eq!(offsets, [facts, message]);
    let ours = (size_of::<Parameters<F>>(), align_of::<Parameters<F>>());
    assert_eq!(ours, extent);
    assert::<F>(wit, types[0]);
    assert::<Answer>(wit, hook.result.unwrap());
}

#[test]
fn records_are_those_of_the_interface() {
    let wit = Wit::read();
    assert_hook::<ResponseFacts>(&wit, "on-response");
    assert::<RequestFacts>(&wit, wit.named("request-facts"));
    // The items of a list follow the record, and are aligned as it is.
    assert!(size_of::<RequestFacts>().is_multiple_of(align_of::<MediaStream>()));
}

#[test]
fn the_rules_are_those_of_wit_parser() {
    let wit = Wit::read();
    let mut sizes = SizeAlign::default();
    sizes.fill(&wit.0).unwrap();
    for name in [
        "request-facts",
        "response-facts",
        "outcome",
        "effect",
        "verdict",
    ] {
        let ty = wit.named(name);
        let size = sizes.size(&ty).size_wasm32();
        let align = sizes.align(&ty).align_wasm32();
        assert_eq!(wit.extent(ty, IN_GUESTS), (size, align), "{name}");
    }
    // A guest has these in memory, whatever has been said above.
    let facts = wit.named("request-facts");
    assert_eq!(wit.extent(facts, IN_GUESTS), (408, 8));
}

/// The number of a case, and where what it holds begins.
pub(super) fn number<T>(value: &T) -> u8 {
    #[expect(unsafe_code, reason = "memory is read as a host reads it")]
    // SAFETY: our variants are `repr(C, u8)`: they begin with the number.
    unsafe {
        *std::ptr::from_ref(value).cast()
    }
}

#[test]
fn cases_of_facts_have_the_numbers_of_the_interface() {
    let wit = Wit::read();
    let names = |ty: &str| -> Vec<String> {
        let cases = wit.cases(wit.named(ty)).into_iter();
        cases.map(|(name, _)| name.to_owned()).collect()
    };
    let addresses = names("ip-address");
    assert_eq!(
        addresses[usize::from(number(&Address::Ipv4([0; 4])))],
        "ipv4"
    );
    assert_eq!(
        addresses[usize::from(number(&Address::Ipv6([0; 8])))],
        "ipv6"
    );
    // The canonical ABI reads `option` as a variant of `none` and `some`.
    assert_eq!(
        [number(&Maybe::<u64>::None), number(&Maybe::Some(7_u64))],
        [0, 1]
    );
}
