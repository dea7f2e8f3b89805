//! Types and functions as WIT writes them, on one line.

use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind, TypeId};

/// A type where it is used: its name, or what it is made of.
pub(super) fn used(resolve: &Resolve, ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::U8 => "u8".to_owned(),
        Type::U16 => "u16".to_owned(),
        Type::U32 => "u32".to_owned(),
        Type::U64 => "u64".to_owned(),
        Type::S8 => "s8".to_owned(),
        Type::S16 => "s16".to_owned(),
        Type::S32 => "s32".to_owned(),
        Type::S64 => "s64".to_owned(),
        Type::F32 => "f32".to_owned(),
        Type::F64 => "f64".to_owned(),
        Type::Char => "char".to_owned(),
        Type::String => "string".to_owned(),
        Type::ErrorContext => "error-context".to_owned(),
        Type::Id(id) => match resolve.types.get(*id).and_then(|it| it.name.clone()) {
            Some(name) => name,
            None => defined(resolve, *id),
        },
    }
}

/// A type where it is defined.
pub(super) fn defined(resolve: &Resolve, id: TypeId) -> String {
    let Some(definition) = resolve.types.get(id) else {
        return String::new();
    };
    let name = |ty: &Type| used(resolve, ty);
    let or_none = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), &name);
    match &definition.kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter();
            listed(
                "record",
                fields.map(|it| format!("{}: {}", it.name, name(&it.ty))),
            )
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter();
            listed(
                "variant",
                cases.map(|it| case(resolve, &it.name, it.ty.as_ref())),
            )
        }
        TypeDefKind::Enum(cases) => listed("enum", cases.cases.iter().map(|it| it.name.clone())),
        TypeDefKind::Flags(flags) => listed("flags", flags.flags.iter().map(|it| it.name.clone())),
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<String> = tuple.types.iter().map(name).collect();
            format!("tuple<{}>", types.join(", "))
        }
        TypeDefKind::Option(ty) => format!("option<{}>", name(ty)),
        TypeDefKind::List(ty) => format!("list<{}>", name(ty)),
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => "result".to_owned(),
            (ok, None) => format!("result<{}>", or_none(ok)),
            (ok, err) => format!("result<{}, {}>", or_none(ok), or_none(err)),
        },
        TypeDefKind::Handle(Handle::Own(id)) => name(&Type::Id(*id)),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", name(&Type::Id(*id))),
        TypeDefKind::Type(ty) => name(ty),
        other => other.as_str().to_owned(),
    }
}

/// A case with what it holds.
pub(super) fn case(resolve: &Resolve, name: &str, ty: Option<&Type>) -> String {
    match ty {
        Some(ty) => format!("{name}({})", used(resolve, ty)),
        None => name.to_owned(),
    }
}

fn listed(kind: &str, parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    format!("{kind} {{ {} }}", parts.join(", "))
}

/// `func(name: string) -> u64`
pub(super) fn signature(resolve: &Resolve, function: &Function) -> String {
    let is_method = function.name.starts_with("[method]");
    let params = function.params.iter().skip(usize::from(is_method));
    let params: Vec<String> = params
        .map(|it| format!("{}: {}", it.name, used(resolve, &it.ty)))
        .collect();
    let params = params.join(", ");
    match &function.result {
        Some(result) => format!("func({params}) -> {}", used(resolve, result)),
        None => format!("func({params})"),
    }
}

/// The name that an author writes: `message.header`, not `[method]message.header`.
pub(super) fn name(function: &Function) -> &str {
    function
        .name
        .rsplit_once(']')
        .map_or(function.name.as_str(), |(_, name)| name)
}
