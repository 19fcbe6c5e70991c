//! One request, one bounded answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::{ACCEPT, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::json::JsonError;
use super::{QueryConfig, QueryEndpoint, QueryError, QueryKind};
use crate::tls::{self, Alpn, Stream};

/// Calls at once: whoever waits for hundreds of traces must not press the store that is to make them readable.
const CALLS_MAX: usize = 16;
/// Idle connections that are kept.
const IDLE_MAX: usize = CALLS_MAX;
/// How many connections may close before they take a request: those that are idle, and a few new ones.
const UNSENT_ROUNDS_MAX: usize = IDLE_MAX + 4;
/// How often a store that has too much to do is asked again, and how long after the first time; then twice as long each time.
const BUSY_ROUNDS_MAX: u32 = 6;
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// How much of a refusal's text is kept.
const MESSAGE_CHARS_MAX: usize = 300;

#[derive(Clone, Debug)]
pub(crate) struct Http {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: QueryConfig,
    /// Calls take turns; a call's time begins with its turn.
    turns: Semaphore,
    idle: Mutex<Vec<SendRequest<Empty<Bytes>>>>,
}

/// An answer that is no refusal.
enum Answer {
    /// 404, and its text: there is no such thing.
    NotFound(Vec<u8>),
    Body(Vec<u8>),
}

impl Http {
    pub(crate) fn new(config: QueryConfig) -> Self {
        let turns = Semaphore::new(CALLS_MAX);
        Self { inner: Arc::new(Inner { config, turns, idle: Mutex::default() }) }
    }

    pub(crate) fn config(&self) -> &QueryConfig {
        &self.inner.config
    }

    pub(crate) fn kind(&self) -> QueryKind {
        self.inner.config.kind
    }

    pub(crate) fn endpoint(&self) -> &QueryEndpoint {
        &self.inner.config.endpoint
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.inner.config.timeout
    }

    /// What errors call a path below the base path: without its parameters, which may hold what nobody should read.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{}", self.endpoint(), path.split('?').next().unwrap_or_default())
    }

    /// `GET` below the base path. `None`: there is no such thing.
    pub(crate) async fn get<T>(
        &self,
        path: &str,
        parse: impl FnOnce(&[u8]) -> Result<T, JsonError>,
    ) -> Result<Option<T>, QueryError> {
        match self.ask(path).await? {
            Answer::Body(body) => parse(&body).map(Some).map_err(|e| self.malformed(path, e)),
            // A thing that is not stored is one answer, and a path that nobody serves another.
            Answer::NotFound(text) if is_no_route(&text) => {
                Err(self.malformed(path, "nothing is served there"))
            }
            Answer::NotFound(_) => Ok(None),
        }
    }

    /// As [`Http::get`], of a thing that is always there.
    pub(crate) async fn known<T>(
        &self,
        path: &str,
        parse: impl FnOnce(&[u8]) -> Result<T, JsonError>,
    ) -> Result<T, QueryError> {
        self.get(path, parse).await?.ok_or_else(|| self.malformed(path, "nothing is served there"))
    }

    async fn ask(&self, path: &str) -> Result<Answer, QueryError> {
        let _turn = self.inner.turns.acquire().await;
        let after = self.timeout();
        match timeout(after, self.patiently(path)).await {
            Ok(answer) => answer,
            Err(_) => Err(QueryError::TimedOut { url: self.url(path), after }),
        }
    }

    /// Several gates look at once, and a Tempo takes so many jobs and no more: a trace by its id makes fifty.
    async fn patiently(&self, path: &str) -> Result<Answer, QueryError> {
        let mut pause = BUSY_PAUSE;
        for _ in 0..BUSY_ROUNDS_MAX {
            match self.exchange(path).await {
                Err(QueryError::Refused { status: 429, .. }) => sleep(pause).await,
                answer => return answer,
            }
            pause *= 2;
        }
        self.exchange(path).await
    }

    fn malformed(&self, path: &str, detail: impl ToString) -> QueryError {
        let product = self.kind().product();
        QueryError::Malformed { url: self.url(path), product, detail: detail.to_string() }
    }

    async fn exchange(&self, path: &str) -> Result<Answer, QueryError> {
        let mut request = self.request(path)?;
        let mut unsent_rounds = 0;
        loop {
            let mut sender = self.connection(path).await?;
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let answer = self.read(path, response).await?;
                    self.put_back(sender);
                    return Ok(answer);
                }
                Err(mut error) => match error.take_message() {
                    // The server closed an idle connection at that very moment: not a byte was sent.
                    Some(unsent) if unsent_rounds < UNSENT_ROUNDS_MAX => {
                        unsent_rounds += 1;
                        request = unsent;
                    }
                    _ => return Err(self.unreachable(path, error.error())),
                },
            }
        }
    }

    fn request(&self, path: &str) -> Result<Request<Empty<Bytes>>, QueryError> {
        let endpoint = self.endpoint();
        let uri = format!("{}{path}", endpoint.base());
        let request = Request::builder().method(Method::GET).uri(uri).body(Empty::new());
        let mut request = request.map_err(|e| self.malformed(path, e))?;
        let headers = request.headers_mut();
        headers.extend(self.inner.config.headers.clone());
        let host = HeaderValue::from_str(endpoint.authority()).map_err(|e| self.malformed(path, e))?;
        headers.insert(HOST, host);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers
            .insert(USER_AGENT, HeaderValue::from_static(concat!("crossfade/", env!("CARGO_PKG_VERSION"))));
        Ok(request)
    }

    async fn read(&self, path: &str, response: Response<Incoming>) -> Result<Answer, QueryError> {
        let (head, mut body) = response.into_parts();
        let limit = self.inner.config.response_bytes_max;
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(mut data) = frame.map_err(|e| self.unreachable(path, &e))?.into_data() else { continue };
            if data.remaining() > limit.saturating_sub(bytes.len()) {
                return Err(QueryError::TooLarge { url: self.url(path), limit });
            }
            bytes.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
        match head.status.as_u16() {
            200..=299 => Ok(Answer::Body(bytes)),
            404 => Ok(Answer::NotFound(bytes)),
            status => {
                let text = String::from_utf8_lossy(&bytes);
                let message = text.trim().chars().take(MESSAGE_CHARS_MAX).collect();
                Err(QueryError::Refused { url: self.url(path), status, message })
            }
        }
    }

    async fn connection(&self, path: &str) -> Result<SendRequest<Empty<Bytes>>, QueryError> {
        loop {
            // A statement of its own, so that the lock is not held while we wait.
            let idle = self.lock().pop();
            let Some(mut sender) = idle else { break };
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let endpoint = self.endpoint();
        let port = endpoint.port_or(self.kind().default_port());
        let stream = TcpStream::connect((endpoint.host(), port)).await;
        let stream = stream.map_err(|e| self.unreachable(path, &e))?;
        stream.set_nodelay(true).map_err(|e| self.unreachable(path, &e))?;
        let stream = match endpoint.tls() {
            None => Stream::Plain(stream),
            Some(tls) => {
                let shaken = tls.connect(stream, endpoint.host(), Alpn::Http1).await;
                Stream::Tls(Box::new(shaken.map_err(|e| self.unreachable(path, &e))?))
            }
        };
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|e| self.unreachable(path, &e))?;
        // Its error is told to the request that was on it.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn put_back(&self, sender: SendRequest<Empty<Bytes>>) {
        let mut idle = self.lock();
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            idle.push(sender);
        }
    }

    fn unreachable(&self, path: &str, error: &dyn std::error::Error) -> QueryError {
        let mut detail = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            detail.push_str(&format!(": {inner}"));
            source = inner.source();
        }
        let detail = tls::explain(&detail).map_or(detail, |fault| fault.to_string());
        QueryError::Unreachable { url: self.url(path), detail }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SendRequest<Empty<Bytes>>>> {
        self.inner.idle.lock().expect("nothing panics while it holds this lock")
    }
}

/// What Go's router, or a web server's error page, says of a path that it does not serve.
fn is_no_route(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    text.starts_with(b"<") || text == b"404 page not found"
}
