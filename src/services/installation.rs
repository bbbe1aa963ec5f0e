//! Initialization of the database at startup, when it is first reachable.
//!
//! It migrates the schema, verifies the secret keys and creates the first administrator. No other task reads or writes
//! the database before.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::ServiceError;
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::error_chain::error_chain;
use crate::random;
use crate::secrets::{Keyring, KeyringError, SealedSecret, hash_password, new_password};
use crate::storage::key_usage::{self, KeyUsage, SecretKind};
use crate::storage::{Db, Gate, Reader, StorageError, UniqueKey, device_tokens, settings, users};
use slipway_domain::access::{Role, User};
use slipway_domain::catalog::ids::UserId;
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::text::Username;

/// Setting that is sealed at the first start and opened at every later start.
const CANARY: &str = "secret_key_canary";
/// Random id of the installation.
const INSTALLATION: &str = "installation_id";
/// Delay before a running node tries a refused database again.
const AFTER_REFUSAL: Duration = Duration::from_mins(1);

/// Opens the installation's database on this node.
pub struct DatabaseOpener {
    /// Database handle that bypasses the gate.
    pub db: Db,
    /// Gate that blocks all other access until the database is open.
    pub gate: Arc<Gate>,
    pub keyring: Arc<Keyring>,
    pub clock: Arc<dyn Clock>,
    pub username: Username,
    /// `None` = generate a password.
    pub password: Option<String>,
    /// Callback for the first administrator, if this node created it.
    pub announce: fn(&FirstAdministrator),
}

/// Reason that the database cannot be used, temporarily or permanently.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Sessions(StorageError),
    #[error("the database schema cannot be migrated")]
    Schema(#[source] StorageError),
    #[error(transparent)]
    Key(#[from] KeyringError),
    #[error("the installation's settings cannot be read")]
    Settings(#[from] StorageError),
    #[error("the first administrator cannot be created")]
    Administrator(#[source] ServiceError),
    #[error("the catalog cannot be loaded")]
    Catalog(#[source] StorageError),
}

impl OpenError {
    /// Returns `true` if a retry may succeed without any change on this node.
    pub fn is_unavailability(&self) -> bool {
        match self {
            Self::Schema(error) | Self::Settings(error) | Self::Catalog(error) => error.is_transient(),
            Self::Administrator(error) => error.is_transient(),
            Self::Key(_) | Self::Sessions(_) => false,
        }
    }
}

impl DatabaseOpener {
    /// Checks and initializes the database, then opens the gate. Returns the installation's id.
    pub async fn open(&self) -> Result<Uuid, OpenError> {
        self.db.require_sessions().await.map_err(OpenError::Sessions)?;
        self.db.migrate().await.map_err(OpenError::Schema)?;
        check_keyring(&self.db, &self.keyring).await?;
        let installation = installation_id(&self.db).await?;
        let first = self
            .ensure_administrator()
            .await
            .map_err(OpenError::Administrator)?;
        if let Some(first) = first {
            (self.announce)(&first);
        }
        self.gate.open();
        Ok(installation)
    }

    /// Retries until the database is open. Meanwhile the node serves the catalog in its memory.
    pub async fn open_with_retry(&self) -> Uuid {
        let mut backoff = Backoff::default();
        loop {
            let wait = match self.open().await {
                Ok(installation) => return installation,
                Err(error) if error.is_unavailability() => {
                    tracing::warn!(error = error_chain(&error), "the database is unavailable");
                    backoff.next()
                }
                Err(error) => {
                    tracing::error!(error = error_chain(&error), "this node cannot use its database");
                    AFTER_REFUSAL
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Creates the first administrator if there are no users.
    async fn ensure_administrator(&self) -> Result<Option<FirstAdministrator>, ServiceError> {
        if users::exists_any(&self.db).await? {
            if self.password.is_some() {
                tracing::warn!(
                    "SLIPWAY_ADMIN_PASSWORD is ignored: it applies to the first start only, and users exist \
                     already; set a new password with `slipway admin reset-password`, and unset the variable"
                );
            }
            return Ok(None);
        }
        let made_up = self.password.is_none().then(new_password);
        let given = self
            .password
            .clone()
            .or_else(|| made_up.clone())
            .unwrap_or_default();
        let hash = hash_password(given).await;
        let user = User {
            id: random::id::<UserId>(),
            tenant: None,
            username: self.username.clone(),
            role: Role::PlatformAdmin,
            enabled: true,
        };
        let tx = self.db.begin().await?;
        let now = in_micros(self.clock.now());
        match users::insert(&tx, user, hash.as_str().to_owned(), now).await {
            Ok(_) => tx.commit().await?,
            // Another node that started at the same time was first.
            Err(StorageError::Conflict(UniqueKey::Username)) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        Ok(Some(FirstAdministrator {
            username: self.username.as_str().to_owned(),
            password: made_up,
        }))
    }
}

/// The first administrator, created by this start.
pub struct FirstAdministrator {
    pub username: String,
    /// Generated password, to be printed once. `None` if the password was configured.
    pub password: Option<String>,
}

/// Fails if the keys cannot open or verify the stored secrets. Refusing to start prevents a gradual loss of secrets.
pub(super) async fn check_keyring(db: &Db, keyring: &Keyring) -> Result<(), OpenError> {
    require_needed_keys(db, keyring).await?;
    if let Some(stored) = settings::find(db, CANARY).await? {
        let stored = read_canary(&stored)?;
        keyring.open(&stored, CANARY)?;
        // No write is needed, so that a full or read-only database can be opened.
        if stored.key_id == keyring.primary_key_id() && !device_tokens::lack_key_ids(db).await? {
            return Ok(());
        }
    }
    let sealed = keyring.seal("slipway", CANARY)?;
    let text = format!("{}.{}", sealed.key_id, sealed.sealed);
    let tx = db.begin().await?;
    // If nodes start together with different keys, the first one wins and the others detect it here.
    settings::insert_if_absent(&tx, CANARY, &text).await?;
    let stored = settings::find(&tx, CANARY).await?.unwrap_or_default();
    let stored = read_canary(&stored)?;
    // Tokens without a recorded key were made with the first key of the last start.
    device_tokens::fill_key_ids(&tx, &stored.key_id).await?;
    keyring.open(&stored, CANARY)?;
    // Sealed again with the first key, so that a retired key can be removed once nothing else needs it.
    settings::upsert(&tx, CANARY, &text).await?;
    Ok(tx.commit().await?)
}

fn read_canary(stored: &str) -> Result<SealedSecret, KeyringError> {
    let (key_id, sealed) = stored.split_once('.').ok_or(KeyringError::CannotOpen)?;
    Ok(SealedSecret {
        key_id: key_id.to_owned(),
        sealed: sealed.to_owned(),
    })
}

/// Returns `true` if a migrated database contains data that only a certain key opens.
pub async fn is_sealed(db: &Db) -> Result<bool, StorageError> {
    Ok(settings::find(db, CANARY).await?.is_some())
}

/// Fails if stored secrets need a key that was not given. The error names them.
async fn require_needed_keys(db: &Db, keyring: &Keyring) -> Result<(), OpenError> {
    let needs = key_usage::list_except(db, keyring.primary_key_id()).await?;
    let missing = |need: &&KeyUsage| keyring.ids().all(|id| id != need.key_id);
    let Some(first) = needs.iter().find(missing) else {
        return Ok(());
    };
    let of_key = needs.iter().filter(|need| need.key_id == first.key_id);
    let needed_by: Vec<_> = of_key
        .map(|need| format!("{} {}", need.count, words_for(need.kind)))
        .collect();
    Err(KeyringError::StillNeeded {
        key_id: first.key_id.clone(),
        needed_by: needed_by.join(", "),
    }
    .into())
}

const fn words_for(kind: SecretKind) -> &'static str {
    match kind {
        SecretKind::AppSecret => "app secrets",
        SecretKind::PreviousAppSecret => "previous app secrets",
        SecretKind::DeviceToken => "device tokens",
    }
}

/// Returns the installation's id as text, once the database was opened.
pub async fn id(reader: &impl Reader) -> Result<String, ServiceError> {
    let found = settings::find(reader, INSTALLATION).await?;
    found.ok_or(ServiceError::NotFound("installation"))
}

/// Returns the installation's id, which is created at the first start.
async fn installation_id(db: &Db) -> Result<Uuid, OpenError> {
    let stored = match settings::find(db, INSTALLATION).await? {
        Some(stored) => stored,
        None => make_installation(db).await?,
    };
    let parsed = Uuid::parse_str(&stored);
    Ok(parsed.map_err(|error| StorageError::CorruptRow {
        table: "settings",
        column: "value",
        id: INSTALLATION.to_owned(),
        reason: error.to_string(),
    })?)
}

async fn make_installation(db: &Db) -> Result<String, StorageError> {
    let tx = db.begin().await?;
    let is_new = settings::insert_if_absent(&tx, INSTALLATION, &random::uuid().to_string()).await?;
    let stored = settings::find(&tx, INSTALLATION).await?.unwrap_or_default();
    tx.commit().await?;
    if is_new {
        tracing::warn!(
            installation = stored,
            "a new installation is created: it has no tenants, users or devices of another installation"
        );
    }
    Ok(stored)
}
