//! A tenant of any size, inserted in bulk: rows that the API made are copied with other keys. Through the API, a million
//! devices would take hours.

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use serde_json::json;

use crate::api::harness::{Caller, TENANT, in_tenant};

/// Counts the devices that were inserted without triggers.
const COUNT_ANEW: &str = "DELETE FROM install_count_changes; DELETE FROM place_count_changes; \
     DELETE FROM install_counts; DELETE FROM place_counts; \
     INSERT INTO install_counts (tenant_id, app_id, identifier, version_code, seen_on, devices) \
     SELECT tenant_id, app_id, identifier, version_code, (seen_at AT TIME ZONE 'UTC')::date, count(*) \
     FROM device_installs WHERE app_id IS NOT NULL GROUP BY 1, 2, 3, 4, 5; \
     INSERT INTO place_counts (tenant_id, places, devices) \
     SELECT tenant_id, coalesce(org_info, ''), count(*) FROM devices GROUP BY 1, 2";

/// Number of rows of the tenant. One of its apps, [`LARGE_APP`], is large.
pub(super) struct Size {
    /// Apps with one resource of ten releases each.
    pub(super) apps: u32,
    /// Resources of the large app, with ten releases each.
    pub(super) resources: u32,
    /// Releases of one more resource of the large app.
    pub(super) releases: u32,
    /// Devices, each with two installs of the large app.
    pub(super) devices: u32,
    /// Stores of the org directory, in up to a hundred regions of one company.
    pub(super) stores: u32,
    /// Events of the audit log. Most releases have two.
    pub(super) events: u32,
    /// Rows of each of the other lists.
    pub(super) records: u32,
}

/// Each list fills two pages with each filter, so that its statements are as many as those of a longer list.
pub(super) const SMALL: Size = Size {
    apps: 120,
    resources: 120,
    releases: 120,
    devices: 30_000,
    stores: 120,
    events: 46_000,
    records: 1_200,
};

pub(super) const LARGE: Size = Size {
    apps: 10_000,
    resources: 1_000,
    releases: 5_000,
    devices: 1_000_000,
    stores: 5_000,
    events: 230_000,
    records: 5_000,
};

/// App of [`Objects`](super::super::objects::Objects), of which every page has something to show.
const LARGE_APP: &str = "com.example.n0";
/// Devices of the push with the most devices that are permitted. It has one more from the API.
const PUSHED: u32 = 999;
const REGIONS: u32 = 100;
const RELEASES_PER_RESOURCE: u32 = 10;

/// Kinds of ids. Ids of one kind are in the order of their numbers.
#[derive(Clone, Copy)]
enum Kind {
    App = 1,
    Release,
    ReleaseOfLargeApp,
    ReleaseOfResource,
    Push,
    Pin,
    Artifact,
    Event,
    Person,
    Token,
}

/// Returns the id of a device. Ids are in the order of a hash.
pub(super) fn device_id(number: u32) -> String {
    format!(
        "{:08x}{number:08x}",
        u64::from(number) * 2_654_435_761 % (1 << 32)
    )
}

/// Writes the org directory through the API, because it is one document.
pub(super) async fn put_directory(admin: &Caller, size: &Size) {
    let path = |store| json!({"path": ["HM", format!("R{}", store % REGIONS), format!("S{store}")]});
    let nodes: Vec<_> = (0..size.stores).map(path).collect();
    admin
        .put(&in_tenant("/org-directory"), &json!({ "nodes": nodes }))
        .await
        .expect(200);
}

/// Inserts the rows beside those of the first [`Objects`](super::super::objects::Objects) of the tenant.
pub(super) async fn fill(url: &str, size: &Size) {
    let filler = Filler::connect(url).await;
    filler.announce_devices(false).await;
    filler.insert_apps(size).await;
    filler.insert_large_app(size).await;
    filler.insert_devices(size).await;
    filler.insert_pushes(size).await;
    filler.insert_records(size).await;
    filler.announce_devices(true).await;
    if filler.backend == DbBackend::Postgres {
        filler.run("VACUUM ANALYZE").await;
    }
    filler.connection.close().await.unwrap();
}

/// Copies the last counted day of the large app to the 29 days before it.
pub(super) async fn copy_days(url: &str) {
    let filler = Filler::connect(url).await;
    let (before, numbers) = match filler.backend {
        DbBackend::Postgres => ("day - 1 - n", filler.numbers(29)),
        _ => ("date(day, '-' || (n + 1) || ' days')", filler.numbers(29)),
    };
    filler
        .run(&format!(
            "INSERT INTO adoption_days (tenant_id, app_id, identifier, day, versions, others) \
             SELECT tenant_id, app_id, identifier, {before}, versions, others FROM {numbers}, adoption_days"
        ))
        .await;
    filler.connection.close().await.unwrap();
}

struct Filler {
    connection: DatabaseConnection,
    backend: DbBackend,
}

/// Column with the expression of its value. In it, `n` is the number of the row, and `t` the copied row.
type Column<'a> = (&'a str, String);

impl Filler {
    async fn connect(url: &str) -> Self {
        // A setting of the session has to hold for every statement.
        let connection = Database::connect(ConnectOptions::new(url).max_connections(1).to_owned())
            .await
            .unwrap();
        Self {
            backend: connection.get_database_backend(),
            connection,
        }
    }

    async fn run(&self, sql: &str) {
        let done = self.connection.execute_unprepared(sql).await;
        done.unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// Switches the announcements of changed devices, which no other node waits for.
    async fn announce_devices(&self, is_on: bool) {
        if self.backend == DbBackend::Postgres {
            for table in ["devices", "device_installs"] {
                let state = if is_on { "ENABLE ALWAYS" } else { "DISABLE" };
                self.run(&format!("ALTER TABLE {table} {state} TRIGGER {table}_announce"))
                    .await;
            }
            // Foreign keys are not checked row by row.
            let role = if is_on { "origin" } else { "replica" };
            self.run(&format!("SET session_replication_role = {role}")).await;
            if is_on {
                self.run(COUNT_ANEW).await;
            }
        } else {
            self.run(&format!(
                "UPDATE device_recording SET is_on = {}",
                u8::from(!is_on)
            ))
            .await;
        }
    }

    /// Returns a table of the numbers from 0.
    fn numbers(&self, count: u32) -> String {
        match self.backend {
            DbBackend::Postgres => format!("generate_series(0, {count} - 1) AS numbers (n)"),
            _ => format!(
                "(WITH RECURSIVE counting (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counting WHERE n < {count} - 1) \
                 SELECT n FROM counting) AS numbers"
            ),
        }
    }

    fn hex(&self, number: &str, digits: u8) -> String {
        match self.backend {
            DbBackend::Postgres => format!("lpad(to_hex({number}), {digits}, '0')"),
            _ => format!("printf('%0{digits}x', {number})"),
        }
    }

    fn id(&self, kind: Kind, number: &str) -> String {
        let hex = self.hex(&format!("{} + {number}", (kind as u64) << 40), 32);
        match self.backend {
            DbBackend::Postgres => format!("CAST({hex} AS uuid)"),
            _ => format!("unhex({hex})"),
        }
    }

    /// Returns a name that ends in a number of five digits.
    fn name(&self, beginning: &str, number: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!("'{beginning}' || lpad(CAST({number} AS text), 5, '0')"),
            _ => format!("'{beginning}' || printf('%05d', {number})"),
        }
    }

    fn minutes_before(&self, instant: &str, minutes: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!("{instant} - ({minutes}) * interval '1 minute'"),
            _ => format!("strftime('%Y-%m-%dT%H:%M:%S+00:00', {instant}, printf('-%d minutes', {minutes}))"),
        }
    }

    /// Returns [`device_id`] as an expression.
    fn device(&self, number: &str) -> String {
        let hash = self.hex(&format!("CAST({number} AS bigint) * 2654435761 % 4294967296"), 8);
        format!("{hash} || {}", self.hex(number, 8))
    }

    /// Returns the number with the digits of [`DownloadKey`](slipway_domain::catalog::artifact::DownloadKey).
    fn download_key(&self, number: &str) -> String {
        let digits = [('0', 'g'), ('1', 'h'), ('8', 'i'), ('9', 'j')];
        let key = self.hex(number, 26);
        digits.iter().fold(key, |key, (digit, letter)| {
            format!("replace({key}, '{digit}', '{letter}')")
        })
    }

    /// Copies one row of a table `count` times.
    async fn copy(&self, table: &str, row: &str, count: u32, changed: &[Column<'_>]) {
        let columns = self.columns(table).await;
        for (name, _) in changed {
            assert!(columns.iter().any(|column| column == name), "{table}.{name}");
        }
        let values = columns.iter().map(|column| {
            let own = changed.iter().find(|(name, _)| name == column);
            own.map_or_else(|| format!("t.{column}"), |(_, value)| value.clone())
        });
        let values = values.collect::<Vec<_>>().join(", ");
        let (columns, numbers) = (columns.join(", "), self.numbers(count));
        self.run(&format!(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM {numbers}, \
             (SELECT * FROM {table} WHERE {row} LIMIT 1) AS t"
        ))
        .await;
    }

    /// Returns the columns of a table without those that are generated.
    async fn columns(&self, table: &str) -> Vec<String> {
        let query = match self.backend {
            DbBackend::Postgres => format!(
                "SELECT column_name AS name FROM information_schema.columns \
                 WHERE table_schema = 'public' AND table_name = '{table}'"
            ),
            _ => format!("SELECT name FROM pragma_table_info('{table}')"),
        };
        let rows = self
            .connection
            .query_all_raw(Statement::from_string(self.backend, query))
            .await
            .unwrap();
        rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
    }

    async fn insert_apps(&self, size: &Size) {
        let (app, name) = (self.id(Kind::App, "n"), self.name("com.example.a", "n"));
        let spare = format!("package_name = '{LARGE_APP}.spare'");
        let own = [("id", app.clone()), ("package_name", name.clone())];
        self.copy("apps", &spare, size.apps, &own).await;
        let own = [("app_id", app.clone()), ("name", name.clone())];
        let row = format!("name = '{LARGE_APP}.spare'");
        self.copy("package_names", &row, size.apps, &own).await;
        let own = [("app_id", app), ("identifier", name)];
        self.copy("resources", &part(), size.apps, &own).await;
        let place = format!("n / {RELEASES_PER_RESOURCE}");
        let releases = size.apps * RELEASES_PER_RESOURCE;
        let own = [
            ("id", self.id(Kind::Release, "n")),
            ("app_id", self.id(Kind::App, &place)),
            ("identifier", self.name("com.example.a", &place)),
            ("version_code", format!("1 + n % {RELEASES_PER_RESOURCE}")),
        ];
        self.copy("releases", &first_release(), releases, &own).await;
    }

    async fn insert_large_app(&self, size: &Size) {
        let resource = format!("{LARGE_APP}.r");
        let own = [("identifier", self.name(&resource, "n"))];
        self.copy("resources", &part(), size.resources, &own).await;
        let place = format!("n / {RELEASES_PER_RESOURCE}");
        let releases = size.resources * RELEASES_PER_RESOURCE;
        let own = [
            ("id", self.id(Kind::ReleaseOfLargeApp, "n")),
            ("identifier", self.name(&resource, &place)),
            ("version_code", format!("1 + n % {RELEASES_PER_RESOURCE}")),
        ];
        self.copy("releases", &first_release(), releases, &own).await;
        let own = [
            ("id", self.id(Kind::ReleaseOfResource, "n")),
            ("version_code", "100 + n".to_owned()),
        ];
        self.copy("releases", &first_release(), size.releases, &own).await;
    }

    async fn insert_devices(&self, size: &Size) {
        let Size {
            stores,
            resources,
            devices,
            ..
        } = size;
        let now = "(SELECT max(created_at) FROM tenants)";
        let place = format!(
            "'[{{\"l1Code\":\"HM\",\"l2Code\":\"R' || (n % {stores} % {REGIONS}) || '\",\"l3Code\":\"S' || (n % {stores}) || '\"}}]'"
        );
        let own = [
            ("device_id", self.device("n")),
            (
                "device_type",
                "CASE WHEN n % 250000 = 7 THEN 'rare' ELSE 'T' || (n % 20) END".to_owned(),
            ),
            ("org_info", place),
            ("source", "'check'".to_owned()),
            ("first_seen_at", now.to_owned()),
            ("last_seen_at", now.to_owned()),
        ];
        self.copy("devices", "device_id = 'device-0'", *devices, &own)
            .await;
        let installs = [
            (format!("'{LARGE_APP}.part'"), "1 + n % 5".to_owned()),
            (
                self.name(&format!("{LARGE_APP}.r"), &format!("n % {resources}")),
                format!("1 + n / {resources} % 5"),
            ),
        ];
        for (identifier, version) in installs {
            let (device, numbers) = (self.device("n"), self.numbers(*devices));
            self.run(&format!(
                "INSERT INTO device_installs (tenant_id, device_id, package_name, identifier, app_id, version_code, seen_at) \
                 SELECT {TENANT}, {device}, '{LARGE_APP}', {identifier}, apps.id, {version}, {now} FROM {numbers}, apps \
                 WHERE apps.package_name = '{LARGE_APP}'"
            ))
            .await;
        }
    }

    /// Inserts pushes to one device each, and adds devices to the push of the API.
    async fn insert_pushes(&self, size: &Size) {
        let own = [
            ("id", self.id(Kind::Push, "n")),
            ("trace_id", self.name("trace-", "n % 10")),
        ];
        self.copy("pushes", "true", size.records, &own).await;
        let ended = [
            ("state", "'applied'".to_owned()),
            ("open_until", "NULL".to_owned()),
            ("mqtt_due_at", "NULL".to_owned()),
        ];
        let of_first = "device_id = 'device-0'";
        let mut own = ended.to_vec();
        own.push(("device_id", self.device("n")));
        self.copy("push_targets", of_first, PUSHED, &own).await;
        own.push(("push_id", self.id(Kind::Push, "n")));
        own.push(("sequence", "2".to_owned()));
        self.copy("push_targets", of_first, size.records, &own).await;
    }

    async fn insert_records(&self, size: &Size) {
        let device = self.device("n");
        let own = [
            ("id", self.id(Kind::Pin, "n")),
            ("target_key", format!("'d:' || {device}")),
            ("device_id", device),
        ];
        self.copy("pins", "true", size.records, &own).await;
        let own = [
            ("id", self.id(Kind::Artifact, "n")),
            ("sha256", self.hex("n", 64)),
            ("download_key", self.download_key("n")),
            ("package_name", self.name("com.example.a", "n % 10")),
        ];
        self.copy("artifacts", "true", size.records, &own).await;
        // One a minute, or fewer over the same time.
        let minutes = LARGE.events / size.events;
        let own = [
            ("id", self.id(Kind::Event, "n")),
            (
                "at",
                self.minutes_before("t.at", &format!("({} - n) * {minutes}", size.events)),
            ),
            ("actor_name", self.name("person-", "n % 10")),
            ("object_id", self.name("release-", "n")),
        ];
        let published = "action = 'release.publish'";
        self.copy("audit_events", published, size.events, &own).await;
        let own = [
            ("id", self.id(Kind::Person, "n")),
            ("username", self.name("person-", "n")),
        ];
        self.copy("users", "username = 'person-0'", size.records, &own)
            .await;
        let own = [
            ("id", self.id(Kind::Token, "n")),
            ("secret_hash", self.hex("n", 64)),
        ];
        self.copy("api_tokens", "name = 'ci'", size.records, &own).await;
    }
}

/// Returns the condition of a resource that has releases.
fn part() -> String {
    format!("identifier = '{LARGE_APP}.part'")
}

/// Returns the condition of a published release.
fn first_release() -> String {
    format!("{} AND version_code = 1", part())
}
