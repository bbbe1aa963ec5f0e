//! Fallback for requests without a route: 405 if the path has other methods, otherwise 404.

use actix_web::dev::ResourceDef;
use actix_web::http::header::ALLOW;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::PathItem;

use super::problem::{Problem, ProblemCode};
use super::{ExposedApis, documentation};

/// Paths of the API with their methods.
pub(super) struct PathMethods(Vec<(ResourceDef, String)>);

impl PathMethods {
    pub(super) fn of(api: &OpenApi, exposed: ExposedApis) -> Self {
        let known = api
            .paths
            .paths
            .iter()
            .map(|(path, item)| (ResourceDef::new(path.as_str()), methods(item)));
        let documentation = documentation::PATHS
            .into_iter()
            .filter(|_| exposed.has_operations())
            .map(|path| (ResourceDef::new(path), "GET, HEAD".to_owned()));
        Self(known.chain(documentation).collect())
    }
}

fn methods(item: &PathItem) -> String {
    let named = [
        ("GET, HEAD", item.get.is_some()),
        ("POST", item.post.is_some()),
        ("PUT", item.put.is_some()),
        ("PATCH", item.patch.is_some()),
        ("DELETE", item.delete.is_some()),
    ];
    let present: Vec<_> = named
        .into_iter()
        .filter_map(|(name, there)| there.then_some(name))
        .collect();
    present.join(", ")
}

pub(super) async fn handle_unrouted(request: HttpRequest, known: web::Data<PathMethods>) -> HttpResponse {
    let path = known.0.iter().find(|(path, _)| path.is_match(request.path()));
    let Some((_, methods)) = path else {
        return Problem::not_found().error_response();
    };
    let detail = format!("this path supports {methods}");
    let mut response = Problem::new(ProblemCode::MethodNotAllowed, detail).error_response();
    if let Ok(allow) = methods.parse() {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}
