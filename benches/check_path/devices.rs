//! Devices with their own tokens, and their event streams.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::connection::Connection;
use crate::fleet::Tenant;

pub(crate) const PROJECT: &str = "stores";
/// Tenant of all these devices.
pub(crate) const TENANT: Tenant = Tenant(0);
const ENROLLING_CONNECTIONS: usize = 16;
/// Number of files that a process opens besides the connections.
const OTHER_FILES: u64 = 500;

#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) token: String,
}

/// An event stream, read line by line.
pub(crate) struct Events(BufReader<TcpStream>);

/// Enrols this number of devices. Their ids start with `name`.
pub(crate) fn enrol(address: SocketAddr, name: &str, count: usize) -> anyhow::Result<Vec<Device>> {
    let ids: Vec<_> = (0..count).map(|number| format!("{name}-{number}")).collect();
    thread::scope(|scope| {
        let shares = ids.chunks(count.div_ceil(ENROLLING_CONNECTIONS));
        let enrolling: Vec<_> = shares
            .map(|ids| scope.spawn(|| enrol_each(address, ids)))
            .collect();
        let mut devices = Vec::with_capacity(count);
        for share in enrolling {
            devices.extend(share.join().expect("enrolling does not panic")?);
        }
        Ok(devices)
    })
}

fn enrol_each(address: SocketAddr, ids: &[String]) -> anyhow::Result<Vec<Device>> {
    let mut connection = Connection::open(address)?;
    let key = TENANT.device_key();
    ids.iter()
        .map(|id| {
            let body = json!({"device_id": id, "project_id": PROJECT});
            let answer = connection.post("/v1/devices", Some(&key), &body)?;
            ensure!(
                answer.status == 201,
                "an enrolment was answered with {}",
                answer.status
            );
            let token = answer.json()?["device_token"]
                .as_str()
                .context("no token")?
                .to_owned();
            Ok(Device {
                id: id.clone(),
                token,
            })
        })
        .collect()
}

impl Events {
    /// Opens the stream of a device, and returns after the first line has arrived.
    pub(crate) fn open(address: SocketAddr, device: &Device) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        let request = format!(
            "GET /v1/devices/{}/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n",
            device.id, device.token
        );
        stream.write_all(request.as_bytes())?;
        let mut events = Self(BufReader::with_capacity(1_024, stream));
        let status = events.line()?;
        ensure!(
            status.starts_with("HTTP/1.1 200"),
            "a stream was answered with {status}"
        );
        while !events.line()?.starts_with("retry:") {}
        Ok(events)
    }

    /// Returns the data of the next event.
    pub(crate) fn data(&mut self) -> anyhow::Result<String> {
        loop {
            if let Some(data) = self.line()?.strip_prefix("data: ") {
                return Ok(data.trim_end().to_owned());
            }
        }
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        ensure!(self.0.read_line(&mut line)? > 0, "the server ended a stream");
        Ok(line)
    }
}

/// Raises the limit of open connections of this process and its children.
pub(crate) fn allow_connections(count: usize) -> anyhow::Result<()> {
    let wanted = count as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum.map(|maximum| maximum.max(wanted)),
    };
    setrlimit(Resource::Nofile, raised).with_context(|| format!("{wanted} open files are not allowed"))
}
