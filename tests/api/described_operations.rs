//! Operations of the API's description.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use super::harness::{Caller, TestApp};
use super::operations::{Objects, Operation};

/// An operation of the API's description.
pub(crate) struct DescribedOperation {
    pub(crate) id: String,
    pub(crate) method: Method,
    /// Path with placeholders, such as `/api/v1/tenants/{tenant_id}`.
    pub(crate) path: String,
    pub(crate) object: Value,
}

/// Returns the API's description as it is served.
pub(crate) fn document() -> &'static Value {
    slipway::http::openapi()
}

/// Returns every operation of the description.
pub(crate) fn described() -> Vec<DescribedOperation> {
    let document = document();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, object) in item.as_object().unwrap() {
            all.push(DescribedOperation {
                id: object["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                object: object.clone(),
            });
        }
    }
    all
}

impl DescribedOperation {
    /// Returns the indices of placeholders among the path's pieces between slashes.
    pub(crate) fn placeholders(&self) -> Vec<usize> {
        let pieces = self.path.split('/').enumerate();
        pieces
            .filter(|(_, piece)| piece.starts_with('{'))
            .map(|(index, _)| index)
            .collect()
    }

    fn matches(&self, operation: &Operation) -> bool {
        let path = operation.path.split('?').next().unwrap_or_default();
        let (template, path): (Vec<_>, Vec<_>) = (self.path.split('/').collect(), path.split('/').collect());
        self.method == operation.method
            && template.len() == path.len()
            && template
                .iter()
                .zip(&path)
                .all(|(piece, filled)| piece.starts_with('{') || piece == filled)
    }
}

/// Finds each operation of the table in the description. Fails if either has operations that the other lacks.
#[track_caller]
pub(crate) fn with_descriptions(table: Vec<Operation>) -> Vec<(Operation, DescribedOperation)> {
    let described = described();
    let in_table: BTreeSet<_> = table.iter().map(|operation| operation.id).collect();
    let in_document: BTreeSet<_> = described.iter().map(|operation| operation.id.as_str()).collect();
    assert_eq!(
        in_table, in_document,
        "tests/api/operations.rs must list every operation of the API"
    );
    assert_eq!(table.len(), described.len(), "an operation is listed twice");
    let find = |operation: &Operation| {
        let found = described
            .iter()
            .position(|described| described.id == operation.id);
        found.unwrap()
    };
    let mut order: Vec<_> = table.iter().map(find).collect();
    let mut described: Vec<_> = described.into_iter().map(Some).collect();
    order
        .drain(..)
        .zip(table)
        .map(|(index, operation)| {
            let described = described[index].take().unwrap();
            assert!(
                described.matches(&operation),
                "{} is {} {}",
                operation.id,
                described.method,
                described.path
            );
            (operation, described)
        })
        .collect()
}

/// Callers that together may call all operations.
pub(crate) struct Callers {
    platform: Caller,
    tenant: Caller,
    device_key: Caller,
    device: Caller,
    anyone: Caller,
    /// A second session, for use after a logout.
    signed_in_again: Caller,
}

impl Callers {
    pub(crate) async fn of(app: &TestApp, tenant: &Caller, objects: &Objects) -> Self {
        Self {
            platform: app.platform_admin().await,
            tenant: tenant.clone(),
            device_key: app.bearer(objects.device_key["device_key"].as_str().unwrap()),
            device: app.bearer(&objects.device_token),
            anyone: app.anyone(),
            signed_in_again: app.platform_admin().await,
        }
    }

    /// Returns the caller with the credential that the operation requires.
    pub(crate) fn of_operation(&self, operation: &DescribedOperation) -> &Caller {
        let demanded = operation.object["security"].as_array();
        let has =
            |scheme: &str| demanded.is_some_and(|all| all.iter().any(|demand| demand.get(scheme).is_some()));
        if operation.id == "change_password" {
            &self.signed_in_again
        } else if has("device_key") {
            &self.device_key
        } else if has("device_token") {
            &self.device
        } else if demanded.is_some() {
            &self.anyone
        } else if operation.path.starts_with("/api/v1/tenants/{tenant_id}/") {
            &self.tenant
        } else {
            &self.platform
        }
    }
}

/// Returns the schema that a reference names, or the schema itself.
pub(crate) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let pointer = schema["$ref"].as_str().map(|text| text.trim_start_matches('#'));
    pointer.map_or(schema, |pointer| document.pointer(pointer).unwrap())
}
