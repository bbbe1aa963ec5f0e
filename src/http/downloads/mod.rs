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
use super::openapi::{DownloadProblems, IfNoneMatch, PageProblems};
use super::problem::Problem;
use super::value_schemas::BinaryValue;
use crate::services::artifacts;
use crate::services::{Context, ServiceError};
use slipway_domain::catalog::artifact::DownloadKey;

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
    #[param(example = "mfrggzdfmztwq2lknnwg23tpoa")]
    key: String,
    /// Name of the file, for people; any name downloads the same content.
    #[param(example = "wms-1.1.10.apk")]
    filename: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its schema is used")]
struct DownloadPagePath {
    /// Key of the download link: 26 characters of base32.
    #[param(example = "mfrggzdfmztwq2lknnwg23tpoa")]
    key: String,
}

/// Download an artifact
///
/// Supports ranges and conditional requests (RFC 9110). With redirects enabled, the response is a 302 to the store.
#[utoipa::path(tag = "artifacts", operation_id = "download_artifact", security(()), params(DownloadPath, IfNoneMatch),
    responses((status = 200, description = "The file", body = inline(BinaryValue), content_type = "application/octet-stream"),
        (status = 206, description = "The requested range of the file", body = inline(BinaryValue), content_type = "application/octet-stream"),
        (status = 304, description = "`If-None-Match` contains the current `ETag`"),
        (status = 302, description = "The file is at another address, for an hour"), DownloadProblems))]
#[get("/dl/{key}/{filename}")]
pub(super) async fn download_artifact(
    request: HttpRequest,
    ctx: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    let found = artifacts::find_link(&ctx, &key_of(&request)?).await?;
    send(&ctx, &request, &found, DownloadKind::Public).await
}

/// Get the page of a download
///
/// In English or Chinese, by `Accept-Language`.
#[utoipa::path(tag = "artifacts", operation_id = "get_download_page", security(()), params(DownloadPagePath),
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), PageProblems))]
#[get("/get/{key}")]
pub(super) async fn get_download_page(
    request: HttpRequest,
    ctx: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    let found = artifacts::find_link(&ctx, &key_of(&request)?).await?;
    let facts = artifacts::page_facts(&ctx, &found).await?;
    let language = page::accepted_language(&request);
    page::render(&ctx, &found.artifact.value, facts.as_ref(), language)
}

/// Sends the icon of a page, of which it is a part.
async fn send_icon(request: HttpRequest, ctx: web::Data<Context>) -> Result<HttpResponse, Problem> {
    let found = artifacts::find_link(&ctx, &key_of(&request)?).await?;
    let (media_type, bytes) = artifacts::open_icon(&ctx, &found)
        .await?
        .ok_or_else(Problem::not_found)?;
    Ok(image(media_type, bytes))
}

/// Get the QR code of a download page as SVG
///
/// The code contains the address of the page for people.
#[utoipa::path(tag = "artifacts", operation_id = "get_download_qr_svg", security(()), params(DownloadPagePath),
    responses((status = 200, description = "QR code of the page's URL", body = String, content_type = "image/svg+xml"), PageProblems))]
#[get("/get/{key}/qr.svg")]
pub(super) async fn get_download_qr_svg(
    request: HttpRequest,
    ctx: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    let code = page_code(&ctx, &request).await?;
    Ok(image("image/svg+xml", qr::svg(&code)))
}

/// Get the QR code of a download page as PNG
///
/// The code contains the address of the page for people.
#[utoipa::path(tag = "artifacts", operation_id = "get_download_qr_png", security(()), params(DownloadPagePath),
    responses((status = 200, description = "QR code of the page's URL", body = inline(BinaryValue), content_type = "image/png"), PageProblems))]
#[get("/get/{key}/qr.png")]
pub(super) async fn get_download_qr_png(
    request: HttpRequest,
    ctx: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    let code = page_code(&ctx, &request).await?;
    Ok(image("image/png", qr::png(&code)))
}

/// Returns the key in the path of a request. A malformed key looks like an unknown one.
fn key_of(request: &HttpRequest) -> Result<DownloadKey, Problem> {
    let key = request.match_info().get("key").unwrap_or_default();
    DownloadKey::parse(key).map_err(|_| Problem::not_found())
}

/// Returns the QR code of a page. Without a public URL there is none.
async fn page_code(ctx: &Context, request: &HttpRequest) -> Result<fast_qr::QRCode, Problem> {
    let found = artifacts::find_link(ctx, &key_of(request)?).await?;
    let url = ctx.download_urls().page(&found.artifact.value.link.key);
    let url = url.ok_or(ServiceError::NotFound("public URL"))?;
    qr::encode(url.as_str()).ok_or_else(Problem::internal)
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
