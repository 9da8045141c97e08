//! What crosses the border: BSON bytes, and errors.

use bson::{Bson, Document};
use js_sys::{Array, Error as JsError, JsString, Reflect, Uint8Array};
use quorate::error::Error;
use wasm_bindgen::prelude::*;

/// The BSON bytes of a document in JSON, MongoDB's extended JSON included: `{"_id": {"$oid": "..."}}`.
///
/// # Errors
/// When it is no JSON, or no object.
#[wasm_bindgen]
pub fn encode(json: &str) -> Result<Uint8Array, JsValue> {
    let value: serde_json::Value = serde_json::from_str(json).map_err(|error| failure(&error.to_string()))?;
    match Bson::try_from(value).map_err(|error| failure(&error.to_string()))? {
        Bson::Document(document) => to_bytes(&document),
        _ => Err(failure("only a JSON object is a document")),
    }
}

/// A document of BSON bytes as relaxed extended JSON.
///
/// # Errors
/// When the bytes are no document.
#[wasm_bindgen]
pub fn decode(bson: &[u8]) -> Result<String, JsValue> {
    Ok(Bson::Document(to_document(bson)?).into_relaxed_extjson().to_string())
}

/// A document out of bytes that came from JavaScript.
pub(crate) fn to_document(bytes: &[u8]) -> Result<Document, JsValue> {
    bson::deserialize_from_slice(bytes).map_err(|error| failure(&format!("not a BSON document: {error}")))
}

/// A document as bytes for JavaScript.
pub(crate) fn to_bytes(document: &Document) -> Result<Uint8Array, JsValue> {
    let bytes = bson::serialize_to_vec(document).map_err(|error| failure(&error.to_string()))?;
    Ok(Uint8Array::from(&bytes[..]))
}

/// An `Error` with that message.
pub(crate) fn failure(message: &str) -> JsValue {
    JsError::new(message).into()
}

/// The driver's error as an `Error` with the server's `code`, where there is one, and `errorLabels`.
pub(crate) fn js_error(error: Error) -> JsValue {
    let js = JsError::new(&error.to_string());
    js.set_name("QuorateError");
    if let Some(code) = error.code() {
        set(&js, "code", code);
    }
    let labels: Array = error.labels().map(JsString::from).collect();
    set(&js, "errorLabels", labels);
    js.into()
}

/// Sets a property of an object made here.
pub(crate) fn set(object: &JsValue, name: &str, value: impl Into<JsValue>) {
    // Plain objects take any property.
    let _ = Reflect::set(object, &name.into(), &value.into());
}

/// What a thrown value says.
pub(crate) fn text_of(thrown: &JsValue) -> String {
    match thrown.dyn_ref::<JsError>() {
        Some(error) => String::from(error.message()),
        None => thrown.as_string().unwrap_or_else(|| "the host gave no reason".to_owned()),
    }
}
