//! What has to be fetched before somebody can log in: files and answers to small HTTP requests.
//!
//! The machines that ask for it ([`AwsKeySource`](super::AwsKeySource), [`OidcTokenSource`](super::OidcTokenSource)) do not know
//! how it is done. [`HttpRequest::to_bytes`] and [`HttpResponse::parse`] are enough for a host that has nothing but sockets.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use zeroize::Zeroizing;

/// Longest response, in bytes: a token has a few thousand.
pub const LONGEST_RESPONSE: usize = 64 * 1024;

/// Something to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Errand {
    /// Ask this. Ten seconds are enough for an answer.
    Http(HttpRequest),
    /// Read the file of that name.
    ReadFile(String),
}

/// What was fetched.
#[non_exhaustive]
pub enum Fetched {
    /// The response.
    Http(HttpResponse),
    /// The file's content.
    File(Zeroizing<Vec<u8>>),
    /// Neither; why not.
    Failed(String),
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fetched::Http(response) => fmt::Debug::fmt(response, f),
            Fetched::File(bytes) => write!(f, "a file of {} bytes", bytes.len()),
            Fetched::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

/// What a machine that finds something has to say.
#[derive(Debug)]
#[non_exhaustive]
pub enum SourceOutput<T> {
    /// Fetch this.
    Fetch(Errand),
    /// It is found.
    Done(T),
    /// It cannot be found; why.
    Failed(String),
}

/// A request. Headers and body may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Whether by TLS.
    pub tls: bool,
    /// Where to.
    pub host: String,
    /// On which port.
    pub port: u16,
    /// `GET`, `PUT` or `POST`.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Headers but `Host`, `Content-Length` and `Connection`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl HttpRequest {
    pub(super) fn new(method: &'static str, host: &str, path: impl Into<String>) -> Self {
        HttpRequest {
            tls: false,
            host: host.to_string(),
            port: 80,
            method,
            path: path.into(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The request as HTTP/1.1 on a connection of its own, which the server is asked to close.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut text = Zeroizing::new(String::with_capacity(512 + self.path.len() + self.body.len()));
        let clean = |part: &str| part.chars().filter(|c| !c.is_control()).collect::<String>();
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        text.push_str(&format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\n",
            self.method,
            clean(&self.path),
            clean(&host)
        ));
        for (name, value) in &self.headers {
            // Nothing in a value may begin a header of its own.
            text.push_str(&format!("{name}: {}\r\n", clean(value)));
        }
        text.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", self.body.len()));
        text.push_str(&self.body);
        Zeroizing::new(text.as_bytes().to_vec())
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the query: it may be a token.
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{} {}:{}{path}", self.method, self.host, self.port)
    }
}

/// A response. The body may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status: 200 when all is well.
    pub status: u16,
    /// The body.
    pub body: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP status {}, {} bytes", self.status, self.body.len())
    }
}

impl HttpResponse {
    /// Reads what has come so far; `None` while something is missing. `ended` says that nothing will follow.
    ///
    /// # Errors
    /// Why it is no response: malformed, cut off, or longer than [`LONGEST_RESPONSE`].
    pub fn parse(bytes: &[u8], ended: bool) -> Result<Option<HttpResponse>, &'static str> {
        if bytes.len() > LONGEST_RESPONSE {
            return Err("the response is too long");
        }
        let missing = || if ended { Err("the response is cut off") } else { Ok(None) };
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return missing() };
        let (head, body) = bytes.split_at(end + 4);
        let head = core::str::from_utf8(head).map_err(|_| "the response is no HTTP")?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok());
        let status: u16 = status.ok_or("the response is no HTTP")?;
        let (mut length, mut chunked) = (None, false);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse::<usize>().map_err(|_| "the response has no valid length")?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value.trim().eq_ignore_ascii_case("chunked");
            }
        }
        let body = match (chunked, length) {
            (true, _) => match unchunk(body)? {
                Some(body) => body,
                None => return missing(),
            },
            (false, Some(length)) => match body.get(..length) {
                Some(body) => body.to_vec(),
                None => return missing(),
            },
            (false, None) if ended => body.to_vec(),
            (false, None) => return Ok(None),
        };
        Ok(Some(HttpResponse { status, body: Zeroizing::new(body) }))
    }

    /// The body of a response that is well.
    pub(super) fn text(&self, whose: &str) -> Result<&str, String> {
        let text = core::str::from_utf8(&self.body).map_err(|_| format!("{whose} sends no text"))?;
        if self.status == 200 {
            return Ok(text.trim());
        }
        // "MUST raise an error including the HTTP response body": it explains, and is no token.
        Err(format!("{whose} answers with status {}: {:.500}", self.status, text.trim()))
    }
}

/// The chunks put together; `None` while the last is missing.
fn unchunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    let mut whole = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let (size, after) = rest.split_at(end);
        let size = core::str::from_utf8(size).ok().and_then(|size| size.split(';').next());
        let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let size = size.filter(|size| *size <= LONGEST_RESPONSE).ok_or("the response has a bad chunk")?;
        let after = after.get(2..).unwrap_or_default();
        if size == 0 {
            return Ok(Some(whole));
        }
        let Some(chunk) = after.get(..size) else { return Ok(None) };
        whole.extend_from_slice(chunk);
        match after.get(size..size + 2) {
            Some(b"\r\n") => rest = after.get(size + 2..).unwrap_or_default(),
            Some(_) => return Err("the response has a bad chunk"),
            None => return Ok(None),
        }
    }
}

/// Everything but letters, digits and `-._~` as `%XX`.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            other => out.push_str(&format!("%{other:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_of_any_fragmentation() {
        let cases: [(&[u8], &[u8]); 3] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntoken", b"token"),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3\r\ntok\r\n2;x\r\nen\r\n0\r\n\r\n",
                b"token",
            ),
            (b"HTTP/1.0 200 OK\r\n\r\ntoken", b"token"),
        ];
        for (bytes, body) in cases {
            for end in 0..bytes.len() {
                if let Some(early) = HttpResponse::parse(&bytes[..end], false).unwrap() {
                    // Only what ends a chunked body may be missing.
                    assert_eq!(early.body.as_slice(), body);
                }
            }
            let whole = HttpResponse::parse(bytes, true).unwrap().unwrap();
            assert_eq!((whole.status, whole.body.as_slice()), (200, body));
        }
        let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntok";
        assert!(HttpResponse::parse(cut, true).is_err());
    }

    #[test]
    fn what_is_no_response_is_an_error() {
        for bytes in [
            &b"SSH-2.0\r\n\r\n"[..],
            b"HTTP/1.1 xyz OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
            &[b'x'; LONGEST_RESPONSE + 1],
        ] {
            assert!(HttpResponse::parse(bytes, true).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn requests_keep_to_their_lines_and_show_no_secret() {
        let request = HttpRequest::new("GET", "h", "/p?token=canary").header("X", "a\r\nY: canary");
        let bytes = request.to_bytes();
        let text = core::str::from_utf8(&bytes).unwrap();
        assert!(text.starts_with("GET /p?token=canary HTTP/1.1\r\nHost: h\r\nX: aY: canary\r\n"), "{text}");
        assert_eq!(format!("{request:?}"), "GET h:80/p");
        assert_eq!(encoded("a/b c~"), "a%2Fb%20c~");
    }
}
