//! What instances are made by: compiled, linked, and with the places of its hooks.

use std::sync::Arc;

use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use crate::aot;
use crate::bindings::{call_policy, lifecycle, response_policy};
use crate::engine::{Engine, Occupancy, Ticker};
use crate::error::LoadError;
use crate::host::{self, HostState};
use crate::limits::PluginLimits;
use crate::load::{PluginSource, shown};
use crate::services::HostServices;
use crate::shortcut::{SHORTCUT, with_shortcut};

/// Where a component exports `on-request`.
#[derive(Clone, Copy)]
pub(crate) enum RequestExport {
    /// In `packed-request-policy`.
    Packed(ComponentExportIndex),
    /// In `request-policy`.
    Typed(ComponentExportIndex),
}

/// All that it takes to make an instance.
#[derive(Clone)]
pub(crate) struct Blueprint {
    pub(crate) name: Arc<str>,
    pub(crate) pre: InstancePre<HostState>,
    pub(crate) lifecycle: lifecycle::GuestIndices,
    pub(crate) request: Option<RequestExport>,
    pub(crate) response: Option<response_policy::GuestIndices>,
    pub(crate) call: Option<call_policy::GuestIndices>,
    pub(crate) services: Arc<HostServices>,
    pub(crate) limits: PluginLimits,
    pub(crate) settings: String,
    /// Whether the engine counts what guests execute.
    pub(crate) counts_fuel: bool,
    /// Its instances begin with the memory that `configure` left.
    pub(crate) is_configured: bool,
    /// Where its instances are counted.
    pub(crate) occupancy: Arc<Occupancy>,
    /// Deadlines pass while somebody holds it.
    pub(crate) ticker: Arc<Ticker>,
}

/// Makes the blueprints of one plugin.
pub(crate) struct Drafting<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) source: &'a PluginSource,
    pub(crate) services: &'a Arc<HostServices>,
}

impl Drafting<'_> {
    /// For instances that are asked once.
    pub(crate) fn blueprint(&self, wasm: &[u8]) -> Result<Blueprint, LoadError> {
        let component = self.compile(wasm)?;
        let request = request_export(&component)?;
        self.link(&component, request)
    }

    /// For instances that are asked more than once: where there can be one, with a shortcut.
    pub(crate) fn blueprint_for_reuse(&self, wasm: &[u8]) -> Result<Blueprint, LoadError> {
        let rewritten = REQUEST_HOOKS.iter().find_map(|hook| {
            let name = format!("{}#{ON_REQUEST}", hook.interface);
            Some((hook, with_shortcut(wasm, &name)?))
        });
        if let Some((RequestHook { interface, export }, rewritten)) = rewritten
            && let Ok(component) = self.compile(&rewritten)
            && component.get_export_index(None, interface).is_some()
            && let Some(index) = component.get_export_index(None, SHORTCUT)
        {
            let mut blueprint = self.link(&component, Some(export(index)))?;
            // The module that passes calls on is ours.
            blueprint.limits.instances = blueprint.limits.instances.saturating_add(1);
            return Ok(blueprint);
        }
        self.blueprint(wasm)
    }

    fn compile(&self, wasm: &[u8]) -> Result<Component, LoadError> {
        aot::compile(self.engine, wasm)
            .map_err(|error| LoadError::Invalid(shown(&format!("{error:#}"))))
    }

    fn link(
        &self,
        component: &Component,
        request: Option<RequestExport>,
    ) -> Result<Blueprint, LoadError> {
        let Self {
            engine,
            source,
            services,
        } = self;
        let link = |error: wasmtime::Error| LoadError::Link(shown(&format!("{error:#}")));
        let pre = host::linker(&engine.wasmtime, source.capabilities)
            .and_then(|linker| linker.instantiate_pre(component))
            .map_err(link)?;
        let exports = |name: &str| component.get_export_index(None, name).is_some();
        if !exports(LIFECYCLE) {
            return Err(LoadError::NoHook {
                missing: "no lifecycle",
            });
        }
        let response = match exports(RESPONSE_POLICY) {
            true => Some(response_policy::GuestIndices::new(&pre).map_err(link)?),
            false => None,
        };
        let call = match exports(CALL_POLICY) {
            true => Some(call_policy::GuestIndices::new(&pre).map_err(link)?),
            false => None,
        };
        if request.is_none() && response.is_none() && call.is_none() {
            return Err(LoadError::NoHook { missing: "no hook" });
        }
        let mut limits = source.limits;
        limits.memory_bytes = limits.memory_bytes.min(engine.config.memory_bytes);
        limits.table_elements = limits.table_elements.min(engine.config.table_elements);
        Ok(Blueprint {
            name: Arc::clone(&source.name),
            lifecycle: lifecycle::GuestIndices::new(&pre).map_err(link)?,
            pre,
            request,
            response,
            call,
            services: Arc::clone(services),
            limits,
            settings: source.settings.to_string(),
            counts_fuel: engine.config.count_fuel,
            is_configured: false,
            occupancy: Arc::clone(&engine.occupancy),
            ticker: Arc::clone(&engine.ticker),
        })
    }
}

/// The request hook, if the component has one.
fn request_export(component: &Component) -> Result<Option<RequestExport>, LoadError> {
    for RequestHook { interface, export } in REQUEST_HOOKS {
        if let Some(outer) = component.get_export_index(None, interface) {
            let hook = component.get_export_index(Some(&outer), ON_REQUEST);
            let missing = || LoadError::Link(format!("{interface} has no {ON_REQUEST}"));
            return hook.ok_or_else(missing).map(|hook| Some(export(hook)));
        }
    }
    Ok(None)
}

/// A form of the request hook.
struct RequestHook {
    interface: &'static str,
    export: fn(ComponentExportIndex) -> RequestExport,
}

/// A component that has both is asked in the first.
const REQUEST_HOOKS: [RequestHook; 2] = [
    RequestHook {
        interface: "sipward:policy/packed-request-policy@0.1.0",
        export: RequestExport::Packed,
    },
    RequestHook {
        interface: "sipward:policy/request-policy@0.1.0",
        export: RequestExport::Typed,
    },
];

const LIFECYCLE: &str = "sipward:policy/lifecycle@0.1.0";
const ON_REQUEST: &str = "on-request";
const RESPONSE_POLICY: &str = "sipward:policy/response-policy@0.1.0";
const CALL_POLICY: &str = "sipward:policy/call-policy@0.1.0";
