//! Request fields of a push; the same structure as `req` in the gateway's method.

use crate::http::fields::FieldReader;
use crate::http::object::{BoundedVec, Object};
use crate::http::problem::Problem;
use crate::http::push_members::name_of;
use crate::http::request_fields::request;
use crate::services::ServiceError;
use crate::services::pushes::PushRefusal;
use slipway_domain::catalog::field::{FieldError, Invalid};
use slipway_domain::catalog::push::{
    MAX_LISTED_TARGETS, PushContent, PushRequest, PushTarget, PushTargets, RepeatKey,
};
use slipway_domain::catalog::text::{
    DeviceId, MiniAppId, MiniAppType, ProjectId, PushAction, PushUrl, TraceId,
};

request! {
    pub(super) struct CreatePushRequest {
        /// Target devices, 1 to 1,000; duplicates count once. The list has at most 10,000 entries.
        #[schema(min_items = 1, max_items = 10_000)]
        target_info: Required<BoundedVec<Object<PushTargetFields>, MAX_LISTED_TARGETS>> as Vec<PushTargetFields>,
        package_push_info: Required<Object<PackagePushInfoFields>> as PackagePushInfoFields,
        /// Purpose of the push. A `preview` expires earlier than other actions.
        #[schema(min_length = 1, max_length = 128, example = "preview")]
        action: Required<String>,
        /// Sender's id for the push. A push with the same id and content within ten minutes counts as a repeat.
        #[schema(min_length = 1, max_length = 128, example = "build-4711")]
        trace_id: Nullable<String>,
        /// Address of the sources; its scheme must be allowed by the tenant.
        #[schema(min_length = 1, max_length = 2048, example = "https://git.example/demo")]
        source_url: Nullable<String>,
    }
}

request! {
    #[schema(as = PushTarget)]
    struct PushTargetFields {
        /// Device id.
        #[schema(min_length = 1, max_length = 128, example = "PDA001")]
        hardware_id: Required<String>,
        /// Project of the device.
        #[schema(min_length = 1, max_length = 128, example = "hema-stores")]
        project_id: Required<String>,
    }
}

request! {
    #[schema(as = PackagePushInfo)]
    struct PackagePushInfoFields {
        /// Address of the package for the device; its scheme must be allowed by the tenant.
        #[schema(min_length = 1, max_length = 2048, example = "https://files.example/demo.amr")]
        pack_url: Required<String>,
        #[schema(min_length = 1, max_length = 128, example = "tinyApp")]
        app_type: Required<String>,
        #[schema(min_length = 1, max_length = 128, example = "2021001")]
        app_id: Required<String>,
    }
}

/// Parsed push, with its targets as listed in the request.
pub(super) struct ParsedPush {
    pub(super) request: PushRequest,
    pub(super) listed: Vec<PushTarget>,
}

impl CreatePushRequest {
    pub(super) fn read(self) -> Result<ParsedPush, Problem> {
        let mut fields = FieldReader::default();
        let listed = fields
            .required("target_info", self.target_info, Ok)
            .map(|BoundedVec(given)| read_targets(given, &mut fields));
        let Object(info) = fields
            .required("package_push_info", self.package_push_info, Ok)
            .unwrap_or_default();
        let is_info_given = !fields.has_error("package_push_info");
        let info = is_info_given.then(|| info.read(&mut fields)).flatten();
        let action = fields.required("action", self.action, PushAction::parse);
        let trace_id = fields.optional("trace_id", self.trace_id, TraceId::parse);
        let source_url = fields.optional("source_url", self.source_url, PushUrl::parse);
        let (Some(Some(listed)), Some(info), Some(action)) = (listed, info, action) else {
            return Err(fields.into_problem());
        };
        let Some(targets) = fields.record("target_info", PushTargets::new(listed.clone())) else {
            return Err(fields.into_problem());
        };
        fields.finish()?;
        let (pack_url, app_type, app_id) = info;
        let content = PushContent {
            action,
            app_id,
            app_type,
            pack_url,
            source_url,
            trace_id,
        };
        let request = PushRequest {
            content,
            targets,
            context: None,
            repeat_key: RepeatKey::ByTraceId,
        };
        Ok(ParsedPush { request, listed })
    }
}

/// Reads the listed targets; `None` if any of them is invalid.
fn read_targets(given: Vec<Object<PushTargetFields>>, fields: &mut FieldReader) -> Option<Vec<PushTarget>> {
    let count = given.len();
    let mut listed = Vec::with_capacity(count);
    for (index, Object(target)) in given.into_iter().enumerate() {
        let place = format!("target_info[{index}]");
        let device = fields.required(
            &format!("{place}.hardware_id"),
            target.hardware_id,
            DeviceId::parse,
        );
        let project = fields.required(
            &format!("{place}.project_id"),
            target.project_id,
            ProjectId::parse,
        );
        listed.extend(
            device
                .zip(project)
                .map(|(device, project)| PushTarget { device, project }),
        );
    }
    (listed.len() == count).then_some(listed)
}

impl PackagePushInfoFields {
    fn read(self, fields: &mut FieldReader) -> Option<(PushUrl, MiniAppType, MiniAppId)> {
        let inside = |name: &str| format!("package_push_info.{name}");
        let pack_url = fields.required(&inside("pack_url"), self.pack_url, PushUrl::parse);
        let app_type = fields.required(&inside("app_type"), self.app_type, MiniAppType::parse);
        let app_id = fields.required(&inside("app_id"), self.app_id, MiniAppId::parse);
        Some((pack_url?, app_type?, app_id?))
    }
}

/// Converts a refusal into an error that names the fields of the request.
pub(super) fn explain(refusal: PushRefusal, listed: &[PushTarget]) -> ServiceError {
    match refusal {
        PushRefusal::Failed(error) => error,
        PushRefusal::Schemes(urls) => {
            let why = Invalid::new("must begin with a scheme that the tenant allows");
            let errors = urls.into_iter().map(|url| why.clone().at(name_of(url)));
            ServiceError::Invalid(errors.collect())
        }
        PushRefusal::UnknownDevices(unknown) => {
            let is_unknown = |(_, target): &(usize, &PushTarget)| unknown.contains(target);
            let named = listed.iter().enumerate().filter(is_unknown);
            ServiceError::Invalid(
                named
                    .map(|(index, target)| unknown_device(index, target))
                    .collect(),
            )
        }
    }
}

fn unknown_device(index: usize, target: &PushTarget) -> FieldError {
    FieldError::invalid(
        format!("target_info[{index}].hardware_id"),
        format!(
            "must be a device that is known in the project {}; {} is not",
            target.project, target.device
        ),
    )
}
