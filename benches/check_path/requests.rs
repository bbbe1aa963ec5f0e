//! Requests of the benchmark. They are prepared before each round and vary in tenant, device and installed versions.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use fastrand::Rng;
use serde_json::{Map, Value, json};
use slipway_gateway::sign::{SignMethod, canonical_text};

use crate::bulk_data::Catalog;
use crate::connection::{Connection, post};
use crate::fleet::{APPS_PER_TENANT, App, MODULES, REGIONS, RELEASES_PER_RESOURCE, Tenant};
use crate::node::Node;

/// Fixed seed, so that every run has the same fleet.
const SEED: u64 = 20_260_101;

/// Distribution of checks over the tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// Uniform.
    Uniform,
    /// Zipf's law with exponent 1: the second largest tenant has half as many checks as the largest.
    Skewed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Gateway,
    Native,
}

/// Content of one device's check.
struct Question {
    tenant: Tenant,
    package_name: String,
    version_code: u32,
    device_id: String,
    old_versions: Value,
    org_info: Value,
    attributes: Value,
}

/// Checks of a fleet. Requests can be built from them repeatedly.
pub(crate) struct Questions(Vec<Question>);

/// Result of sending every request once.
pub(crate) struct Answers {
    pub(crate) mean_body_bytes: usize,
    /// Share of answers with an offer.
    pub(crate) with_offers: f64,
}

impl Questions {
    pub(crate) fn new(catalog: &Catalog, spread: Spread, count: usize) -> Self {
        let mut rng = Rng::with_seed(SEED);
        let tenants = tenants(catalog.tenants, spread, count, &mut rng);
        Self(
            tenants
                .into_iter()
                .zip(0..)
                .map(|(tenant, number)| question(tenant, number, &mut rng))
                .collect(),
        )
    }

    /// Builds the raw requests. Those of the gateway are signed with the current time.
    #[expect(
        clippy::disallowed_methods,
        reason = "signatures are made for the real clock of a real server"
    )]
    pub(crate) fn requests(&self, face: Face) -> anyhow::Result<Vec<Vec<u8>>> {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        Ok(self
            .0
            .iter()
            .map(|question| match face {
                Face::Gateway => question.signed(now_ms),
                Face::Native => question.native(),
            })
            .collect())
    }

    /// Sends every request once. Fails at any answer that is not a success.
    pub(crate) fn try_all(&self, node: &Node, face: Face) -> anyhow::Result<Answers> {
        let mut connection = Connection::open(node.address)?;
        let requests = self.requests(face)?;
        let (mut bytes, mut with_offers) = (0, 0);
        for request in &requests {
            let answer = connection.send(request)?;
            let text = String::from_utf8_lossy(&answer.body);
            let is_success = answer.status == 200 && text.contains("\"succeed\":");
            ensure!(is_success, "a check was answered with {} {text}", answer.status);
            bytes += answer.body.len();
            with_offers += usize::from(text.contains("\"download_url\":"));
        }
        Ok(Answers {
            mean_body_bytes: bytes / requests.len(),
            with_offers: with_offers as f64 / requests.len() as f64,
        })
    }
}

/// Writes requests for `wrk.lua`: a line with the length before each request.
pub(crate) fn write(path: &Path, requests: &[Vec<u8>]) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for request in requests {
        writeln!(file, "{}", request.len())?;
        file.write_all(request)?;
    }
    Ok(file.flush()?)
}

fn tenants(count: u32, spread: Spread, requests: usize, rng: &mut Rng) -> Vec<Tenant> {
    let mut tenants: Vec<_> = (0..count).map(Tenant).collect();
    rng.shuffle(&mut tenants);
    match spread {
        Spread::Uniform => {
            let mut all: Vec<_> = tenants.iter().copied().cycle().take(requests).collect();
            rng.shuffle(&mut all);
            all
        }
        Spread::Skewed => {
            let mut total = 0.0;
            let cumulative: Vec<f64> = (1..=count)
                .map(|rank| {
                    total += 1.0 / f64::from(rank);
                    total
                })
                .collect();
            std::iter::repeat_with(|| {
                let drawn = rng.f64() * total;
                tenants[cumulative
                    .partition_point(|sum| *sum < drawn)
                    .min(tenants.len() - 1)]
            })
            .take(requests)
            .collect()
        }
    }
}

/// Generates a check. Of ten devices, six are up to date, three lack one or two updates, and one has nothing installed.
fn question(tenant: Tenant, number: u32, rng: &mut Rng) -> Question {
    let app = tenant.app(rng.u32(0..APPS_PER_TENANT));
    let mut version_code = RELEASES_PER_RESOURCE;
    let mut installed = vec![RELEASES_PER_RESOURCE; MODULES.len()];
    let state = rng.u32(0..10);
    if state == 9 {
        version_code = 1;
        installed.fill(0);
    } else if state >= 6 {
        for _ in 0..rng.u32(1..=2) {
            installed[rng.usize(1..MODULES.len())] = RELEASES_PER_RESOURCE - rng.u32(1..=4);
        }
    }
    let store = rng.u32(0..30);
    let region = REGIONS[store as usize % REGIONS.len()];
    Question {
        tenant,
        version_code,
        device_id: format!("{}PDA{number:05}", tenant.number()),
        old_versions: old_versions(app, &installed, rng.bool()),
        org_info: json!({"l1Code": "FM", "l2Code": region, "l3Code": (8_000 + store).to_string()}),
        attributes: json!({"abi": "arm64-v8a", "os": {"sdk": 30}, "scanner": "SE4710"}),
        package_name: app.package_name(),
    }
}

/// Builds the list of installed versions. Half of the devices also send digests.
fn old_versions(app: App, installed: &[u32], with_digests: bool) -> Value {
    let entries = (0..).zip(installed).skip(1).filter(|(_, version)| **version > 0);
    let entries = entries.map(|(resource, version)| {
        let entry = if with_digests {
            json!({"versionCode": version, "md5": app.md5(resource, *version)})
        } else {
            json!(version)
        };
        (app.identifier(resource), entry)
    });
    Value::Object(entries.collect::<Map<_, _>>())
}

impl Question {
    fn signed(&self, now_ms: u128) -> Vec<u8> {
        let texts = [
            ("app_key", self.tenant.app_key()),
            ("timestamp", now_ms.to_string()),
            ("package_name", self.package_name.clone()),
            ("version_code", self.version_code.to_string()),
            ("device_id", self.device_id.clone()),
            ("old_versions", self.old_versions.to_string()),
            ("org_info", self.org_info.to_string()),
            ("attributes", self.attributes.to_string()),
            ("tenant_id", self.tenant.number().to_string()),
        ];
        let fixed = [
            ("method", "wdk.rexout.resource.list.check"),
            ("v", "2.0"),
            ("sign_method", "hmac-sha256"),
            ("format", "json"),
            ("device_type", "10013"),
        ];
        let mut params: BTreeMap<&str, &str> = fixed.into_iter().collect();
        params.extend(texts.iter().map(|(name, value)| (*name, value.as_str())));
        let signature = SignMethod::HmacSha256.sign(
            &self.tenant.app_secret(),
            &canonical_text(&params.iter().map(|(name, value)| (*name, *value)).collect()),
        );
        let signature = hex::encode_upper(signature);
        params.insert("sign", &signature);
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(params)
            .finish();
        post(
            "/router/rest",
            None,
            "application/x-www-form-urlencoded;charset=UTF-8",
            &body,
        )
    }

    fn native(&self) -> Vec<u8> {
        let body = json!({
            "package_name": self.package_name,
            "version_code": self.version_code,
            "device_id": self.device_id,
            "device_type": "10013",
            "old_versions": self.old_versions,
            "org_info": self.org_info,
            "attributes": self.attributes,
        });
        post(
            "/v1/check",
            Some(&self.tenant.device_key()),
            "application/json",
            &body.to_string(),
        )
    }
}
