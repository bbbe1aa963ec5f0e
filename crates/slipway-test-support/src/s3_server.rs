//! An S3 service in this process. It stores objects as files in a folder and can simulate failures.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpResponse};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

// Short, because s3s-fs builds a file name of at most 255 bytes from the bucket and the key.
const BUCKET: &str = "bucket";
const PREFIX: &str = "p";
const KEY_ID: &str = "a-key-id";
const SECRET: &str = "a-secret";

/// Failure of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3Fault {
    /// The service works.
    None,
    /// Connections are closed without a response.
    Gone,
    /// Requests whose URI contains the text get no response.
    Silent(&'static str),
    /// Writes are refused with 507, as by a full `MinIO`.
    Full,
    /// Every request is refused with 403.
    Forbidden,
}

pub struct S3Server {
    root: TempDir,
    port: u16,
    service: Arc<FaultyService>,
    accepting: AbortHandle,
}

struct FaultyService {
    service: S3Service,
    fault: watch::Sender<S3Fault>,
    /// Requests that get no response.
    unanswered: AtomicUsize,
}

impl S3Server {
    pub async fn start() -> Self {
        let root = TempDir::new().unwrap();
        std::fs::create_dir_all(root.path().join(BUCKET).join(PREFIX)).unwrap();
        let mut builder = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let service = Arc::new(FaultyService {
            service: builder.build(),
            fault: watch::Sender::new(S3Fault::None),
            unanswered: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = tokio::spawn(accept(listener, service.clone())).abort_handle();
        Self {
            root,
            port,
            service,
            accepting,
        }
    }

    /// The value of `SLIPWAY_ARTIFACTS_URL`.
    pub fn url(&self) -> String {
        format!("s3://{BUCKET}/{PREFIX}")
    }

    /// The `AWS_*` variables of a client.
    pub fn variables(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// The folder with the objects below the prefix, each a file.
    pub fn folder(&self) -> PathBuf {
        self.root.path().join(BUCKET).join(PREFIX)
    }

    /// The parts of multipart uploads that are neither complete nor aborted.
    pub fn parts(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.root.path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| is_part(path)).collect()
    }

    pub fn set(&self, fault: S3Fault) {
        self.service.fault.send_replace(fault);
    }

    /// The number of requests that get no response at present.
    pub fn unanswered(&self) -> usize {
        self.service.unanswered.load(Ordering::Relaxed)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn is_part(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(".upload_id-") && name.contains(".part-"))
}

async fn accept(listener: TcpListener, service: Arc<FaultyService>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let service = service.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let service = service.clone();
                async move { service.answer(request).await }
            });
            // A client that goes away ends its connection.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

impl FaultyService {
    /// Answers a request. An error closes the connection.
    async fn answer(&self, request: Request<Incoming>) -> io::Result<HttpResponse> {
        let fault = *self.fault.borrow();
        match fault {
            S3Fault::Gone => Err(io::ErrorKind::ConnectionReset.into()),
            S3Fault::Silent(part) if request.uri().to_string().contains(part) => self.keep_silent().await,
            S3Fault::Full if is_write(&request) => {
                Ok(refusal(StatusCode::INSUFFICIENT_STORAGE, "XMinioStorageFull"))
            }
            S3Fault::Forbidden => Ok(refusal(StatusCode::FORBIDDEN, "AccessDenied")),
            _ => {
                let answer = self.service.call(request.map(Body::from)).await;
                answer.map_err(|_| io::ErrorKind::InvalidData.into())
            }
        }
    }

    /// Waits until the fault is over.
    async fn keep_silent(&self) -> io::Result<HttpResponse> {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        let mut fault = self.fault.subscribe();
        let _ = fault.wait_for(|fault| !matches!(fault, S3Fault::Silent(_))).await;
        self.unanswered.fetch_sub(1, Ordering::Relaxed);
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

fn is_write(request: &Request<Incoming>) -> bool {
    let begins_parts = request
        .uri()
        .query()
        .is_some_and(|query| query.starts_with("uploads"));
    request.method() == Method::PUT || (request.method() == Method::POST && begins_parts)
}

fn refusal(status: StatusCode, code: &str) -> HttpResponse {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>a test</Message></Error>");
    Response::builder()
        .status(status)
        .body(Body::from(body))
        .expect("the response is valid")
}
