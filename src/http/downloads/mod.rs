//! Downloads of artifacts, and the pages for people. They need no credential: the key in the path is one.

mod conditions;
mod page;
mod qr;
mod ranges;
mod send;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, get, web};
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) use self::send::{DownloadKind, send};
use super::openapi::DownloadProblems;
use super::problem::Problem;
use crate::services::artifacts;
use crate::services::{Context, ServiceError};

/// Registers the routes of downloads.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(download_artifact)
        .service(get_download_page)
        .service(get_download_qr_svg)
        .service(get_download_qr_png)
        .route("/get/{key}/icon", web::get().to(send_icon));
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its schema is used")]
struct DownloadPath {
    /// Key of the download link: 26 characters of base32.
    key: String,
    /// Name of the file, for people; any name downloads the same content.
    filename: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its schema is used")]
struct DownloadPagePath {
    /// Key of the download link: 26 characters of base32.
    key: String,
}

/// Download an artifact
///
/// Supports ranges and conditional requests (RFC 9110). With redirects enabled, the response is a 302 to the store.
#[utoipa::path(tag = "artifacts", operation_id = "download_artifact", security(()), params(DownloadPath),
    responses((status = 200, description = "The file", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "The requested range of the file"),
        (status = 302, description = "The file is at another address, for an hour"), DownloadProblems))]
#[get("/dl/{key}/{filename}")]
pub(super) async fn download_artifact(
    request: HttpRequest,
    ctx: web::Data<Context>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let found = artifacts::find_link(&ctx, &path.0).await?;
    send(&ctx, &request, &found, DownloadKind::Public).await
}

/// Get the page of a download
///
/// In English or Chinese, by `Accept-Language`.
#[utoipa::path(tag = "artifacts", operation_id = "get_download_page", security(()), params(DownloadPagePath),
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), DownloadProblems))]
#[get("/get/{key}")]
pub(super) async fn get_download_page(
    request: HttpRequest,
    ctx: web::Data<Context>,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let found = artifacts::find_link(&ctx, &key).await?;
    let facts = artifacts::page_facts(&ctx, &found).await?;
    let language = page::Language::of(&request);
    page::render(&ctx, &found.artifact.value, facts.as_ref(), language)
}

/// Sends the icon of a page, of which it is a part.
async fn send_icon(ctx: web::Data<Context>, key: web::Path<String>) -> Result<HttpResponse, Problem> {
    let found = artifacts::find_link(&ctx, &key).await?;
    let (media_type, bytes) = artifacts::open_icon(&ctx, &found)
        .await?
        .ok_or_else(Problem::not_found)?;
    Ok(image(media_type, bytes))
}

/// Get the QR code of a download page as SVG
#[utoipa::path(tag = "artifacts", operation_id = "get_download_qr_svg", security(()), params(DownloadPagePath),
    responses((status = 200, description = "QR code of the page's URL", body = String, content_type = "image/svg+xml"), DownloadProblems))]
#[get("/get/{key}/qr.svg")]
pub(super) async fn get_download_qr_svg(
    ctx: web::Data<Context>,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let code = page_code(&ctx, &key).await?;
    Ok(image("image/svg+xml", qr::svg(&code)))
}

/// Get the QR code of a download page as PNG
#[utoipa::path(tag = "artifacts", operation_id = "get_download_qr_png", security(()), params(DownloadPagePath),
    responses((status = 200, description = "QR code of the page's URL", body = Vec<u8>, content_type = "image/png"), DownloadProblems))]
#[get("/get/{key}/qr.png")]
pub(super) async fn get_download_qr_png(
    ctx: web::Data<Context>,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let code = page_code(&ctx, &key).await?;
    Ok(image("image/png", qr::png(&code)))
}

/// Returns the QR code of a page. Without a public URL there is none.
async fn page_code(ctx: &Context, key: &str) -> Result<fast_qr::QRCode, Problem> {
    let found = artifacts::find_link(ctx, key).await?;
    let url = ctx.artifacts().page_url(&found.artifact.value.link.key);
    let url = url.ok_or(ServiceError::NotFound("public URL"))?;
    qr::encode(&url).ok_or_else(Problem::internal)
}

fn image(media_type: &'static str, body: impl actix_web::body::MessageBody + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(media_type)
        .insert_header((CACHE_CONTROL, "public, max-age=86400"))
        .insert_header((
            "Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        ))
        .body(body)
}
