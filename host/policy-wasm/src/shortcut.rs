//! A second door to the request hook, for instances that are asked again and again.
//!
//! To call a function that a module defines, wasmtime looks up its code each time; a function
//! that a module imports and exports again, it finds beside the instance. So a component gets
//! such a module and an export of that, added at its end: nothing that was there changes. In
//! a pipeline of twelve plugins that is a twentieth of the time.

use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentSection, EntityType, ExportKind, ExportSection, ImportSection,
    InstanceSection, Module, ModuleArg, ModuleSection, TypeSection, ValType,
};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ExternalKind, Parser, Payload, Validator, types::TypesRef,
};

/// What the export is called.
pub(crate) const SHORTCUT: &str = "sipward-on-request";

/// How the module calls what it passes on.
const PASSED: &str = "f";

/// The component with a shortcut to the hook whose function in the module has this name.
/// None where there is no such function, or it is lifted in an unusual way; the result is
/// not validated.
pub(crate) fn with_shortcut(wasm: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut found = Found::default();
    let mut validator = Validator::new();
    let mut depth = 0u32;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.ok()?;
        let types = validator.types(0);
        match (&payload, depth) {
            (Payload::ComponentAliasSection(aliases), 0) => {
                let before = types?.function_count();
                let aliases = aliases.clone().into_iter().collect::<Result<Vec<_>, _>>();
                found.function = found.function.or(named(&aliases.ok()?, before, name));
            }
            (Payload::ComponentCanonicalSection(functions), 0) => {
                let functions = functions.clone().into_iter().collect::<Result<Vec<_>, _>>();
                found.look_for_lift(functions.ok()?);
            }
            (Payload::ComponentExportSection(exports), 0) => {
                let mut exports = exports.clone().into_iter();
                if exports.any(|export| export.is_ok_and(|it| it.name.name == SHORTCUT)) {
                    return None;
                }
            }
            (Payload::End(_), 0) => return found.appended(wasm, &types?),
            (Payload::End(_), _) => depth -= 1,
            (Payload::ModuleSection { .. } | Payload::ComponentSection { .. }, _) => depth += 1,
            _ => {}
        }
        validator.payload(&payload).ok()?;
    }
    None
}

/// The index of the first function in the section that has the name.
fn named(aliases: &[ComponentAlias<'_>], before: u32, wanted: &str) -> Option<u32> {
    let functions = aliases.iter().filter_map(|alias| match alias {
        ComponentAlias::CoreInstanceExport {
            kind: ExternalKind::Func,
            name,
            ..
        } => Some(*name),
        _ => None,
    });
    let mut functions = (before..).zip(functions);
    functions
        .find(|(_, name)| *name == wanted)
        .map(|(index, _)| index)
}

/// What the new sections refer to.
#[derive(Default)]
struct Found {
    /// The function of the module.
    function: Option<u32>,
    lift: Option<Lift>,
}

struct Lift {
    type_index: u32,
    options: Vec<CanonicalOption>,
}

impl Found {
    fn look_for_lift(&mut self, functions: Vec<CanonicalFunction>) {
        for function in functions {
            let CanonicalFunction::Lift {
                core_func_index,
                type_index,
                options,
            } = function
            else {
                continue;
            };
            if Some(core_func_index) == self.function {
                let options = options.iter().map(option).collect::<Option<_>>();
                self.lift = options.map(|options| Lift {
                    type_index,
                    options,
                });
            }
        }
    }

    fn appended(self, wasm: &[u8], types: &TypesRef<'_>) -> Option<Vec<u8>> {
        let (function, lift) = (self.function?, self.lift?);
        let module = passing_on(types, function)?;
        let (modules, instances) = (types.module_count(), types.core_instance_count());
        let mut sections = wasm.to_vec();
        ModuleSection(&module).append_to_component(&mut sections);
        InstanceSection::new()
            .export_items([(PASSED, ExportKind::Func, function)])
            .instantiate(modules, [(PASSED, ModuleArg::Instance(instances))])
            .append_to_component(&mut sections);
        ComponentAliasSection::new()
            .alias(Alias::CoreInstanceExport {
                instance: instances + 1,
                kind: ExportKind::Func,
                name: PASSED,
            })
            .append_to_component(&mut sections);
        CanonicalFunctionSection::new()
            .lift(types.function_count(), lift.type_index, lift.options)
            .append_to_component(&mut sections);
        let lifted = types.component_function_count();
        ComponentExportSection::new()
            .export(SHORTCUT, ComponentExportKind::Func, lifted, None)
            .append_to_component(&mut sections);
        Some(sections)
    }
}

/// A module that imports a function of this one's type, and exports it.
fn passing_on(types: &TypesRef<'_>, function: u32) -> Option<Module> {
    let ty = types
        .get(types.core_function_at(function))?
        .composite_type
        .inner
        .clone();
    let wasmparser::CompositeInnerType::Func(ty) = ty else {
        return None;
    };
    let values = |of: &[wasmparser::ValType]| of.iter().map(value).collect::<Option<Vec<_>>>();
    let mut type_section = TypeSection::new();
    type_section
        .ty()
        .function(values(ty.params())?, values(ty.results())?);
    let mut imports = ImportSection::new();
    imports.import(PASSED, PASSED, EntityType::Function(0));
    let mut exports = ExportSection::new();
    exports.export(PASSED, ExportKind::Func, 0);
    let mut module = Module::new();
    module
        .section(&type_section)
        .section(&imports)
        .section(&exports);
    Some(module)
}

/// What the canonical ABI passes.
fn value(of: &wasmparser::ValType) -> Option<ValType> {
    match of {
        wasmparser::ValType::I32 => Some(ValType::I32),
        wasmparser::ValType::I64 => Some(ValType::I64),
        wasmparser::ValType::F32 => Some(ValType::F32),
        wasmparser::ValType::F64 => Some(ValType::F64),
        _ => None,
    }
}

fn option(of: &wasmparser::CanonicalOption) -> Option<CanonicalOption> {
    match *of {
        wasmparser::CanonicalOption::UTF8 => Some(CanonicalOption::UTF8),
        wasmparser::CanonicalOption::UTF16 => Some(CanonicalOption::UTF16),
        wasmparser::CanonicalOption::CompactUTF16 => Some(CanonicalOption::CompactUTF16),
        wasmparser::CanonicalOption::Memory(index) => Some(CanonicalOption::Memory(index)),
        wasmparser::CanonicalOption::Realloc(index) => Some(CanonicalOption::Realloc(index)),
        wasmparser::CanonicalOption::PostReturn(index) => Some(CanonicalOption::PostReturn(index)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::component::{Component, Linker};
    use wasmtime::{Engine, Store};
    use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
    use wit_parser::Resolve;

    use super::*;

    const NAME: &str = "a:b/hooks@0.1.0#on-request";

    /// A component as encoders make them, whose hook adds what the host says and the length of a text.
    fn encoded() -> Vec<u8> {
        let wit = "package a:b@0.1.0;
            interface host { ten: func() -> u32; }
            interface hooks { first: func(); on-request: func(n: u32, text: string) -> u32; }
            world plugin { import host; export hooks; }";
        let mut module = wat::parse_str(format!(
            r#"(module
              (import "a:b/host@0.1.0" "ten" (func $ten (result i32)))
              (memory (export "memory") 1)
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
              (func (export "a:b/hooks@0.1.0#first"))
              (func (export "{NAME}") (param i32 i32 i32) (result i32)
                (i32.add (i32.add (local.get 0) (local.get 2)) (call $ten))))"#
        ))
        .unwrap();
        let mut resolve = Resolve::default();
        let package = resolve.push_str("test.wit", wit).unwrap();
        let world = resolve.select_world(&[package], None).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .unwrap();
        let mut encoder = ComponentEncoder::default();
        encoder.module(&module).unwrap();
        encoder.encode().unwrap()
    }

    fn component(body: &str) -> Vec<u8> {
        let text = format!(
            r#"(component
              (core module $m (func (export "hook") (result i32) (i32.const 1)))
              (core instance $i (instantiate $m))
              {body})"#
        );
        wat::parse_str(text).unwrap()
    }

    const LIFTED: &str = r#"(func $f (result u32) (canon lift (core func $i "hook")))"#;

    #[test]
    fn both_doors_lead_to_the_same_function() {
        let wasm = with_shortcut(&encoded(), NAME).unwrap();
        let engine = Engine::default();
        let component = Component::from_binary(&engine, &wasm).unwrap();
        let mut linker = Linker::new(&engine);
        let mut host = linker.instance("a:b/host@0.1.0").unwrap();
        host.func_wrap("ten", |_, ()| Ok((10u32,))).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let hooks = instance.get_export_index(&mut store, None, "a:b/hooks@0.1.0");
        let hook = instance.get_export_index(&mut store, hooks.as_ref(), "on-request");
        let shortcut = instance.get_export_index(&mut store, None, SHORTCUT);
        for door in [hook, shortcut] {
            let function = instance
                .get_typed_func::<(u32, &str), (u32,)>(&mut store, door.unwrap())
                .unwrap();
            for n in [7, 900] {
                let answer = function.call(&mut store, (n, "three")).unwrap();
                assert_eq!(answer, (n + 15,));
            }
        }
    }

    #[test]
    fn what_is_not_there_has_no_shortcut() {
        let once = with_shortcut(&component(LIFTED), "hook").unwrap();
        Validator::new().validate_all(&once).unwrap();
        assert!(with_shortcut(&component(LIFTED), "another").is_none());
        assert!(with_shortcut(&component(""), "hook").is_none());
        // Nobody else makes one, and there is one at most.
        assert!(with_shortcut(&once, "hook").is_none());
        let own = format!(r#"{LIFTED} (export "{SHORTCUT}" (func $f))"#);
        assert!(with_shortcut(&component(&own), "hook").is_none());
    }

    #[test]
    fn only_the_outermost_component_counts() {
        let text = format!(
            r#"(component (component
              (core module $m (func (export "hook") (result i32) (i32.const 1)))
              (core instance $i (instantiate $m)) {LIFTED}))"#
        );
        assert!(with_shortcut(&wat::parse_str(text).unwrap(), "hook").is_none());
    }

    #[test]
    fn wrong_bytes_have_no_shortcut() {
        let whole = encoded();
        // Some end where a section ends, and are whole.
        let made = (0..whole.len()).filter_map(|len| with_shortcut(&whole[..len], NAME));
        let made: Vec<_> = made.collect();
        assert!(made.len() < 10, "{}", made.len());
        for wasm in made {
            Validator::new().validate_all(&wasm).unwrap();
        }
        assert!(with_shortcut(b"\0asm\x01\0\0\0", NAME).is_none());
    }
}
