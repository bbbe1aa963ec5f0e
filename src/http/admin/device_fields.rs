//! Request fields of imported devices.

use std::borrow::Cow;

use utoipa::openapi::schema::{ArrayBuilder, OneOfBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::rule_fields::OrgScopeFields;
use crate::http::fields::FieldReader;
use crate::http::object::{BoundedVec, Object, OneOrMore};
use crate::http::problem::Problem;
use crate::http::request_fields::request;
use slipway_domain::catalog::device::{Device, MAX_IMPORTED_DEVICES, MAX_MEMBERSHIPS, OrgInfo};
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::text::{DeviceId, DeviceType, ProjectId};

request! {
    pub(super) struct ImportDevicesRequest {
        /// Devices to import, at most 100,000, each id once.
        devices: Required<BoundedVec<Object<ImportedDeviceFields>, MAX_IMPORTED_DEVICES>> as Vec<ImportedDeviceFields>,
    }
}

request! {
    /// Device to import. Absent and null fields keep their stored values.
    #[schema(as = ImportedDevice)]
    struct ImportedDeviceFields {
        /// Device id of 1 to 128 characters without control characters.
        #[schema(min_length = 1, max_length = 128, example = "PDA001")]
        device_id: Required<String>,
        #[schema(min_length = 1, max_length = 128, example = "hema-stores")]
        project_id: Required<String>,
        #[schema(min_length = 1, max_length = 128, example = "10013")]
        device_type: Nullable<String>,
        /// Org nodes that the device belongs to. An empty list removes them. Unlike in a check, a code has one spelling
        /// (`l1Code`), and JSON in a string is invalid.
        org_info: Nullable<OneOrMore<OrgScopeFields>> as OrgInfoSchema,
    }
}

/// Schema of `org_info`.
struct OrgInfoSchema;

impl PartialSchema for OrgInfoSchema {
    fn schema() -> RefOr<Schema> {
        let item = || Ref::from_schema_name(OrgScopeFields::name());
        OneOfBuilder::new()
            .item(item())
            .item(ArrayBuilder::new().items(item()).max_items(Some(MAX_MEMBERSHIPS)))
            .description(Some("One object of level codes, or a list of them."))
            .into()
    }
}

impl ToSchema for OrgInfoSchema {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("OrgInfo")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((OrgScopeFields::name().into_owned(), OrgScopeFields::schema()));
    }
}

impl ImportDevicesRequest {
    pub(super) fn read(self) -> Result<Vec<Device>, Problem> {
        let mut fields = FieldReader::default();
        let Some(BoundedVec(given)) = fields.required("devices", self.devices, Ok) else {
            return Err(fields.into_problem());
        };
        let mut devices = Vec::with_capacity(given.len());
        for (index, Object(device)) in given.into_iter().enumerate() {
            devices.extend(device.read(&format!("devices[{index}]"), &mut fields));
        }
        fields.finish()?;
        Ok(devices)
    }
}

impl ImportedDeviceFields {
    /// Reads one device; `place` is the path of the object in the body.
    fn read(self, place: &str, fields: &mut FieldReader) -> Option<Device> {
        let id = fields.required(&format!("{place}.device_id"), self.device_id, DeviceId::parse);
        let project = fields.required(&format!("{place}.project_id"), self.project_id, ProjectId::parse);
        let device_type = fields.optional(
            &format!("{place}.device_type"),
            self.device_type,
            DeviceType::parse,
        );
        let org_info = fields.optional(&format!("{place}.org_info"), self.org_info, read_org_info);
        Some(Device {
            id: id?,
            project,
            device_type,
            org_info,
        })
    }
}

fn read_org_info(OneOrMore(memberships): OneOrMore<OrgScopeFields>) -> Result<OrgInfo, Invalid> {
    let read: Result<Vec<_>, _> = memberships.into_iter().map(OrgScopeFields::read).collect();
    OrgInfo::new(read?)
}
