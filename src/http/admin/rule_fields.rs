//! Request fields of org scopes and attribute rules.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::value_schemas::{RuleOperandValue, RuleOperatorValue};
use slipway_domain::catalog::attribute::{AttributeRule, RuleOp};
use slipway_domain::catalog::field::Invalid;
use slipway_domain::catalog::json::JsonText;
use slipway_domain::catalog::org::{Level, LevelCodes, OrgCode, OrgScope};

/// Level codes: any subset of the levels, at least one.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = OrgScope, example = json!({"l1Code": "HM", "l2Code": "HM-SH", "l3Code": "8007"}))]
#[expect(
    clippy::struct_field_names,
    reason = "named as in the seed, in camelCase on the wire"
)]
pub(super) struct OrgScopeFields {
    #[schema(min_length = 1, max_length = 128)]
    l1_code: Option<String>,
    #[schema(min_length = 1, max_length = 128)]
    l2_code: Option<String>,
    #[schema(min_length = 1, max_length = 128)]
    l3_code: Option<String>,
    #[schema(min_length = 1, max_length = 128)]
    l4_code: Option<String>,
    #[schema(min_length = 1, max_length = 128)]
    l5_code: Option<String>,
}

impl OrgScopeFields {
    pub(super) fn read(self) -> Result<OrgScope, Invalid> {
        let given = [
            self.l1_code,
            self.l2_code,
            self.l3_code,
            self.l4_code,
            self.l5_code,
        ];
        let mut codes = LevelCodes::default();
        for (level, code) in Level::all().zip(given) {
            if let Some(code) = code {
                let code = OrgCode::parse(&code).map_err(|why| Invalid::new(format!("{level}Code {why}")))?;
                codes.set(level, code.as_str());
            }
        }
        OrgScope::new(codes)
    }
}

/// Rule on an attribute sent by the device.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AttributeRule, example = json!({"name": "webview", "op": "semver", "value": ">=8.0, <12"}))]
pub(super) struct AttributeRuleFields {
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// Operator.
    #[schema(value_type = RuleOperatorValue)]
    op: String,
    /// Operand: an array of scalars for `in` and `not_in`, a number for `gt`, `ge`, `lt` and `le`, a SemVer requirement
    /// for `semver`, a boolean for `exists`, otherwise a scalar.
    #[schema(value_type = RuleOperandValue)]
    value: JsonText,
}

impl AttributeRuleFields {
    pub(super) fn read(self) -> Result<AttributeRule, Invalid> {
        let op = RuleOp::parse(&self.op).map_err(|why| Invalid::new(format!("op {why}")))?;
        AttributeRule::new(self.name, op, self.value)
    }
}
