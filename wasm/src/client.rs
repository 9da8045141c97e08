//! [`Client`] and [`Cursor`] as JavaScript sees them.

use crate::event::{OnEvent, Topology, listen, topology};
use crate::runtime::JavaScript;
use crate::socket::Sockets;
use crate::value::{failure, js_error, to_bytes, to_document};
use bson::Bson;
use bson::raw::RawDocumentBuf;
use js_sys::Uint8Array;
use quorate::options::{ClientOptions, FindOptions};
use wasm_bindgen::prelude::*;

/// A client of one deployment: standalone, replica set, sharded cluster, whichever it finds.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Client(quorate::Client<JavaScript>);

#[wasm_bindgen]
impl Client {
    /// A client for a connection string. Discovery goes on in the background: the first operation waits for a suitable
    /// server for up to `serverSelectionTimeoutMS`. `onEvent` is told of everything that happens; it should return quickly.
    ///
    /// # Errors
    /// When the connection string is wrong or asks for what is not there, such as TLS.
    pub async fn connect(
        uri: String,
        sockets: Sockets,
        on_event: Option<OnEvent>,
    ) -> Result<Client, JsValue> {
        let mut options = ClientOptions::parse(&uri).await.map_err(js_error)?;
        if let Some(handler) = on_event {
            listen(&mut options, handler);
        }
        quorate::Client::on(JavaScript::new(sockets), options).map(Client).map_err(js_error)
    }

    /// Runs a command, BSON bytes, on the primary; gives the server's reply.
    ///
    /// # Errors
    /// When the server answers `ok: 0`, or none answers.
    #[wasm_bindgen(js_name = runCommand)]
    pub async fn run_command(&self, db: String, command: Vec<u8>) -> Result<Uint8Array, JsValue> {
        let reply = self.0.database(&db).run_raw_command(raw(command)?).await;
        to_bytes(&reply.map_err(js_error)?)
    }

    /// Inserts a document. Gives `{ insertedId }` as BSON bytes.
    ///
    /// # Errors
    /// When it was not inserted, or nobody knows whether it was.
    #[wasm_bindgen(js_name = insertOne)]
    pub async fn insert_one(
        &self,
        db: String,
        collection: String,
        document: Vec<u8>,
    ) -> Result<Uint8Array, JsValue> {
        let collection = self.0.database(&db).collection::<RawDocumentBuf>(&collection);
        let inserted = collection.insert_one(raw(document)?).await.map_err(js_error)?;
        to_bytes(&bson::doc! { "insertedId": inserted.inserted_id })
    }

    /// Finds the documents that match `filter`. `options`, BSON bytes, may have `projection`, `sort`, `skip`, `limit` and
    /// `batchSize`.
    ///
    /// # Errors
    /// When `options` has something else, the server refuses, or none answers.
    pub async fn find(
        &self,
        db: String,
        collection: String,
        filter: Vec<u8>,
        options: Option<Vec<u8>>,
    ) -> Result<Cursor, JsValue> {
        let options = options.map(|options| find_options(&options)).transpose()?;
        let collection = self.0.database(&db).collection::<RawDocumentBuf>(&collection);
        let cursor = collection.find(to_document(&filter)?).with_options(options).await;
        cursor.map(Cursor).map_err(js_error)
    }

    /// The deployment as last seen.
    pub fn topology(&self) -> Topology {
        topology(&self.0.topology())
    }

    /// Ends the client: closes every connection, stops every timer. Operations under way fail, and so do later ones.
    pub async fn close(&self) {
        self.0.clone().shutdown().await;
    }
}

/// The results of a query.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Cursor(quorate::Cursor<RawDocumentBuf, JavaScript>);

#[wasm_bindgen]
impl Cursor {
    /// The next document, BSON bytes; `undefined` after the last. One call at a time.
    ///
    /// # Errors
    /// What asking for a further batch can give.
    pub async fn next(&mut self) -> Result<Option<Uint8Array>, JsValue> {
        let more = self.0.advance().await.map_err(js_error)?;
        Ok(more.then(|| Uint8Array::from(self.0.current().as_bytes())))
    }
}

fn find_options(bytes: &[u8]) -> Result<FindOptions, JsValue> {
    let mut options = FindOptions::default();
    for (name, value) in to_document(bytes)? {
        let taken = match name.as_str() {
            "projection" => value.as_document().map(|it| options.projection = Some(it.clone())),
            "sort" => value.as_document().map(|it| options.sort = Some(it.clone())),
            "skip" => whole(&value).and_then(|it| u64::try_from(it).ok()).map(|it| options.skip = Some(it)),
            "limit" => whole(&value).map(|it| options.limit = Some(it)),
            "batchSize" => {
                whole(&value).and_then(|it| u32::try_from(it).ok()).map(|it| options.batch_size = Some(it))
            }
            _ => return Err(failure(&format!("find has no option {name} here"))),
        };
        taken.ok_or_else(|| failure(&format!("{value} is no value for find's option {name}")))?;
    }
    Ok(options)
}

/// A whole number, whichever of BSON's types JavaScript made of it.
fn whole(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        Bson::Double(number) if number.fract() == 0.0 => Some(*number as i64),
        _ => None,
    }
}

/// A document as its bytes, checked.
fn raw(bytes: Vec<u8>) -> Result<RawDocumentBuf, JsValue> {
    RawDocumentBuf::from_bytes(bytes).map_err(|error| failure(&format!("not a BSON document: {error}")))
}
