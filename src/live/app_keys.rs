//! Gateway keys of all tenants, indexed by the text that clients send.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use arc_swap::ArcSwapOption;
use foldhash::quality::RandomState;

use super::published::{LiveAppKey, PublishedTenant};
use slipway_domain::catalog::short_text::ShortText;

/// Gateway key with what verifying a call reads, in one allocation.
pub struct ServedAppKey {
    pub key: LiveAppKey,
    pub tenant: Arc<PublishedTenant>,
    /// Day of the last recorded use of the key, in days since 1970.
    pub recorded_day: AtomicI64,
}

/// Index of all gateway keys. A catalog change of a tenant swaps the slots of its keys.
#[derive(Default)]
pub(super) struct AppKeyIndex(papaya::HashMap<ShortText, ArcSwapOption<ServedAppKey>, RandomState>);

impl AppKeyIndex {
    pub(super) fn get(&self, app_key: &str) -> Option<Arc<ServedAppKey>> {
        self.0.pin().get(app_key)?.load_full()
    }

    /// Serves the keys that a tenant has now, and removes those that it has lost.
    pub(super) fn replace(&self, before: Option<&PublishedTenant>, after: Option<&Arc<PublishedTenant>>) {
        let index = self.0.pin();
        for key in before.into_iter().flat_map(|before| &before.app_keys) {
            let is_gone = after.is_none_or(|after| !after.has_app_key(key.app_key()));
            // A removed slot may stay in memory for a while, and must not hold the tenant.
            if is_gone && let Some(slot) = index.remove(key.app_key()) {
                slot.store(None);
            }
        }
        let Some(tenant) = after else { return };
        for key in &tenant.app_keys {
            let slot = index.get_or_insert_with(key.app_key.clone(), ArcSwapOption::empty);
            slot.store(Some(Arc::new(ServedAppKey {
                key: key.clone(),
                tenant: tenant.clone(),
                recorded_day: AtomicI64::new(i64::MIN),
            })));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::published::TenantParts;
    use slipway_domain::access::AppKeyRole;
    use slipway_domain::catalog::artifact::ArtifactQuota;
    use slipway_domain::catalog::download_urls::DownloadUrls;
    use slipway_domain::catalog::enrolment::EnrolmentPolicy;
    use slipway_domain::catalog::ids::{KeyId, TenantId};
    use slipway_domain::catalog::org::OrgDirectory;
    use slipway_domain::catalog::push::UrlSchemes;
    use slipway_domain::catalog::revision::CatalogRevision;
    use slipway_domain::catalog::tenant::Tenant;
    use slipway_domain::catalog::text::Name;

    fn tenant(app_keys: &[&str]) -> Arc<PublishedTenant> {
        let app_key = |name: &&str| LiveAppKey {
            app_key: (*name).into(),
            id: crate::random::id::<KeyId>(),
            role: AppKeyRole::Operator,
            expires_at: None,
            secrets: std::iter::once("a secret".into()).collect(),
            sealed: [].into(),
        };
        Arc::new(PublishedTenant::new(TenantParts {
            revision: CatalogRevision {
                revision: 1,
                head: "0123456789abcdef".to_owned(),
            },
            tenant: Tenant {
                id: TenantId::parse(10_000_000).unwrap(),
                name: Name::parse("A tenant").unwrap(),
                enabled: true,
                offers_enabled: true,
                push_url_schemes: UrlSchemes::default(),
                enrolment: EnrolmentPolicy::Code,
                artifact_quota: ArtifactQuota::default(),
            },
            download_urls: DownloadUrls::new(None).unwrap(),
            directory_etag: None,
            directory: OrgDirectory::new::<&str>([]).into(),
            device_keys: Vec::new(),
            app_keys: app_keys.iter().map(app_key).collect(),
            apps: Vec::new(),
        }))
    }

    #[test]
    fn a_key_is_found_with_the_newest_catalog_of_its_tenant() {
        let index = AppKeyIndex::default();
        let (before, after) = (tenant(&["1", "2"]), tenant(&["2", "3"]));
        index.replace(None, Some(&before));
        let found = index.get("2").unwrap();
        assert!(Arc::ptr_eq(&found.tenant, &before));
        assert_eq!(found.key.secrets().collect::<Vec<_>>(), ["a secret"]);
        index.replace(Some(&before), Some(&after));
        assert!(index.get("1").is_none());
        for name in ["2", "3"] {
            assert!(Arc::ptr_eq(&index.get(name).unwrap().tenant, &after), "{name}");
        }
    }

    #[test]
    fn lost_keys_do_not_hold_their_tenant() {
        let index = AppKeyIndex::default();
        let only = tenant(&["1", "2"]);
        index.replace(None, Some(&only));
        assert_eq!(Arc::strong_count(&only), 3);
        index.replace(Some(&only), None);
        assert!(index.get("1").is_none() && index.get("2").is_none());
        assert_eq!(Arc::strong_count(&only), 1);
    }
}
