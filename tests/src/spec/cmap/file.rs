//! The format itself: every key is known, or the file is refused.

use serde_json::{Map, Value};

/// One file of the suite.
#[derive(Debug)]
pub(super) struct TestFile {
    pub(super) pool_options: PoolOptionsJson,
    pub(super) fail_point: Option<FailPoint>,
    pub(super) operations: Vec<Operation>,
    pub(super) error: Option<Map<String, Value>>,
    pub(super) events: Option<Vec<Value>>,
    pub(super) ignore: Vec<String>,
}

/// `poolOptions`.
#[derive(Debug, Default)]
pub(super) struct PoolOptionsJson {
    pub(super) max_pool_size: Option<u32>,
    pub(super) min_pool_size: Option<u32>,
    pub(super) max_idle_time_ms: Option<u64>,
    pub(super) max_connecting: Option<u32>,
    pub(super) wait_queue_timeout_ms: Option<u64>,
    pub(super) background_thread_interval_ms: Option<i64>,
    pub(super) app_name: Option<String>,
}

/// What a `failCommand` fail point does to the handshake.
#[derive(Clone, Debug)]
pub(super) struct FailPoint {
    /// How often; `None` for always.
    pub(super) times: Option<u64>,
    pub(super) app_name: Option<String>,
    pub(super) block_ms: u64,
    pub(super) close_connection: bool,
    pub(super) error_code: Option<i32>,
}

/// One operation and the thread it runs on (`None` for the main thread).
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) thread: Option<String>,
    pub(super) what: What,
}

/// The operations of the format.
#[derive(Clone, Debug)]
pub(super) enum What {
    Start { target: String },
    Wait { ms: u64 },
    WaitForThread { target: String },
    WaitForEvent { event: String, count: usize, timeout_ms: Option<u64> },
    CheckOut { label: Option<String> },
    CheckIn { connection: String },
    Clear { interrupt: bool },
    Close,
    Ready,
}

impl TestFile {
    pub(super) fn read(json: &Value) -> Result<Self, String> {
        let mut top = Fields::of(json, "file")?;
        let version = top.required("version", Value::as_u64)?;
        let style = top.required("style", |v| v.as_str().map(str::to_string))?;
        if version != 1 || !matches!(style.as_str(), "unit" | "integration") {
            return Err(format!("version {version}, style {style}: not this format"));
        }
        top.required("description", |v| v.as_str().map(str::to_string))?;
        if let Some(run_on) = top.optional("runOn", |v| v.as_array().cloned())? {
            for entry in &run_on {
                // The simulated server is of the newest version.
                let mut entry = Fields::of(entry, "runOn")?;
                entry.optional("minServerVersion", |v| v.as_str().map(str::to_string))?;
                entry.finish()?;
            }
        }
        let file = TestFile {
            pool_options: match top.take("poolOptions") {
                Some(v) => PoolOptionsJson::read(&v)?,
                None => PoolOptionsJson::default(),
            },
            fail_point: top.take("failPoint").map(|v| FailPoint::read(&v)).transpose()?,
            operations: top
                .required("operations", |v| v.as_array().cloned())?
                .iter()
                .map(Operation::read)
                .collect::<Result<_, _>>()?,
            error: top.optional("error", |v| v.as_object().cloned())?,
            events: top.optional("events", |v| v.as_array().cloned())?,
            ignore: top
                .optional("ignore", |v| v.as_array().cloned())?
                .unwrap_or_default()
                .iter()
                .map(|v| v.as_str().map(str::to_string).ok_or("ignore: not a name".to_string()))
                .collect::<Result<_, _>>()?,
        };
        top.finish()?;
        Ok(file)
    }

    /// Whether the fail point makes handshakes fail.
    pub(super) fn establishment_may_fail(&self) -> bool {
        self.fail_point.as_ref().is_some_and(|f| f.close_connection || f.error_code.is_some())
    }
}

impl PoolOptionsJson {
    fn read(json: &Value) -> Result<Self, String> {
        let mut f = Fields::of(json, "poolOptions")?;
        let number = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
        let options = PoolOptionsJson {
            max_pool_size: f.optional("maxPoolSize", number)?,
            min_pool_size: f.optional("minPoolSize", number)?,
            max_idle_time_ms: f.optional("maxIdleTimeMS", Value::as_u64)?,
            max_connecting: f.optional("maxConnecting", number)?,
            wait_queue_timeout_ms: f.optional("waitQueueTimeoutMS", Value::as_u64)?,
            background_thread_interval_ms: f.optional("backgroundThreadIntervalMS", Value::as_i64)?,
            app_name: f.optional("appName", |v| v.as_str().map(str::to_string))?,
        };
        f.finish()?;
        Ok(options)
    }
}

impl FailPoint {
    fn read(json: &Value) -> Result<Self, String> {
        let mut f = Fields::of(json, "failPoint")?;
        let name = f.required("configureFailPoint", |v| v.as_str().map(str::to_string))?;
        if name != "failCommand" {
            return Err(format!("fail point {name} is not known here"));
        }
        let times = match f.take("mode") {
            Some(Value::String(mode)) if mode == "alwaysOn" => None,
            Some(mode) => {
                let mut mode = Fields::of(&mode, "mode")?;
                let times = mode.required("times", Value::as_u64)?;
                mode.finish()?;
                Some(times)
            }
            None => return Err("failPoint without mode".into()),
        };
        let data = f.take("data").ok_or("failPoint without data")?;
        f.finish()?;
        let mut data = Fields::of(&data, "failPoint.data")?;
        let commands = data.required("failCommands", |v| v.as_array().cloned())?;
        if !commands.iter().all(|c| matches!(c.as_str(), Some("hello" | "isMaster"))) {
            return Err(format!("only the handshake can fail here, not {commands:?}"));
        }
        let block = data.optional("blockConnection", Value::as_bool)?.unwrap_or(false);
        let block_ms = data.optional("blockTimeMS", Value::as_u64)?;
        let fail_point = FailPoint {
            times,
            app_name: data.optional("appName", |v| v.as_str().map(str::to_string))?,
            block_ms: if block { block_ms.ok_or("blockConnection without blockTimeMS")? } else { 0 },
            close_connection: data.optional("closeConnection", Value::as_bool)?.unwrap_or(false),
            error_code: data
                .optional("errorCode", Value::as_i64)?
                .map(|c| i32::try_from(c).map_err(|e| e.to_string()))
                .transpose()?,
        };
        data.finish()?;
        Ok(fail_point)
    }
}

impl Operation {
    fn read(json: &Value) -> Result<Self, String> {
        let text = |v: &Value| v.as_str().map(str::to_string);
        let mut f = Fields::of(json, "operation")?;
        let name = f.required("name", text)?;
        let thread = f.optional("thread", text)?;
        let what = match name.as_str() {
            "start" => What::Start { target: f.required("target", text)? },
            "wait" => What::Wait { ms: f.required("ms", Value::as_u64)? },
            "waitForThread" => What::WaitForThread { target: f.required("target", text)? },
            "waitForEvent" => What::WaitForEvent {
                event: f.required("event", text)?,
                count: f.required("count", |v| v.as_u64().and_then(|n| usize::try_from(n).ok()))?,
                timeout_ms: f.optional("timeout", Value::as_u64)?,
            },
            "checkOut" => What::CheckOut { label: f.optional("label", text)? },
            "checkIn" => What::CheckIn { connection: f.required("connection", text)? },
            "clear" => What::Clear {
                interrupt: f.optional("interruptInUseConnections", Value::as_bool)?.unwrap_or(false),
            },
            "close" => What::Close,
            "ready" => What::Ready,
            other => return Err(format!("operation {other} is not of this format")),
        };
        f.finish()?;
        Ok(Operation { thread, what })
    }
}

/// An object being read: what is left over at the end is an error.
struct Fields {
    left: Map<String, Value>,
    of: &'static str,
}

impl Fields {
    fn of(json: &Value, of: &'static str) -> Result<Self, String> {
        let left = json.as_object().cloned().ok_or_else(|| format!("{of}: not an object: {json}"))?;
        Ok(Fields { left, of })
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.left.remove(key)
    }

    fn optional<T>(&mut self, key: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(v) => match read(&v) {
                Some(t) => Ok(Some(t)),
                None => Err(format!("{}.{key}: cannot be {v}", self.of)),
            },
        }
    }

    fn required<T>(&mut self, key: &str, read: impl Fn(&Value) -> Option<T>) -> Result<T, String> {
        self.optional(key, read)?.ok_or_else(|| format!("{}: no {key}", self.of))
    }

    fn finish(self) -> Result<(), String> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(key) => Err(format!("{}: unknown key {key}", self.of)),
        }
    }
}
