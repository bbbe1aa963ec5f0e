//! Problem responses, defined once and referred to by the operations.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::{Ref, RefOr, Response};
use utoipa::{IntoResponses, ToSchema};

use crate::http::problem::{INTERNAL_DETAIL, PROBLEM_JSON, ProblemCode, ProblemDocument};

/// Header by its name, type and description.
type HeaderText = (&'static str, &'static str, &'static str);

/// Problem response of one status.
struct ProblemResponse {
    status: u16,
    /// Name among the components.
    name: &'static str,
    description: &'static str,
    /// Code of the example.
    code: ProblemCode,
    detail: &'static str,
    headers: &'static [HeaderText],
}

/// Problems that any read may return.
pub(in crate::http) struct ReadProblems;

/// Problems that any write may return.
pub(in crate::http) struct WriteProblems;

/// Problems that an upload may return.
pub(in crate::http) struct UploadProblems;

/// Problems that a download may return.
pub(in crate::http) struct DownloadProblems;

/// Problems that a page of a download link may return.
pub(in crate::http) struct PageProblems;

/// Problems of the operations that are open to everybody and read no data.
pub(in crate::http) struct OperationsProblems;

impl IntoResponses for OperationsProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references(&[405, 500])
    }
}

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references(&[400, 401, 403, 404, 405, 429, 500, 503])
    }
}

impl IntoResponses for WriteProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references(&[
            400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 422, 429, 500, 503,
        ])
    }
}

impl IntoResponses for UploadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references(&[
            400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 429, 500, 503, 507,
        ])
    }
}

impl IntoResponses for DownloadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references(&[404, 405, 412, 416, 500, 503])
    }
}

impl IntoResponses for PageProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references(&[404, 405, 500, 503])
    }
}

fn references(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    PROBLEMS
        .iter()
        .filter(|problem| statuses.contains(&problem.status))
        .map(|problem| {
            let reference = Ref::from_response_name(problem.name);
            (problem.status.to_string(), RefOr::Ref(reference))
        })
        .collect()
}

/// Adds the responses to the components.
pub(super) fn complete(document: &mut Value) {
    for problem in PROBLEMS {
        document["components"]["responses"][problem.name] = problem.response();
    }
}

impl ProblemResponse {
    fn response(&self) -> Value {
        let schema = json!({"$ref": format!("#/components/schemas/{}", ProblemDocument::name())});
        let mut response = json!({
            "description": self.description,
            "content": {PROBLEM_JSON: {"schema": schema, "example": self.example()}},
        });
        for (name, kind, description) in self.headers {
            response["headers"][*name] = json!({"description": description, "schema": {"type": kind}});
        }
        response
    }

    fn example(&self) -> Value {
        let code = self.code;
        let errors = match code {
            ProblemCode::InvalidParameter => {
                json!([{"field": "md5", "code": "invalid", "message": "must be 32 hexadecimal digits"}])
            }
            _ => json!([]),
        };
        json!({
            "type": format!("urn:slipway:problem:{}", code.as_str()),
            "title": code.title(),
            "status": code.status().as_u16(),
            "detail": self.detail,
            "code": code.as_str(),
            "errors": errors,
        })
    }
}

const RETRY_AFTER: HeaderText = (
    "Retry-After",
    "integer",
    "Seconds to wait before the next attempt.",
);

const PROBLEMS: &[ProblemResponse] = &[
    ProblemResponse {
        status: 400,
        name: "InvalidParameter",
        description: "Invalid fields, listed in `errors`",
        code: ProblemCode::InvalidParameter,
        detail: "md5 must be 32 hexadecimal digits",
        headers: &[],
    },
    ProblemResponse {
        status: 401,
        name: "Unauthenticated",
        description: "Missing or invalid credential",
        code: ProblemCode::Unauthenticated,
        detail: "the credential is missing, unknown, expired or revoked",
        headers: &[("WWW-Authenticate", "string", "Accepted scheme: `Bearer`.")],
    },
    ProblemResponse {
        status: 403,
        name: "PermissionDenied",
        description: "Permission denied",
        code: ProblemCode::PermissionDenied,
        detail: "the role of the caller does not permit this operation",
        headers: &[],
    },
    ProblemResponse {
        status: 404,
        name: "NotFound",
        description: "Not found, or owned by another tenant",
        code: ProblemCode::NotFound,
        detail: "the path or object does not exist, or is not accessible; check the path and its ids",
        headers: &[],
    },
    ProblemResponse {
        status: 405,
        name: "MethodNotAllowed",
        description: "The path does not support the method",
        code: ProblemCode::MethodNotAllowed,
        detail: "this path supports GET, HEAD, POST",
        headers: &[("Allow", "string", "Methods that the path supports.")],
    },
    ProblemResponse {
        status: 408,
        name: "RequestTimeout",
        description: "Body not received in time; the connection is closed",
        code: ProblemCode::RequestTimeout,
        detail: "the body did not arrive in time",
        headers: &[],
    },
    ProblemResponse {
        status: 409,
        name: "Conflict",
        description: "Already exists, wrong state or version conflict; `code` names the reason",
        code: ProblemCode::WrongState,
        detail: "the release is a draft; publish it first",
        headers: &[],
    },
    ProblemResponse {
        status: 412,
        name: "PreconditionFailed",
        description: "Object changed since the `ETag` in `If-Match`",
        code: ProblemCode::Stale,
        detail: "the object has changed; read it again",
        headers: &[],
    },
    ProblemResponse {
        status: 413,
        name: "TooLarge",
        description: "Body too large",
        code: ProblemCode::TooLarge,
        detail: "the body is larger than 1048576 bytes",
        headers: &[],
    },
    ProblemResponse {
        status: 415,
        name: "UnsupportedMediaType",
        description: "Body with a type other than JSON, or with a content coding",
        code: ProblemCode::UnsupportedMediaType,
        detail: "send the body as Content-Type: application/json",
        headers: &[("Accept-Encoding", "string", "Accepted coding: `identity`.")],
    },
    ProblemResponse {
        status: 416,
        name: "RangeNotSatisfiable",
        description: "Range outside of the file",
        code: ProblemCode::RangeNotSatisfiable,
        detail: "the file has 1048576 bytes",
        headers: &[("Content-Range", "string", "Size of the file: `bytes */1048576`.")],
    },
    ProblemResponse {
        status: 422,
        name: "IdempotencyKeyReused",
        description: "`Idempotency-Key` already used with another body",
        code: ProblemCode::IdempotencyKeyReused,
        detail: "the Idempotency-Key was used with another body",
        headers: &[],
    },
    ProblemResponse {
        status: 429,
        name: "RateLimited",
        description: "Too many requests; see `Retry-After`",
        code: ProblemCode::RateLimited,
        detail: "too many requests; retry later",
        headers: &[RETRY_AFTER],
    },
    ProblemResponse {
        status: 500,
        name: "Internal",
        description: "Unexpected error, logged under the request id",
        code: ProblemCode::Internal,
        detail: INTERNAL_DETAIL,
        headers: &[],
    },
    ProblemResponse {
        status: 503,
        name: "Unavailable",
        description: "Temporarily unavailable; see `Retry-After`",
        code: ProblemCode::Unavailable,
        detail: "the database did not respond in time; retry later",
        headers: &[RETRY_AFTER],
    },
    ProblemResponse {
        status: 507,
        name: "InsufficientStorage",
        description: "The tenant's quota or the artifact store is full",
        code: ProblemCode::InsufficientStorage,
        detail: "the artifacts of the tenant would exceed its quota",
        headers: &[],
    },
];
