//! Callers of the admin API, each read with its tenant in one round trip. A reader has presented the credential, so no
//! tenant scope is required.

use sea_orm::sea_query::SelectStatement;
use sea_orm::{ColumnTrait, ConnectionTrait as _, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select};

use super::credentials::StoredCredential as _;
use super::entity::{api_token, platform_token, session, tenant, user};
use super::reader::together;
use super::row::{Row, models};
use super::{Reader, StorageError, sessions, users};
use slipway_domain::access::{ApiToken, PlatformToken, User};
use slipway_domain::catalog::ids::{SessionId, TenantId};

/// Person of a session.
pub struct SessionCaller {
    pub session: sessions::Session,
    pub user: User,
    pub has_enabled_tenant: bool,
}

/// API token of a tenant or of the platform.
#[derive(Debug)]
pub struct TokenCaller {
    /// `None` for a token of the platform.
    pub tenant: Option<TenantId>,
    pub token: ApiToken,
    pub has_enabled_tenant: bool,
}

/// Finds a session and its user.
pub async fn find_by_session(
    reader: &impl Reader,
    id: SessionId,
) -> Result<Option<SessionCaller>, StorageError> {
    let connection = reader.connection();
    let backend = connection.get_database_backend();
    let session = session::Entity::find_by_id(id.uuid());
    let user = select_column(session.clone(), session::Column::UserId);
    let user = user::Entity::find().filter(user::Column::Id.in_subquery(user));
    let tenant = select_column(user.clone(), user::Column::TenantId);
    let queries = [
        session.build(backend),
        user.build(backend),
        tenant_in(tenant).build(backend),
    ];
    let [session, user, tenant] = together(connection, queries).await?;
    let (session, user) = (models(&session)?.pop(), models(&user)?.pop());
    let (Some(session), Some(user)) = (session, user) else {
        return Ok(None);
    };
    let user = users::read(user)?.value;
    let has_enabled_tenant = match (user.tenant, models::<tenant::Model>(&tenant)?.pop()) {
        (None, _) => true,
        (Some(_), Some(tenant)) => tenant.enabled,
        // The session ended between the queries.
        (Some(_), None) => return Ok(None),
    };
    Ok(Some(SessionCaller {
        session: sessions::read(session)?,
        has_enabled_tenant,
        user,
    }))
}

/// Finds the token that has this hash, among all tenants and the platform.
pub async fn find_by_token_hash(
    reader: &impl Reader,
    secret_hash: &str,
) -> Result<Option<TokenCaller>, StorageError> {
    let connection = reader.connection();
    let backend = connection.get_database_backend();
    let of_tenant = api_token::Entity::find().filter(api_token::Column::SecretHash.eq(secret_hash));
    let of_platform =
        platform_token::Entity::find().filter(platform_token::Column::SecretHash.eq(secret_hash));
    let tenant = select_column(of_tenant.clone(), api_token::Column::TenantId);
    let queries = [
        of_tenant.build(backend),
        tenant_in(tenant).build(backend),
        of_platform.build(backend),
    ];
    let [of_tenant, tenant, of_platform] = together(connection, queries).await?;
    if let Some(row) = models::<api_token::Model>(&of_tenant)?.pop() {
        // A token without a tenant was deleted between the queries.
        let Some(tenant) = models::<tenant::Model>(&tenant)?.pop() else {
            return Ok(None);
        };
        let number = Row::of("api_tokens", row.id).column("tenant_id", TenantId::parse(row.tenant_id))?;
        return Ok(Some(TokenCaller {
            tenant: Some(number),
            token: ApiToken::read(row)?.value,
            has_enabled_tenant: tenant.enabled,
        }));
    }
    let row = models::<platform_token::Model>(&of_platform)?.pop();
    row.map(|row| {
        Ok(TokenCaller {
            tenant: None,
            token: PlatformToken::read(row)?.value.into(),
            has_enabled_tenant: true,
        })
    })
    .transpose()
}

/// Selects one column of a row, for another query.
fn select_column<E: EntityTrait>(row: Select<E>, column: impl ColumnTrait) -> SelectStatement {
    row.select_only().column(column).into_query()
}

fn tenant_in(numbers: SelectStatement) -> Select<tenant::Entity> {
    tenant::Entity::find().filter(tenant::Column::Id.in_subquery(numbers))
}
