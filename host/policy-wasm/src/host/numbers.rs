//! `numbers`: what was dialled, as ITU-T E.164 has it. The same at all times, so
//! `configure` may ask too. Limits: `host_calls`, `host_bytes`.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use crate::bindings::numbers::{Digits, Number, NumberClass, NumberError};
use crate::host::HostState;

/// Adds the interface to a linker; what was dialled is read in the guest's memory.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut numbers = linker.instance("sipward:policy/numbers@0.1.0")?;
    numbers.func_wrap("parse", |store: StoreContextMut<'_, HostState>, asked| {
        Ok((parse(&store, asked)?.map(number),))
    })?;
    numbers.func_wrap(
        "parse-digits",
        |store: StoreContextMut<'_, HostState>, asked| {
            Ok((parse(&store, asked)?.map(|number| digits(&number)),))
        },
    )
}

fn parse(
    store: &StoreContextMut<'_, HostState>,
    (dialled, region): (WasmStr, WasmStr),
) -> wasmtime::Result<Result<numbers::Number, NumberError>> {
    let state = store.data();
    let (dialled, region) = (dialled.to_str(store)?, region.to_str(store)?);
    state.charge_call(dialled.len().saturating_add(region.len()))?;
    let number = match state.services.numbers.parse(&dialled, &region) {
        Ok(number) => number,
        Err(error) => return Ok(Err(wrong(error))),
    };
    state.charge_bytes(number.e164.len().saturating_add(number.region.len()))?;
    Ok(Ok(number))
}

fn number(number: numbers::Number) -> Number {
    Number {
        e164: number.e164.as_str().to_owned(),
        country_code: number.country_code,
        region: number.region.as_str().to_owned(),
        class: class(number.class),
        valid: number.valid,
    }
}

fn digits(number: &numbers::Number) -> Digits {
    Digits {
        e164: number.packed_e164(),
        country_code: number.country_code,
        region: number.packed_region(),
        class: class(number.class),
        valid: number.valid,
    }
}

fn wrong(error: numbers::NumberError) -> NumberError {
    match error {
        numbers::NumberError::NotANumber => NumberError::NotANumber,
        numbers::NumberError::WrongLength => NumberError::WrongLength,
        numbers::NumberError::NoSuchCountry => NumberError::NoSuchCountry,
        numbers::NumberError::NoSuchRegion => NumberError::NoSuchRegion,
    }
}

fn class(class: numbers::Class) -> NumberClass {
    match class {
        numbers::Class::Fixed => NumberClass::Fixed,
        numbers::Class::Mobile => NumberClass::Mobile,
        numbers::Class::FixedOrMobile => NumberClass::FixedOrMobile,
        numbers::Class::TollFree => NumberClass::TollFree,
        numbers::Class::Premium => NumberClass::Premium,
        numbers::Class::SharedCost => NumberClass::SharedCost,
        numbers::Class::Voip => NumberClass::Voip,
        numbers::Class::Personal => NumberClass::Personal,
        numbers::Class::Pager => NumberClass::Pager,
        numbers::Class::Company => NumberClass::Company,
        numbers::Class::Voicemail => NumberClass::Voicemail,
        numbers::Class::Satellite => NumberClass::Satellite,
        numbers::Class::InternationalService => NumberClass::InternationalService,
        numbers::Class::Unknown => NumberClass::Unknown,
    }
}
