//! Where the client runs, as far as environment variables tell.

use alloc::string::String;

/// The execution environment: a function-as-a-service platform, a container, both or neither.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ClientEnv {
    /// The platform, if there is exactly one.
    pub faas: Option<Faas>,
    /// Whether this is a Docker container (`/.dockerenv` exists).
    pub docker: bool,
    /// Whether Kubernetes runs it.
    pub kubernetes: bool,
}

/// A function-as-a-service platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faas {
    /// Which.
    pub name: FaasName,
    /// How long a call may run, in seconds.
    pub timeout_sec: Option<i32>,
    /// Memory a call may use, in MiB.
    pub memory_mb: Option<i32>,
    /// Where.
    pub region: Option<String>,
}

/// The platforms the specification knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaasName {
    /// AWS Lambda.
    AwsLambda,
    /// Azure Functions.
    AzureFunc,
    /// Google Cloud Functions.
    GcpFunc,
    /// Vercel.
    Vercel,
}

impl FaasName {
    /// The specification's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            FaasName::AwsLambda => "aws.lambda",
            FaasName::AzureFunc => "azure.func",
            FaasName::GcpFunc => "gcp.func",
            FaasName::Vercel => "vercel",
        }
    }

    /// The variables with timeout, memory and region; the empty name is never set.
    const fn variables(self) -> (&'static str, &'static str, &'static str) {
        match self {
            FaasName::AwsLambda => ("", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_REGION"),
            FaasName::AzureFunc => ("", "", ""),
            FaasName::GcpFunc => ("FUNCTION_TIMEOUT_SEC", "FUNCTION_MEMORY_MB", "FUNCTION_REGION"),
            FaasName::Vercel => ("", "", "VERCEL_REGION"),
        }
    }
}

impl ClientEnv {
    /// Reads the environment through `variable`, which gives the value of an environment variable; `dockerenv` says
    /// whether the file `/.dockerenv` exists.
    ///
    /// A host passes `|name| std::env::var(name).ok()`. Wrong or missing values leave their field out; nothing here fails.
    /// Source: "client.env".
    ///
    /// ```
    /// use quorate_core::handshake::{ClientEnv, FaasName};
    /// let env = ClientEnv::detect(|name| (name == "VERCEL").then(|| "1".into()), false);
    /// assert_eq!(env.faas.unwrap().name, FaasName::Vercel);
    /// ```
    pub fn detect(variable: impl Fn(&str) -> Option<String>, dockerenv: bool) -> Self {
        let value =
            |name: &str| if name.is_empty() { None } else { variable(name).filter(|v| !v.is_empty()) };
        let faas = platform(|name| value(name)).map(|name| {
            let (timeout, memory, region) = name.variables();
            let number = |name| value(name).and_then(|text| text.parse().ok());
            Faas { name, timeout_sec: number(timeout), memory_mb: number(memory), region: value(region) }
        });
        ClientEnv { faas, docker: dockerenv, kubernetes: value("KUBERNETES_SERVICE_HOST").is_some() }
    }

    /// Whether this is a function-as-a-service platform, where monitors poll rather than stream unless told otherwise.
    pub const fn is_faas(&self) -> bool {
        self.faas.is_some()
    }

    /// Whether it runs in a container.
    pub const fn is_container(&self) -> bool {
        self.docker || self.kubernetes
    }
}

/// The one platform whose variables are set; Vercel runs on AWS Lambda and goes before it.
fn platform(value: impl Fn(&str) -> Option<String>) -> Option<FaasName> {
    let aws = value("AWS_EXECUTION_ENV").is_some_and(|v| v.starts_with("AWS_Lambda_"))
        || value("AWS_LAMBDA_RUNTIME_API").is_some();
    let azure = value("FUNCTIONS_WORKER_RUNTIME").is_some();
    let gcp = value("K_SERVICE").is_some() || value("FUNCTION_NAME").is_some();
    let vercel = value("VERCEL").is_some();
    match (aws, azure, gcp, vercel) {
        (_, false, false, true) => Some(FaasName::Vercel),
        (true, false, false, false) => Some(FaasName::AwsLambda),
        (false, true, false, false) => Some(FaasName::AzureFunc),
        (false, false, true, false) => Some(FaasName::GcpFunc),
        _ => None,
    }
}
