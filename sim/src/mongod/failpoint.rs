//! `configureFailPoint: "failCommand"`: commands that fail because a test says so.

use super::generic::{expect_int, type_name};
use crate::store::Failure;
use bson::{Bson, Document, doc};
use quorate_core::Duration;

/// The server's one fail point that drivers' tests use, and how often it struck.
#[derive(Debug, Default)]
pub(crate) struct FailCommand {
    mode: Mode,
    data: Data,
    /// How often it struck, over all settings: what `configureFailPoint` answers.
    count: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Mode {
    #[default]
    Off,
    AlwaysOn,
    /// Strikes that often and is off then.
    Times(i64),
    /// Lets that many pass and is always on then.
    Skip(i64),
}

#[derive(Clone, Debug, Default)]
struct Data {
    commands: Vec<String>,
    error_code: Option<i32>,
    close: bool,
    block: Option<Duration>,
    concern_error: Option<Document>,
    labels: Option<Vec<String>>,
    app_name: Option<String>,
    namespace: Option<String>,
    internal: bool,
    broken: Option<Failure>,
}

/// Who runs what, as far as the fail point looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The command's name, as it is called first and foremost (`findAndModify`).
    pub(crate) command: &'a str,
    /// Database and collection.
    pub(crate) namespace: &'a str,
    /// The client's application name.
    pub(crate) app_name: Option<&'a str>,
    /// Another server asks, not a client.
    pub(crate) internal: bool,
}

/// What the fail point does to one command.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Strike {
    /// Wait that long first.
    pub(crate) block: Option<Duration>,
    /// Hang up.
    pub(crate) close: bool,
    /// Fail.
    pub(crate) error: Option<Failure>,
    /// These labels in place of the server's.
    pub(crate) labels: Option<Vec<String>>,
}

impl FailCommand {
    /// Carries out `configureFailPoint` and gives its reply.
    pub(crate) fn configure(&mut self, body: &Document) -> Result<Document, Failure> {
        let name = body.get_str("configureFailPoint").unwrap_or("");
        if name != "failCommand" {
            return Err(Failure::new(266, format!("{name} not found")));
        }
        let mode = read_mode(body.get("mode"))?;
        let data = match body.get("data") {
            None => Document::new(),
            Some(Bson::Document(data)) => data.clone(),
            Some(_) => return Err(Failure::new(14, "the 'data' option must be a JSON object")),
        };
        let count = self.count;
        (self.mode, self.data) = (mode, Data::read(&data));
        Ok(doc! { "count": count })
    }

    /// Whether it is off, so that nobody has to ask further.
    pub(crate) fn is_off(&self) -> bool {
        self.mode == Mode::Off
    }

    /// What it does to a command before that is carried out.
    pub(crate) fn strike(&mut self, subject: Subject<'_>) -> Option<Strike> {
        let data = &self.data;
        let does = data.close || data.block.is_some() || data.error_code.is_some() || data.broken.is_some();
        if !does || !self.matches(subject) || !self.consume() {
            return None;
        }
        let data = &self.data;
        if let Some(broken) = &data.broken {
            return Some(Strike { error: Some(broken.clone()), ..Strike::default() });
        }
        let text = "Failing command via 'failCommand' failpoint";
        Some(Strike {
            block: data.block,
            close: data.close,
            error: data.error_code.map(|code| Failure::new(code, text)),
            labels: data.labels.clone(),
        })
    }

    /// The write concern error it adds to a command that was carried out, and the labels that go with it.
    pub(crate) fn concern_error(&mut self, subject: Subject<'_>) -> Option<(Document, Option<Vec<String>>)> {
        if self.data.concern_error.is_none() || !self.matches(subject) || !self.consume() {
            return None;
        }
        self.data.concern_error.clone().map(|error| (error, self.data.labels.clone()))
    }

    fn matches(&self, subject: Subject<'_>) -> bool {
        let data = &self.data;
        self.mode != Mode::Off
            // What turns it off must not fail.
            && subject.command != "configureFailPoint"
            && data.commands.iter().any(|name| canonical(name) == subject.command)
            && (data.internal || !subject.internal)
            && data.app_name.as_deref().is_none_or(|name| subject.app_name == Some(name))
            && data.namespace.as_deref().is_none_or(|ns| subject.namespace == ns)
    }

    /// Counts a command that matches; whether it is struck.
    fn consume(&mut self) -> bool {
        match &mut self.mode {
            Mode::Off => return false,
            Mode::AlwaysOn => {}
            Mode::Times(left) => {
                *left -= 1;
                if *left <= 0 {
                    self.mode = Mode::Off;
                }
            }
            Mode::Skip(left) if *left > 0 => {
                *left -= 1;
                return false;
            }
            Mode::Skip(_) => {}
        }
        self.count += 1;
        true
    }
}

/// The name a command goes by first: the fail point knows commands by that.
pub(crate) fn canonical(name: &str) -> &str {
    match name {
        "ismaster" => "isMaster",
        "findandmodify" => "findAndModify",
        "buildinfo" => "buildInfo",
        "deleteIndexes" => "dropIndexes",
        other => other,
    }
}

impl Data {
    fn read(data: &Document) -> Data {
        let names = |field: &str| {
            let list = data.get_array(field).ok()?;
            Some(list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect::<Vec<_>>())
        };
        let text = |field: &str| data.get_str(field).ok().map(str::to_owned);
        let number = |field: &str| data.get(field).and_then(expect_int);
        let mut read = Data {
            commands: names("failCommands").unwrap_or_default(),
            error_code: number("errorCode").and_then(|code| i32::try_from(code).ok()),
            close: data.get_bool("closeConnection").unwrap_or(false),
            concern_error: data.get_document("writeConcernError").ok().cloned(),
            labels: names("errorLabels"),
            app_name: text("appName"),
            namespace: text("namespace"),
            internal: data.get_bool("failInternalCommands").unwrap_or(false),
            ..Data::default()
        };
        if data.get_bool("blockConnection").unwrap_or(false) {
            match number("blockTimeMS") {
                Some(millis) => read.block = Some(Duration::from_millis(u64::try_from(millis).unwrap_or(0))),
                None => {
                    let text = "must specify 'blockTimeMS' when 'blockConnection' is true";
                    read.broken = Some(Failure::new(72, text));
                }
            }
        }
        read
    }
}

fn read_mode(mode: Option<&Bson>) -> Result<Mode, Failure> {
    match mode {
        None => Err(Failure::new(20, "When setting a failpoint, you must supply a 'mode'")),
        Some(Bson::String(name)) => match name.as_str() {
            "off" => Ok(Mode::Off),
            "alwaysOn" => Ok(Mode::AlwaysOn),
            other => Err(Failure::new(2, format!("unknown mode: {other}"))),
        },
        Some(Bson::Document(mode)) => match mode.iter().next() {
            Some((name, count)) if name == "times" => positive(name, count).map(Mode::Times),
            Some((name, count)) if name == "skip" => positive(name, count).map(Mode::Skip),
            // A coin is not thrown here: tests that count on chance want the simulation's own.
            Some((name, _)) if name == "activationProbability" => Ok(Mode::AlwaysOn),
            _ => {
                let text = "'mode' must be one of 'off', 'alwaysOn', '{times:n}', '{skip:n}' or \
                            '{activationProbability:p}'";
                Err(Failure::new(2, text))
            }
        },
        Some(_) => Err(Failure::new(14, "'mode' must be a string or JSON object")),
    }
}

fn positive(name: &str, count: &Bson) -> Result<i64, Failure> {
    let Some(number) = expect_int(count) else {
        let found = type_name(count);
        let text = format!("Expected field \"{name}\" to have numeric type, but found {found}");
        return Err(Failure::new(14, text));
    };
    if number < 0 {
        return Err(Failure::new(2, format!("'{name}' option to 'mode' must be positive")));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: Subject<'static> =
        Subject { command: "ping", namespace: "test.", app_name: Some("shop"), internal: false };

    fn configured(mode: impl Into<Bson>, data: Document) -> FailCommand {
        let mut fail = FailCommand::default();
        fail.configure(&doc! { "configureFailPoint": "failCommand", "mode": mode.into(), "data": data })
            .unwrap();
        fail
    }

    #[test]
    fn times_and_skip_count_what_matches() {
        let data = doc! { "failCommands": ["ping"], "errorCode": 5 };
        let mut fail = configured(doc! { "times": 2 }, data.clone());
        assert_eq!(fail.strike(Subject { command: "find", ..PING }), None);
        assert_eq!(fail.strike(PING).unwrap().error.unwrap().code, 5);
        assert!(fail.strike(PING).is_some() && fail.strike(PING).is_none() && fail.is_off());
        let off = fail.configure(&doc! { "configureFailPoint": "failCommand", "mode": "off" }).unwrap();
        assert_eq!(off, doc! { "count": 2_i64 });

        let mut fail = configured(doc! { "skip": 1 }, data);
        assert!(fail.strike(PING).is_none() && fail.strike(PING).is_some() && fail.strike(PING).is_some());
    }

    #[test]
    fn who_and_what_is_looked_at() {
        let mut fail =
            configured("alwaysOn", doc! { "failCommands": ["ping"], "errorCode": 5, "appName": "x" });
        assert!(fail.strike(PING).is_none());
        let mut fail = configured("alwaysOn", doc! { "failCommands": ["ping"], "closeConnection": true });
        assert!(fail.strike(PING).unwrap().close);
        assert!(fail.strike(Subject { internal: true, ..PING }).is_none());
        // Without anything to do it does not count either.
        let mut fail = configured("alwaysOn", doc! { "failCommands": ["ping"] });
        assert!(fail.strike(PING).is_none());
        let error = doc! { "code": 91, "errmsg": "x" };
        let data =
            doc! { "failCommands": ["ping"], "writeConcernError": error.clone(), "errorLabels": ["a"] };
        let mut fail = configured("alwaysOn", data);
        assert!(fail.strike(PING).is_none());
        assert_eq!(fail.concern_error(PING), Some((error, Some(vec!["a".to_owned()]))));
    }

    #[test]
    fn nonsense_is_refused_in_the_servers_words() {
        let refused = |mode: Bson| {
            let body = doc! { "configureFailPoint": "failCommand", "mode": mode };
            let failure = FailCommand::default().configure(&body).unwrap_err();
            (failure.code, failure.message)
        };
        assert_eq!(refused("bogus".into()), (2, "unknown mode: bogus".to_owned()));
        assert_eq!(refused(1.into()).0, 14);
        assert_eq!(refused(doc! { "times": "x" }.into()).0, 14);
        assert_eq!(refused(doc! { "times": -1 }.into()).1, "'times' option to 'mode' must be positive");
        let body = doc! { "configureFailPoint": "nope", "mode": "off" };
        assert_eq!(FailCommand::default().configure(&body).unwrap_err().code, 266);
        let mut fail = configured("alwaysOn", doc! { "failCommands": ["ping"], "blockConnection": true });
        assert_eq!(fail.strike(PING).unwrap().error.unwrap().code, 72);
    }
}
