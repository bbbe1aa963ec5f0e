//! What happens once at a start, when the database first answers: its schema is brought up to date, the secret key
//! proves that it opens what is stored, and the first administrator is made. Nothing follows or writes before.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::ServiceError;
use crate::access::{Role, User};
use crate::backoff::Backoff;
use crate::catalog::ids::UserId;
use crate::catalog::text::Username;
use crate::causes::causes;
use crate::clock::Clock;
use crate::secrets::{Keyring, KeyringError, SealedSecret, hash_password, new_password};
use crate::storage::key_needs::{self, KeyNeed, SecretKind};
use crate::storage::{Db, Gate, StorageError, UniqueKey, device_tokens, in_micros, settings, users};

/// Sealed at the first start and opened at every later one.
const CANARY: &str = "secret_key_canary";
/// A random id that tells installations apart.
const INSTALLATION: &str = "installation_id";
/// How long a running node waits before it asks a database again that it may not use.
const AFTER_REFUSAL: Duration = Duration::from_mins(1);

/// Opens the installation's database for this node.
pub struct Opening {
    /// Not behind the gate.
    pub db: Db,
    /// Keeps everything else from the database until it is open.
    pub gate: Arc<Gate>,
    pub keyring: Arc<Keyring>,
    pub clock: Arc<dyn Clock>,
    pub username: Username,
    /// `None`: to be made up.
    pub password: Option<String>,
    /// Told of the first administrator when this node made it.
    pub announce: fn(&FirstAdministrator),
}

/// Why a database may not be used, or not now.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Sessions(StorageError),
    #[error("the database's schema cannot be brought up to date")]
    Schema(#[source] StorageError),
    #[error(transparent)]
    Key(#[from] KeyringError),
    #[error("the installation's settings cannot be read")]
    Settings(#[from] StorageError),
    #[error("the first administrator cannot be made")]
    Administrator(#[source] ServiceError),
    #[error("the catalog cannot be loaded")]
    Catalog(#[source] StorageError),
}

impl OpenError {
    /// Whether the same may succeed later without anybody doing anything about it here.
    pub fn is_unavailability(&self) -> bool {
        match self {
            Self::Schema(error) | Self::Settings(error) | Self::Catalog(error) => error.is_passing(),
            Self::Administrator(error) => error.is_passing(),
            Self::Key(_) | Self::Sessions(_) => false,
        }
    }
}

impl Opening {
    /// Checks and completes what must be so before the database is used, and lets everything through to it. Returns
    /// the installation's id.
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

    /// Tries until the database is open. The node serves meanwhile what it has in memory.
    pub async fn until_open(&self) -> Uuid {
        let mut backoff = Backoff::default();
        loop {
            let wait = match self.open().await {
                Ok(installation) => return installation,
                Err(error) if error.is_unavailability() => {
                    tracing::warn!(error = causes(&error), "the database is unavailable");
                    backoff.next()
                }
                Err(error) => {
                    tracing::error!(error = causes(&error), "this node may not use its database");
                    AFTER_REFUSAL
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Makes the first administrator if there is nobody yet.
    async fn ensure_administrator(&self) -> Result<Option<FirstAdministrator>, ServiceError> {
        if users::exists_any(&self.db).await? {
            if self.password.is_some() {
                tracing::warn!(
                    "SLIPWAY_ADMIN_PASSWORD is ignored: it counts at the first start only, and there are people \
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
            id: UserId::generate(),
            tenant: None,
            username: self.username.clone(),
            role: Role::PlatformAdmin,
            enabled: true,
        };
        let tx = self.db.begin().await?;
        let now = in_micros(self.clock.now());
        match users::insert(&tx, user, hash.as_str().to_owned(), now).await {
            Ok(_) => tx.commit().await?,
            // Another node starting at the same moment was first.
            Err(StorageError::Conflict(UniqueKey::Username)) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        Ok(Some(FirstAdministrator {
            username: self.username.as_str().to_owned(),
            password: made_up,
        }))
    }
}

/// The first administrator, when this start made one.
pub struct FirstAdministrator {
    pub username: String,
    /// Only when it was made up; to be printed once.
    pub password: Option<String>,
}

/// Refuses keys that cannot open or verify what is stored: better not to start than to lose secrets bit by bit.
pub(super) async fn check_keyring(db: &Db, keyring: &Keyring) -> Result<(), OpenError> {
    refuse_missing_keys(db, keyring).await?;
    if let Some(stored) = settings::find(db, CANARY).await? {
        let stored = read_canary(&stored)?;
        keyring.open(&stored, CANARY)?;
        // A database that is full or read-only for the moment can be opened.
        if stored.key_id == keyring.first_id() && !device_tokens::lack_key_ids(db).await? {
            return Ok(());
        }
    }
    let sealed = keyring.seal("slipway", CANARY)?;
    let text = format!("{}.{}", sealed.key_id, sealed.sealed);
    let tx = db.begin().await?;
    // Of nodes that start together with different keys the first wins, and the others see it here.
    settings::insert_if_absent(&tx, CANARY, &text).await?;
    let stored = settings::find(&tx, CANARY).await?.unwrap_or_default();
    let stored = read_canary(&stored)?;
    // Tokens from before their key was recorded were made with the first key of the last start.
    device_tokens::fill_key_ids(&tx, &stored.key_id).await?;
    keyring.open(&stored, CANARY)?;
    // Sealed anew at each start, so that a retired key can be dropped once nothing else needs it.
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

/// True if a database that is migrated holds what only a certain key opens.
pub async fn is_sealed(db: &Db) -> Result<bool, StorageError> {
    Ok(settings::find(db, CANARY).await?.is_some())
}

/// Names what needs a key that was not given.
async fn refuse_missing_keys(db: &Db, keyring: &Keyring) -> Result<(), OpenError> {
    let needs = key_needs::list_except(db, keyring.first_id()).await?;
    let missing = |need: &&KeyNeed| keyring.ids().all(|id| id != need.key_id);
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

/// The installation's id, made at the first start.
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
    let is_new = settings::insert_if_absent(&tx, INSTALLATION, &Uuid::new_v4().to_string()).await?;
    let stored = settings::find(&tx, INSTALLATION).await?.unwrap_or_default();
    tx.commit().await?;
    if is_new {
        tracing::warn!(
            installation = stored,
            "a new installation is created: it knows no tenant, no person and no device of any other"
        );
    }
    Ok(stored)
}
