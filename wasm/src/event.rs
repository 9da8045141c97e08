//! Events as plain objects, and the topology as one.

use crate::value::set;
use js_sys::{Array, Function, Object, Promise};
use quorate::event::EventHandler;
use quorate::event::sdam::SdamEvent;
use quorate::options::ClientOptions;
use quorate::{ServerAddress, TopologyDescription};
use send_wrapper::SendWrapper;
use std::fmt::Debug;
use std::sync::Arc;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** Something happened. */
export interface QuorateEvent {
  /** What it is about. */
  kind: "sdam" | "cmap" | "command";
  /** Its name in the specifications' words, such as `ServerHeartbeatSucceeded` or `ConnectionCheckedOut`. */
  name: string;
  /** All of it, for people. */
  text: string;
  /** What the deployment is now: with `TopologyDescriptionChanged`. */
  topology?: Topology;
}

/** The deployment as last seen. */
export interface Topology {
  type: "Unknown" | "Single" | "ReplicaSetNoPrimary" | "ReplicaSetWithPrimary" | "Sharded" | "LoadBalanced";
  setName?: string;
  /** The primary's address, if one is known. */
  primary?: string;
  servers: { address: string; type: string }[];
}
"#;

#[wasm_bindgen]
extern "C" {
    /// Whom to tell of events.
    #[wasm_bindgen(typescript_type = "(event: QuorateEvent) => void", extends = Function)]
    pub type OnEvent;

    #[wasm_bindgen(typescript_type = "Topology", extends = Object)]
    pub type Topology;
}

/// Makes `options` tell `handler` of everything.
pub(crate) fn listen(options: &mut ClientOptions, handler: OnEvent) {
    let handler: Arc<SendWrapper<OnEvent>> = Arc::new(SendWrapper::new(handler));
    let tell = handler.clone();
    options.sdam_event_handler = Some(EventHandler::callback(move |event| {
        let object = event_object("sdam", &event);
        if let SdamEvent::TopologyDescriptionChanged(changed) = &event {
            set(&object, "topology", topology(&changed.new_description));
        }
        call(&tell, object);
    }));
    let tell = handler.clone();
    options.cmap_event_handler =
        Some(EventHandler::callback(move |event| call(&tell, event_object("cmap", &event))));
    options.command_event_handler =
        Some(EventHandler::callback(move |event| call(&handler, event_object("command", &event))));
}

fn event_object(kind: &str, event: &impl Debug) -> Object {
    let text = format!("{event:?}");
    // Events are enums of one field: `Name(NameEvent { .. })`.
    let name = text.split('(').next().unwrap_or_default();
    let object = Object::new();
    set(&object, "kind", kind);
    set(&object, "name", name);
    set(&object, "text", &text);
    object
}

/// What a handler throws reaches the host as a rejection nobody handles, as it would from any other callback: the client
/// goes on.
fn call(handler: &OnEvent, event: Object) {
    if let Err(thrown) = handler.call1(&JsValue::UNDEFINED, &event) {
        let _ = Promise::reject(&thrown);
    }
}

/// The deployment as a plain object.
pub(crate) fn topology(description: &TopologyDescription) -> Topology {
    let object = Object::new();
    set(&object, "type", description.topology_type.as_str());
    if let Some(name) = &description.set_name {
        set(&object, "setName", &**name);
    }
    if let Some(primary) = description.primary() {
        set(&object, "primary", primary.address.to_string());
    }
    let server = |address: &ServerAddress, kind: &str| {
        let object = Object::new();
        set(&object, "address", address.to_string());
        set(&object, "type", kind);
        object
    };
    let servers: Array =
        description.servers.iter().map(|(address, it)| server(address, it.server_type.as_str())).collect();
    set(&object, "servers", servers);
    object.unchecked_into()
}
