//! The export macro of the Sipward plugin SDK.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ImplItem, ItemImpl, Result, parse_quote};

/// See `sipward_plugin_sdk::policy`.
#[proc_macro_attribute]
pub fn policy(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    expand(&arguments.into(), item.into())
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

fn expand(arguments: &TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(arguments, "`policy` takes no arguments"));
    }
    let mut item: ItemImpl = syn::parse2(item)?;
    let is_policy = |path: &syn::Path| {
        path.segments
            .last()
            .is_some_and(|segment| segment.ident == "Policy")
    };
    if !item
        .trait_
        .as_ref()
        .is_some_and(|(_, path, _)| is_policy(path))
    {
        return Err(Error::new_spanned(
            &item.self_ty,
            "write this on `impl Policy for ..`",
        ));
    }
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &item.generics,
            "a component exports one concrete type",
        ));
    }
    let exports = exports(&item)?;
    for (name, variable) in [
        ("NAME", "CARGO_PKG_NAME"),
        ("VERSION", "CARGO_PKG_VERSION"),
        ("DESCRIPTION", "CARGO_PKG_DESCRIPTION"),
    ] {
        if !states(&item, name) {
            let name = syn::Ident::new(name, proc_macro2::Span::call_site());
            item.items.push(parse_quote! {
                const #name: &'static str = ::core::env!(#variable);
            });
        }
    }
    Ok(quote! { #item #exports })
}

/// Whether an impl has a constant of this name.
fn states(item: &ItemImpl, name: &str) -> bool {
    item.items
        .iter()
        .any(|item| matches!(item, ImplItem::Const(item) if item.ident == name))
}

/// Whether an impl has a function of this name.
fn has(item: &ItemImpl, name: &str) -> bool {
    item.items
        .iter()
        .any(|item| matches!(item, ImplItem::Fn(item) if item.sig.ident == name))
}

/// The glue of the hooks that were written, and of no others.
fn exports(item: &ItemImpl) -> Result<TokenStream> {
    let policy = &item.self_ty;
    let on_request = has(item, "on_request").then(request_hook);
    let on_response = has(item, "on_response").then(response_hook);
    let on_call_event = has(item, "on_call_event").then(call_hook);
    if on_request.is_none() && on_response.is_none() && on_call_event.is_none() {
        let message = "a policy has `on_request`, `on_response` or `on_call_event`";
        return Err(Error::new_spanned(policy, message));
    }
    let lifecycle = lifecycle(policy);
    Ok(quote! {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use ::sipward_plugin_sdk::glue;

            struct Component;

            glue::keep_policy!(#policy);

            #lifecycle
            #on_request
            #on_response
            #on_call_event
        };
    })
}

fn lifecycle(policy: &syn::Type) -> TokenStream {
    quote! {
        use glue::lifecycle::exports::sipward::policy::lifecycle;

        impl lifecycle::Guest for Component {
            fn describe() -> lifecycle::Manifest {
                let description = glue::describe::<#policy>();
                lifecycle::Manifest {
                    name: description.name,
                    version: description.version,
                    description: description.description,
                    methods: description.methods,
                    capabilities: description.capabilities,
                    settings_schema: description.settings_schema,
                }
            }

            fn configure(
                settings: glue::String,
            ) -> ::core::result::Result<(), lifecycle::SettingsError> {
                let wrong = |error: ::sipward_plugin_sdk::SettingsError| {
                    let (key, message) = error.into_parts();
                    lifecycle::SettingsError { key, message }
                };
                let policy = glue::configure::<#policy>(&settings).map_err(wrong)?;
                match keep_policy(policy) {
                    true => ::core::result::Result::Ok(()),
                    false => ::core::result::Result::Err(wrong(
                        ::sipward_plugin_sdk::SettingsError::new("", "configured twice"),
                    )),
                }
            }
        }

        glue::lifecycle::export_lifecycle!(Component with_types_in glue::lifecycle);
    }
}

fn request_hook() -> TokenStream {
    quote! {
        glue::export_on_request!(Component);
    }
}

fn response_hook() -> TokenStream {
    quote! {
        glue::export_on_response!(Component);
    }
}

fn call_hook() -> TokenStream {
    quote! {
        impl glue::call_policy::exports::sipward::policy::call_policy::Guest for Component {
            fn on_call_event(facts: glue::RawCall, event: glue::RawCallEvent) -> glue::RawOutcome {
                with_policy(|policy| glue::on_call_event(policy, &facts, &event))
            }
        }

        glue::call_policy::export_call_policy!(Component with_types_in glue::call_policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(source: &str) -> String {
        match syn::parse_str(source).map(|tokens| expand(&TokenStream::new(), tokens)) {
            Ok(Ok(tokens)) => tokens.to_string(),
            Ok(Err(error)) | Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn the_world_follows_the_hooks() {
        let hooks = [
            ("on_request", "export_on_request !"),
            ("on_response", "export_on_response !"),
            ("on_call_event", "export_call_policy !"),
        ];
        for chosen in 1..8_u8 {
            let is_chosen = |place: usize| chosen & 1 << place != 0;
            let written: String = hooks
                .iter()
                .enumerate()
                .filter(|(place, _)| is_chosen(*place))
                .map(|(_, (function, _))| format!("fn {function}() {{}} "))
                .collect();
            let policy = expanded(&format!("impl sdk::Policy for X {{ {written} }}"));
            for (place, (_, export)) in hooks.iter().enumerate() {
                assert_eq!(policy.contains(export), is_chosen(place), "{written}");
            }
        }
    }

    #[test]
    fn what_is_stated_is_not_added() {
        let own =
            expanded(r#"impl Policy for X { const NAME: &'static str = "x"; fn on_request() {} }"#);
        assert!(!own.contains("CARGO_PKG_NAME") && own.contains("CARGO_PKG_VERSION"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(expanded("impl Policy for X {}").starts_with("error: a policy has"));
        assert!(expanded("impl X { fn on_request() {} }").starts_with("error: write this"));
        assert!(
            expanded("impl<T> Policy for X<T> { fn on_request() {} }")
                .starts_with("error: a component")
        );
    }
}
