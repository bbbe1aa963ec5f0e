//! Baseline servers for comparison: the same web framework with a minimal handler.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::web::{Bytes, Data, Form, Json, PayloadConfig};
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context as _, bail};
use clap::ValueEnum;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Query;
use sea_orm::{ConnectOptions, Database, DatabaseConnection, ExprTrait as _, QueryOrder, QuerySelect};
use serde_json::Value;

use crate::arguments::{self, BaselineKind};
use crate::process::{Process, SERVER_CORE, free_address, on_core};

/// Number of database connections, as many as the program has.
const DATABASE_CONNECTIONS: u32 = 16;

/// A baseline server in its own process, on the server's core.
pub(crate) struct Baseline {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
}

impl Baseline {
    pub(crate) fn start(
        kind: BaselineKind,
        answer_bytes: usize,
        database_url: Option<&str>,
    ) -> anyhow::Result<Self> {
        let address = free_address()?;
        let kind = kind.to_possible_value().context("every kind has a name")?;
        let mut command: Command = on_core(SERVER_CORE, std::env::current_exe()?);
        command
            .args([
                "baseline",
                "--listen",
                &address.to_string(),
                "--kind",
                kind.get_name(),
            ])
            .args(["--answer-bytes", &answer_bytes.to_string()]);
        if let Some(url) = database_url {
            command.args(["--database-url", url]);
        }
        let process = Process::start(&mut command)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(address).is_err() {
            if Instant::now() > deadline {
                bail!("a baseline does not start");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { address, process })
    }
}

/// Body of every answer.
struct Answer(Bytes);

impl Answer {
    fn respond(&self) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header((
                CONTENT_TYPE,
                HeaderValue::from_static("application/json;charset=UTF-8"),
            ))
            .body(self.0.clone())
    }
}

/// Serves until it is killed.
pub(crate) fn serve(settings: &arguments::Baseline) -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(async {
        let answer = Data::new(Answer("x".repeat(settings.answer_bytes).into()));
        let database = match &settings.database_url {
            Some(url) => Some(Data::new(connect(url).await?)),
            None => None,
        };
        let kind = settings.kind;
        let server = HttpServer::new(move || {
            let app = App::new()
                .app_data(answer.clone())
                .app_data(PayloadConfig::new(1 << 20))
                .route("/v1/check", web::post().to(answer_json));
            match kind {
                BaselineKind::Stock => app.route("/router/rest", web::post().to(answer_form)),
                BaselineKind::Borrowing => app.route("/router/rest", web::post().to(answer_borrowed_form)),
                BaselineKind::Query => app
                    .app_data(database.clone().expect("the query has a database"))
                    .route("/router/rest", web::post().to(answer_query)),
            }
        });
        server.workers(1).bind(settings.listen)?.run().await?;
        Ok(())
    })
}

async fn answer_json(answer: Data<Answer>, value: Json<Value>) -> HttpResponse {
    std::hint::black_box(&value);
    answer.respond()
}

async fn answer_form(answer: Data<Answer>, form: Form<HashMap<String, String>>) -> HttpResponse {
    std::hint::black_box(&form);
    answer.respond()
}

async fn answer_borrowed_form(answer: Data<Answer>, body: Bytes) -> HttpResponse {
    let pairs: Vec<_> = form_urlencoded::parse(&body).collect();
    std::hint::black_box(&pairs);
    answer.respond()
}

/// Answers with the newest release of the app itself, ignoring all other rules.
async fn answer_query(
    answer: Data<Answer>,
    database: Data<DatabaseConnection>,
    form: Form<HashMap<String, String>>,
) -> HttpResponse {
    match newest(&database, &form).await {
        Ok(Some(release)) => {
            std::hint::black_box(&release);
            answer.respond()
        }
        _ => HttpResponse::InternalServerError().finish(),
    }
}

async fn newest(
    database: &DatabaseConnection,
    form: &HashMap<String, String>,
) -> Result<Option<Model>, DbErr> {
    let text = |name: &str| form.get(name).map_or("", String::as_str);
    let tenant: i64 = text("tenant_id").parse().unwrap_or(0);
    let app = Query::select()
        .column("app_id")
        .from("package_names")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("name").eq(text("package_name")))
        .take();
    Entity::find()
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::AppId.in_subquery(app))
        .filter(Column::Identifier.eq(text("package_name")))
        .filter(Column::State.eq("published"))
        .order_by_desc(Column::VersionCode)
        .limit(1)
        .one(database)
        .await
}

async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(DATABASE_CONNECTIONS).sqlx_logging(false);
    Database::connect(options).await
}

/// Columns that an answer needs.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "releases")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) tenant_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) app_id: Uuid,
    pub(crate) identifier: String,
    pub(crate) version_code: i64,
    pub(crate) version_name: String,
    pub(crate) state: String,
    pub(crate) download_url: String,
    pub(crate) size: i64,
    pub(crate) md5: String,
    pub(crate) update_desc: String,
    pub(crate) auto_install: bool,
    pub(crate) config_json: String,
}

impl ActiveModelBehavior for ActiveModel {}
