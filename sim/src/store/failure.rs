//! Errors as the server words them.

use bson::{Bson, Document, doc};

/// A command that failed, or one write of a batch that did.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The server's error code.
    pub code: i32,
    /// `errmsg`.
    pub message: String,
    /// `errorLabels`.
    pub labels: Vec<&'static str>,
    /// Fields some errors carry besides: `keyPattern`, `keyValue`.
    pub extra: Document,
}

/// What the rooms of the store return.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// An error of this code and text.
    pub fn new(code: i32, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), labels: Vec::new(), extra: Document::new() }
    }

    /// The same with an error label.
    pub fn label(mut self, label: &'static str) -> Failure {
        if !self.labels.contains(&label) {
            self.labels.push(label);
        }
        self
    }

    /// The whole reply: `ok: 0` and what belongs to it.
    pub fn reply(&self) -> Document {
        let mut reply = Document::new();
        if !self.labels.is_empty() {
            reply.insert("errorLabels", self.labels.iter().map(|l| Bson::from(*l)).collect::<Vec<_>>());
        }
        reply.extend(
            doc! { "ok": 0.0, "errmsg": &self.message, "code": self.code, "codeName": code_name(self.code) },
        );
        reply.extend(self.extra.clone());
        reply
    }

    /// An element of `writeErrors`.
    pub fn write_error(&self, index: i32) -> Document {
        let mut error = doc! { "index": index, "code": self.code };
        error.extend(self.extra.clone());
        error.insert("errmsg", &self.message);
        error
    }
}

/// The name of an error code: what a reply's `codeName` says.
pub fn code_name(code: i32) -> String {
    match NAMES.binary_search_by_key(&code, |(c, _)| *c) {
        Ok(i) => NAMES.get(i).map_or_else(String::new, |(_, name)| (*name).to_owned()),
        Err(_) => format!("Location{code}"),
    }
}

/// The codes a simulated server can give that have a name, in order.
const NAMES: &[(i32, &str)] = &[
    (1, "InternalError"),
    (2, "BadValue"),
    (4, "NoSuchKey"),
    (5, "GraphContainsCycle"),
    (6, "HostUnreachable"),
    (7, "HostNotFound"),
    (8, "UnknownError"),
    (9, "FailedToParse"),
    (10, "CannotMutateObject"),
    (11, "UserNotFound"),
    (13, "Unauthorized"),
    (14, "TypeMismatch"),
    (15, "Overflow"),
    (16, "InvalidLength"),
    (17, "ProtocolError"),
    (18, "AuthenticationFailed"),
    (20, "IllegalOperation"),
    (21, "EmptyArrayOperation"),
    (22, "InvalidBSON"),
    (24, "LockTimeout"),
    (26, "NamespaceNotFound"),
    (27, "IndexNotFound"),
    (28, "PathNotViable"),
    (37, "CommandFailed"),
    (39, "IncompleteTransactionHistory"),
    (40, "ConflictingUpdateOperators"),
    (43, "CursorNotFound"),
    (46, "LockBusy"),
    (48, "NamespaceExists"),
    (49, "DatabaseVersionMismatch"),
    (50, "MaxTimeMSExpired"),
    (52, "DollarPrefixedFieldName"),
    (53, "InvalidIdField"),
    (54, "NotSingleValueField"),
    (55, "InvalidDBRef"),
    (56, "EmptyFieldName"),
    (57, "DottedFieldName"),
    (58, "RoleNotFound"),
    (59, "CommandNotFound"),
    (61, "ShardKeyNotFound"),
    (62, "OplogOperationUnsupported"),
    (64, "WriteConcernFailed"),
    (65, "MultipleErrorsOccurred"),
    (66, "ImmutableField"),
    (67, "CannotCreateIndex"),
    (68, "IndexAlreadyExists"),
    (72, "InvalidOptions"),
    (73, "InvalidNamespace"),
    (76, "NoReplicationEnabled"),
    (79, "UnknownReplWriteConcern"),
    (85, "IndexOptionsConflict"),
    (86, "IndexKeySpecsConflict"),
    (89, "NetworkTimeout"),
    (91, "ShutdownInProgress"),
    (93, "InvalidReplicaSetConfig"),
    (94, "NotYetInitialized"),
    (95, "NotSecondary"),
    (96, "OperationFailed"),
    (100, "UnsatisfiableWriteConcern"),
    (103, "NewReplicaSetConfigurationIncompatible"),
    (104, "NodeNotElectable"),
    (108, "ConfigurationInProgress"),
    (112, "WriteConflict"),
    (115, "CommandNotSupported"),
    (117, "ConflictingOperationInProgress"),
    (121, "DocumentValidationFailure"),
    (123, "NotAReplicaSet"),
    (125, "CommandFailed"),
    (134, "ReadConcernMajorityNotAvailableYet"),
    (136, "CappedPositionLost"),
    (146, "ExceededMemoryLimit"),
    (148, "ReadConcernMajorityNotEnabled"),
    (166, "CommandNotSupportedOnView"),
    (171, "CannotIndexParallelArrays"),
    (173, "IndexBuildAborted"),
    (189, "PrimarySteppedDown"),
    (191, "MasterSlaveConnectionFailure"),
    (197, "InvalidIndexSpecificationOption"),
    (206, "NoSuchSession"),
    (211, "KeyNotFound"),
    (217, "IncompleteTransactionHistory"),
    (225, "TransactionTooOld"),
    (229, "DatabaseDropPending"),
    (232, "InvalidSeedList"),
    (237, "CursorKilled"),
    (239, "SnapshotTooOld"),
    (244, "TransactionAborted"),
    (245, "UpdateOperationFailed"),
    (246, "SnapshotUnavailable"),
    (251, "NoSuchTransaction"),
    (256, "TransactionCommitted"),
    (257, "TransactionTooLarge"),
    (259, "TooManyLogicalSessions"),
    (260, "OperationNotSupportedInTransaction"),
    (263, "OperationNotSupportedInTransaction"),
    (292, "QueryExceededMemoryLimitNoDiskUseAllowed"),
    (334, "UnsupportedOpQueryCommand"),
    (10003, "CannotGrowDocumentInCappedNamespace"),
    (10107, "NotWritablePrimary"),
    (10334, "BSONObjectTooLarge"),
    (11000, "DuplicateKey"),
    (11600, "InterruptedAtShutdown"),
    (11601, "Interrupted"),
    (11602, "InterruptedDueToReplStateChange"),
    (13435, "NotPrimaryNoSecondaryOk"),
    (13436, "NotPrimaryOrSecondary"),
    (14031, "OutOfDiskSpace"),
];
