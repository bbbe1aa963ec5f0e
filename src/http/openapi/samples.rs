//! Sample values of fields, by their names. All examples of the document are about the same tenant, app and device.

use serde_json::{Value, json};

/// Returns the sample value of a field.
#[expect(
    clippy::match_same_arms,
    reason = "a table in the order of the fields' meaning"
)]
pub(super) fn sample(field: &str) -> Option<Value> {
    Some(match field {
        "tenant_id" => json!(10_000_000),
        "package_name" => json!("com.hema.wms"),
        "app_name" => json!("Hema WMS"),
        "identifier" => json!("com.hema.wms.chuku"),
        "old_package_name" => json!(""),
        "old_package_names" => json!(["com.hema.wms.old"]),
        "device_id" | "hardware_id" => json!("HM8007PDA001"),
        "device_type" => json!("10013"),
        "device_types" => json!(["10013"]),
        "device_ids" => json!(["HM8007PDA001"]),
        "project_id" => json!("hema-stores"),
        "old_versions" => json!({"com.hema.wms.chuku": 230}),
        "attributes" => json!({"abi": "arm64-v8a"}),
        "connected" | "enrolled" | "enabled" | "offers_enabled" | "loaded" | "succeed" | "auto_install"
        | "keep" => {
            json!(true)
        }
        "floor" | "mandatory" | "force" | "publish" | "stale" | "repair_on_mismatch" => json!(false),
        "version_code" => json!(240),
        "installed" => json!(230),
        "offer" => json!(240),
        "version_name" => json!("1.1.10"),
        "download_url" => json!("https://files.example/chuku/240.bin"),
        "icon_url" => json!("https://files.example/icon.png"),
        "qrcode" => json!("https://files.example/chuku/240"),
        "size" => json!(1_048_576),
        "md5" => json!("0cc175b9c0f1b6a831c399e269772661"),
        "sha256" => json!("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        "artifact" => json!("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        "release_ids" => json!(["0190a6e4-5b7c-7a31-9d2e-3f4c5b6a7d81"]),
        "update_desc" => json!("Faster stock-taking"),
        "config_json" => json!({"theme": "dark"}),
        "filename" => json!("chuku-240.apk"),
        "media_type" => json!("application/vnd.android.package-archive"),
        "label" => json!("Stock-taking"),
        "split" => json!("config.arm64_v8a"),
        "abis" => json!(["arm64-v8a"]),
        "signers" | "lineage" => json!(["5f2b6a4c0f7d1e8392a4b6c8d0e2f40516273849506172839405162738495a6b"]),
        "host_version_min" | "host_version_max" => json!(50),
        "starts_at" | "created_at" | "counted_at" | "first_seen_at" | "seen_at" | "delivered_at"
        | "received_at" => {
            json!("2026-03-02T02:00:00Z")
        }
        "ends_at" => json!("2026-06-01T00:00:00Z"),
        "percent" => json!(12.5),
        "key" => json!("spring"),
        "unit" => json!("device"),
        "reason" | "recall_reason" => json!("stock-taking"),
        "org_path" | "path" => json!(["HM", "HM-SH", "8007"]),
        "time_zone" => json!("Asia/Shanghai"),
        "name" => json!("Hema"),
        "username" | "actor_name" | "created_by" | "sender_name" => json!("li.na"),
        "actor" => json!("user:0190a6e4-5b7c-7a31-9d2e-3f4c5b6a7d80"),
        "origin" => json!("user:0190a6e4-5b7c-7a31-9d2e-3f4c5b6a7d80"),
        "password" | "current" => json!("correct horse battery"),
        "new" => json!("staple battery horse"),
        "access_token" => json!("eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"),
        "refresh_token" => json!("slipway_refresh_Zm9vYmFy"),
        "token" => json!("slipway_token_Zm9vYmFy"),
        "expires_in" => json!(900),
        "app_secret" => json!("a1b2c3d4e5f60718293a4b5c6d7e8f90"),
        "trace_id" => json!("build-4711"),
        "app_type" => json!("tinyApp"),
        "app_id" => json!("2021001"),
        "action" => json!("preview"),
        "pack_url" => json!("https://files.example/demo.amr"),
        "source_url" => json!("https://git.example/demo"),
        "detail" => json!("done"),
        "request_id" => json!("018f6d2e5b7c"),
        "object_type" => json!("release"),
        "object_id" => json!("0190a6e4-5b7c-7a31-9d2e-3f4c5b6a7d81"),
        "revision" => json!("4711.9c1d"),
        "next_check_after_s" => json!(3_600),
        "status" => json!(1),
        "uninstall_type" => json!(1),
        "msg_code" | "msg_info" => json!(""),
        "version" => json!("0.1.0"),
        "share" => json!(0.25),
        "devices" | "created" | "updated" => return None,
        "tasks_down" | "ignored" => json!([]),
        "next_cursor" | "alipay_context" | "before" | "expires_at" | "last_used_on" | "cause"
        | "artifacts_detail" => json!(null),
        "limit" => json!(50),
        "wait_s" => json!(0),
        "seen_within_days" | "days" => json!(30),
        "others" => json!(1),
        "more_resources" => json!(false),
        _ => return None,
    })
}
