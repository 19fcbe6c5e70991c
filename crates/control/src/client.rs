//! A client of the control API, for the command line: JSON over HTTP/1.1 on loopback.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use crossfade_rollout::PlanFile;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::api::{ApiError, ErrorBody, ErrorCode, PlanRequest, read_token};
use crate::progress::PlanNews;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How to reach one control plane.
#[derive(Clone)]
pub struct Client {
    authority: String,
    token: String,
}

/// Without the token.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the control plane at `url` (`http://host:port`), with the token in `token_file`.
    ///
    /// # Errors
    /// The URL is none, or the token cannot be read.
    pub fn new(url: &str, token_file: &Path) -> Result<Client, ApiError> {
        let token = read_token(token_file).map_err(|error| {
            let what = format!("{error}; `crossfade init` writes it, and --token-file names another");
            ApiError::new(ErrorCode::Invalid, what)
        })?;
        Client::with_token(url, token)
    }

    /// As [`Client::new`], with the token itself.
    ///
    /// # Errors
    /// The URL is none.
    pub fn with_token(url: &str, token: String) -> Result<Client, ApiError> {
        let authority = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
        let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if authority.contains('@') {
            // Not repeated: it may be a password.
            let what =
                "credentials do not belong in the address of a control plane; --token-file names the token";
            return Err(ApiError::new(ErrorCode::Invalid, what));
        }
        if authority.contains('/') || port.is_none() {
            let what =
                format!("`{url}` is not the address of a control plane; write it like http://127.0.0.1:8400");
            return Err(ApiError::new(ErrorCode::Invalid, what));
        }
        Ok(Client { authority: authority.to_owned(), token })
    }

    /// `GET`.
    ///
    /// # Errors
    /// What the control plane says, or that it cannot be reached.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.call(Method::GET, path, Vec::new()).await
    }

    /// `POST` of a JSON body.
    ///
    /// # Errors
    /// What the control plane says, or that it cannot be reached.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ApiError> {
        let body =
            serde_json::to_vec(body).map_err(|error| ApiError::new(ErrorCode::Invalid, error.to_string()))?;
        self.call(Method::POST, path, body).await
    }

    /// `PUT` without a body.
    ///
    /// # Errors
    /// What the control plane says, or that it cannot be reached.
    pub async fn put<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.call(Method::PUT, path, Vec::new()).await
    }

    /// `DELETE`.
    ///
    /// # Errors
    /// What the control plane says, or that it cannot be reached.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.call(Method::DELETE, path, Vec::new()).await
    }

    /// Has a plan made, and hears how far it is.
    ///
    /// # Errors
    /// What the control plane says, or that it cannot be reached.
    pub async fn plan(
        &self,
        request: &PlanRequest,
        mut hear: impl FnMut(&PlanNews),
    ) -> Result<PlanFile, ApiError> {
        let body = serde_json::to_vec(request)
            .map_err(|error| ApiError::new(ErrorCode::Invalid, error.to_string()))?;
        let path = "/v1/plans?progress=true";
        let answer = self.send(Method::POST, path, body).await.map_err(|why| self.unreachable(&why))?;
        let mut lines = Lines::new(answer);
        if !lines.status.is_success() {
            let refused = lines.rest().await.map_err(|why| self.unreachable(&why))?;
            return Err(refusal(lines.status, &refused));
        }
        while let Some(line) = lines.next().await.map_err(|why| self.unreachable(&why))? {
            let news = serde_json::from_slice(&line)
                .map_err(|error| self.unreachable(&format!("its answer is not understood: {error}")))?;
            match news {
                PlanNews::Planned { plan } => return Ok(*plan),
                PlanNews::Failed { error } => return Err(ApiError(error)),
                progress => hear(&progress),
            }
        }
        Err(self.unreachable("it ended before the plan was made"))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, ApiError> {
        let (status, answer) =
            self.exchange(method, path, body).await.map_err(|why| self.unreachable(&why))?;
        if status.is_success() {
            return serde_json::from_slice(&answer)
                .map_err(|error| self.unreachable(&format!("its answer is not understood: {error}")));
        }
        Err(refusal(status, &answer))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), String> {
        let mut lines = Lines::new(self.send(method, path, body).await?);
        Ok((lines.status, lines.rest().await?))
    }

    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Answer, String> {
        let connecting = TcpStream::connect(&self.authority);
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| "no connection within 5 s".to_owned())?
            .map_err(|error| error.to_string())?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let driver = Driver(tokio::spawn(async move { drop(connection.await) }));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        Ok(Answer { response, _driver: driver })
    }

    fn unreachable(&self, why: &str) -> ApiError {
        let what = format!(
            "the control plane at http://{} cannot be reached: {why}; is `crossfade serve` running?",
            self.authority
        );
        ApiError::new(ErrorCode::Unreachable, what)
    }
}

/// An answer whose body is still to come.
struct Answer {
    response: Response<Incoming>,
    _driver: Driver,
}

/// The connection, for as long as somebody reads from it.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A body, read line by line.
struct Lines {
    status: StatusCode,
    body: Limited<Incoming>,
    read: BytesMut,
    _driver: Driver,
}

impl Lines {
    fn new(Answer { response, _driver }: Answer) -> Lines {
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        Lines { status, body, read: BytesMut::new(), _driver }
    }

    /// The next line, without its end; `None` after the last.
    async fn next(&mut self) -> Result<Option<BytesMut>, String> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(end);
                self.read.advance(1);
                return Ok(Some(line));
            }
            match self.body.frame().await {
                Some(frame) => self.take(frame.map_err(|error| error.to_string())?),
                None => return Ok(None),
            }
        }
    }

    /// All that is left.
    async fn rest(&mut self) -> Result<Bytes, String> {
        while let Some(frame) = self.body.frame().await {
            self.take(frame.map_err(|error| error.to_string())?);
        }
        Ok(self.read.split().freeze())
    }

    fn take(&mut self, frame: Frame<Bytes>) {
        if let Ok(data) = frame.into_data() {
            self.read.extend_from_slice(&data);
        }
    }
}

/// What the gateway's own routes answer when they refuse.
#[derive(Deserialize)]
struct GatewayRefusal {
    error: String,
}

/// Why a call failed: as the control plane says it, as the gateway does on its own routes, or as plain text.
fn refusal(status: StatusCode, answer: &[u8]) -> ApiError {
    if let Ok(body) = serde_json::from_slice::<ErrorBody>(answer) {
        return ApiError(body);
    }
    let code = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorCode::Denied,
        StatusCode::CONFLICT => ErrorCode::Refused,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => ErrorCode::Unavailable,
        _ => ErrorCode::Invalid,
    };
    if let Ok(GatewayRefusal { error }) = serde_json::from_slice(answer) {
        return ApiError::new(code, error);
    }
    let text = String::from_utf8_lossy(answer);
    ApiError::new(code, text.lines().next().unwrap_or("no reason given"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_words_whoever_refused() {
        let of = |status: u16, answer: &str| {
            let ApiError(body) = refusal(StatusCode::from_u16(status).unwrap(), answer.as_bytes());
            (body.code, body.message)
        };
        let of_control = r#"{"code":"refused","message":"a rollout runs already"}"#;
        assert_eq!(of(409, of_control), (ErrorCode::Refused, "a rollout runs already".to_owned()));
        let of_gateway = r#"{"error":"no rollout runs"}"#;
        assert_eq!(of(409, of_gateway), (ErrorCode::Refused, "no rollout runs".to_owned()));
        assert_eq!(of(401, of_gateway).0, ErrorCode::Denied);
        assert_eq!(
            of(503, "the gateway is starting\n"),
            (ErrorCode::Unavailable, "the gateway is starting".to_owned())
        );
        assert_eq!(of(404, ""), (ErrorCode::Invalid, "no reason given".to_owned()));
    }

    /// Guarantee: neither what is said of a client, nor of an address that is none, has a credential in it.
    #[test]
    fn credentials_are_not_repeated() {
        let client = Client::with_token("http://127.0.0.1:8400", "hunter2".to_owned()).unwrap();
        assert_eq!(format!("{client:?}"), "Client { authority: \"127.0.0.1:8400\", .. }");
        for url in ["http://u:hunter2@127.0.0.1:8400", "https://u:hunter2@h/x"] {
            let error = Client::with_token(url, String::new()).unwrap_err();
            assert!(!error.0.message.contains("hunter2") && error.0.message.contains("--token-file"));
        }
    }

    #[test]
    fn an_address_has_a_port() {
        for url in ["foo", "", "http://", "http://127.0.0.1", "http://127.0.0.1:8400/v1", "127.0.0.1:http"] {
            let error = Client::with_token(url, String::new()).unwrap_err();
            assert!(
                error.0.code == ErrorCode::Invalid && error.0.message.contains(":8400"),
                "{url}: {error}"
            );
        }
        for url in ["127.0.0.1:8400", "http://127.0.0.1:8400/", "http://[::1]:8400"] {
            assert!(Client::with_token(url, String::new()).is_ok(), "{url}");
        }
    }
}
