//! A node is killed during an upload: nothing is visible, and leftovers are deleted later.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use reqwest::Client;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use slipway_test_support::embedded::EmbeddedServer;
use slipway_test_support::s3_server::{S3Fault, S3Server};
use slipway_test_support::wait::until;

const ARTIFACTS: &str = "/api/v1/tenants/1/artifacts";
const WITHIN: Duration = Duration::from_mins(1);
/// Longer than one part of a multipart upload.
const LENGTH: usize = 20_000_000;

/// A node that is killed and restarted, with its artifact store.
struct Node {
    server: EmbeddedServer,
    settings: Vec<(String, String)>,
    admin: String,
    spool: PathBuf,
}

impl Node {
    async fn start(data_dir: &Path, settings: Vec<(String, String)>, spool: PathBuf) -> Self {
        let server = start(data_dir, &settings).await;
        let admin = server.sign_in().await;
        let tenant = json!({"id": 1, "name": "Hema"});
        server.make("/api/v1/tenants", &admin, &tenant).await;
        Self {
            server,
            settings,
            admin,
            spool,
        }
    }

    async fn kill_and_start(self) -> Self {
        let data_dir = self.server.data_dir.clone();
        self.server.kill();
        Self {
            server: start(&data_dir, &self.settings).await,
            ..self
        }
    }

    fn leftovers(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.spool).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Sends the head and a part of the body.
    async fn begin_upload(&self, bytes: &[u8]) -> TcpStream {
        let address = self.server.url().trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST {ARTIFACTS} HTTP/1.1\r\nHost: slipway\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/octet-stream\r\nContent-Length: {LENGTH}\r\n\r\n",
            self.admin
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    async fn upload(&self, bytes: Vec<u8>) -> u16 {
        let request = Client::new()
            .post(format!("{}{ARTIFACTS}", self.server.url()))
            .bearer_auth(&self.admin)
            .header("content-type", "application/octet-stream")
            .body(bytes);
        request.send().await.unwrap().status().as_u16()
    }

    async fn assert_nothing_is_visible(&self) {
        let (status, list) = self.server.get(ARTIFACTS, &self.admin).await;
        assert_eq!((status, &list["items"]), (200, &json!([])));
    }
}

async fn start(data_dir: &Path, settings: &[(String, String)]) -> EmbeddedServer {
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    EmbeddedServer::try_start_with(data_dir, &settings).await.unwrap()
}

/// Kills the node while it receives content. The next upload succeeds, and the leftover is deleted when it is old.
async fn kill_while_receiving(mut node: Node) -> Node {
    let content = vec![3; LENGTH];
    let _connection = node.begin_upload(&content[..LENGTH / 2]).await;
    until("half of the file has arrived", WITHIN, async || {
        let sizes = node.leftovers().into_iter().map(|path| size_of(&path));
        sizes.sum::<u64>() > 1_000_000
    })
    .await;
    node = node.kill_and_start().await;
    node.assert_nothing_is_visible().await;
    assert_eq!(node.upload(content).await, 201);
    delete_leftovers(node).await
}

/// Ages the leftovers by two days, and waits until a new node has deleted them.
async fn delete_leftovers(mut node: Node) -> Node {
    let leftovers = node.leftovers();
    assert_eq!(leftovers.len(), 1, "the node could not delete its file");
    let old = SystemTime::now() - Duration::from_hours(48);
    File::options()
        .write(true)
        .open(&leftovers[0])
        .unwrap()
        .set_modified(old)
        .unwrap();
    node = node.kill_and_start().await;
    until("the leftover is deleted", WITHIN, async || {
        node.leftovers().is_empty()
    })
    .await;
    node
}

fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_a_folder_that_is_killed_leaves_nothing_visible() {
    let data = TempDir::new().unwrap();
    let spool = data.path().join("artifacts/uploads");
    kill_while_receiving(Node::start(data.path(), Vec::new(), spool).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_a_bucket_that_is_killed_leaves_nothing_visible() {
    let (data, service) = (TempDir::new().unwrap(), S3Server::start().await);
    let mut settings = service.variables();
    settings.push(("SLIPWAY_ARTIFACTS_URL".to_owned(), service.url()));
    let spool = data.path().join("uploads");
    let mut node = Node::start(data.path(), settings, spool).await;

    // The second part is being sent to the bucket.
    service.set(S3Fault::Silent("partNumber=2"));
    let content = vec![4; LENGTH];
    let connection = node.begin_upload(&content).await;
    until("the second part is sent", WITHIN, async || {
        service.unanswered() > 0
    })
    .await;
    node = node.kill_and_start().await;
    drop(connection);
    service.set(S3Fault::None);
    node.assert_nothing_is_visible().await;
    assert!(
        !service.folder().join("artifacts").exists(),
        "no object is visible"
    );
    assert_eq!(node.upload(content).await, 201);
    node = delete_leftovers(node).await;
    node.server.kill();

    // The content is arriving.
    let data = TempDir::new().unwrap();
    let service = S3Server::start().await;
    let mut settings = service.variables();
    settings.push(("SLIPWAY_ARTIFACTS_URL".to_owned(), service.url()));
    let spool = data.path().join("uploads");
    kill_while_receiving(Node::start(data.path(), settings, spool).await).await;
}
