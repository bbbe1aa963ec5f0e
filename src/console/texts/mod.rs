//! Texts of the console, one file for each language. A language without one of them does not compile.

mod en;
mod zh;

use crate::http::problem::ProblemCode;
use slipway_domain::access::Role;
use slipway_domain::catalog::app::ResourceKind;
use slipway_domain::catalog::artifact::{ArtifactKind, DamageKind};
use slipway_domain::catalog::language::Language;
use slipway_domain::catalog::push::TargetState;
use slipway_domain::catalog::release::ReleaseStateKind;
use slipway_resolver::Verdict;

macro_rules! texts {
    ($($name:ident,)*) => {
        pub(super) struct Texts {
            $(pub(super) $name: &'static str,)*
        }

        impl Texts {
            #[cfg(test)]
            fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

texts! {
    language_name,
    skip,
    navigation,
    trail,
    search,
    search_hint,
    sign_in,
    sign_out,
    username,
    password,
    current_password,
    new_password,
    password_hint,
    change_password,
    change_password_ends_sessions,
    account,
    role,
    help,
    shortcuts,
    more_help,
    help_text,
    copy,
    copied,
    platform,
    tenants,
    administrators,
    overview,
    apps,
    app,
    devices,
    explain,
    org,
    pushes,
    pins,
    people,
    keys,
    tokens,
    audit,
    settings,
    required,
    now_stored,
    nothing,
    line,
    yes,
    no,
    create,
    save,
    name,
    state,
    active,
    disabled,
    off,
    offers_off,
    created,
    changed,
    next_page,
    tenant_id,
    tenant_id_hint,
    new_tenant,
    no_tenants,
    tenant_enabled,
    tenant_enabled_hint,
    offers_enabled,
    offers_enabled_hint,
    enrolment,
    enrolment_key,
    enrolment_code,
    push_url_schemes,
    push_url_schemes_hint,
    change_settings,
    no_apps,
    no_releases,
    first_release,
    no_events,
    newest_release,
    share,
    targeting,
    all_apps,
    new_app,
    recent_changes,
    changes,
    field,
    before,
    after,
    tenant_is_disabled,
    offers_are_off,
    writes_fail,
    catalog_is_stale,
    tasks_down,
    node_is_draining,
    unavailable_hint,
    from_memory,
    effective_releases,
    last_sync,
    to_overview,
    request_id,
    notice_created,
    notice_saved,
    notice_deleted,
    notice_signed_out,
    notice_password_changed,
    notice_published,
    notice_paused,
    notice_resumed,
    notice_recalled,
    notice_discarded,
    notice_imported,
    notice_withdrawn,
    notice_pinned,
    notice_revoked,
    role_platform_admin,
    role_admin,
    role_publisher,
    role_viewer,
    state_draft,
    state_published,
    state_paused,
    state_recalled,
    state_discarded,
    problem_invalid_parameter,
    problem_unauthenticated,
    problem_permission_denied,
    problem_not_found,
    problem_method_not_allowed,
    problem_already_exists,
    problem_wrong_state,
    problem_version_conflict,
    problem_signer_changed,
    problem_unsafe_package,
    problem_in_use,
    problem_secret_already_shown,
    problem_stale,
    problem_request_timeout,
    problem_too_large,
    problem_digest_mismatch,
    problem_object_in_use,
    problem_range_not_satisfiable,
    problem_insufficient_storage,
    problem_unsupported_media_type,
    problem_form_reused,
    problem_rate_limited,
    problem_internal,
    problem_unavailable,
    package_name,
    package_name_hint,
    icon_url,
    old_package_names,
    old_package_names_hint,
    app_enabled_hint,
    resource_enabled_hint,
    repair_on_mismatch,
    repair_on_mismatch_hint,
    delete,
    delete_app,
    delete_app_explanation,
    change_app,
    change_resource,
    kind,
    kind_apk,
    kind_miniapp,
    kind_offline_package,
    kind_config,
    kind_firmware,
    kind_other,
    app_is_off,
    new_release,
    no_releases_here,
    version,
    adoption,
    other_versions,
    adoption_history,
    most_devices,
    numbers_by_day,
    day,
    total,
    publish,
    publish_explanation,
    force,
    force_hint,
    accept_signer_change,
    accept_signer_change_hint,
    accept_unsafe_package,
    accept_unsafe_package_hint,
    pause,
    pause_explanation,
    resume,
    discard,
    discard_explanation,
    recall,
    recall_explanation,
    recall_mode,
    recall_stop,
    recall_rollback,
    recall_removal,
    recalled_because,
    reason,
    change_share,
    change_share_explanation,
    percent,
    unit,
    unit_device,
    unit_l1,
    unit_l2,
    unit_l3,
    unit_l4,
    unit_l5,
    edit_release,
    update_desc,
    rollout_key,
    rollout_key_hint,
    org_scopes,
    org_scopes_hint,
    org_exclusions,
    device_types,
    one_per_line,
    device_ids,
    device_ids_hint,
    attribute_rules,
    attribute_rules_hint,
    host_version_min,
    host_version_max,
    starts_at,
    ends_at,
    starts,
    ends,
    auto_install,
    mandatory,
    mandatory_hint,
    floor,
    floor_hint,
    qrcode,
    config_json,
    create_release,
    resource,
    resource_hint,
    version_code,
    version_name,
    artifact,
    artifact_hint,
    supplied_by_artifact,
    min_sdk,
    download_url,
    download_url_hint,
    size,
    md5,
    sha256,
    publish_now,
    publish_now_hint,
    new_release_text,
    known_resources,
    release_id,
    published_at,
    installed_on,
    devices_with_it,
    file,
    delivery,
    artifacts,
    any,
    file_name,
    file_apk,
    file_hap,
    file_zip,
    file_other,
    unused_only,
    damaged_only,
    no_artifacts,
    damaged,
    kept,
    uploaded,
    upload,
    upload_hint,
    upload_failed,
    notice_uploaded,
    notice_known,
    notice_linked,
    file_is_missing,
    file_is_altered,
    damage_explanation,
    found_at,
    warn_debuggable,
    warn_test_only,
    warn_unsigned,
    warn_v1_only,
    warn_split,
    file_contents,
    app_label,
    target_sdk,
    abis,
    signers,
    earlier_signers,
    schemes,
    split_name,
    entries,
    unpacked_size,
    download,
    download_page,
    download_page_qr,
    no_public_url,
    used_by,
    not_used,
    keep,
    keep_hint,
    new_link,
    new_link_explanation,
    delete_file,
    delete_file_explanation,
    found_in_file,
    replaces,
    replaces_nothing,
    not_newer,
    release_of_file,
    another_file,
    recent_files,
    file_elsewhere,
    damaged_files,
    damaged_files_total,
    store_is_unreachable,
    catalog_is_held,
    catalogs_held,
    history,
    actor,
    action,
    object_type,
    object_id,
    from_day,
    until_day,
    filter,
    export_csv,
    export_json_lines,
    username_hint,
    may_sign_in,
    new_password_hint,
    change_ends_sessions,
    delete_person,
    delete_person_explanation,
    new_person,
    change,
    no_people,
    expires_at,
    expires,
    expires_at_hint,
    secret_shown_once,
    key_role_device,
    key_role_operator,
    rotate,
    rotate_explanation,
    delete_key,
    delete_key_explanation,
    app_keys,
    device_keys,
    new_key,
    never,
    new_secret,
    no_keys,
    app_key,
    last_used,
    secret,
    back,
    pin,
    pin_explanation,
    new_pin,
    no_pins,
    target,
    device,
    org_node,
    pin_target_hint,
    org_path_hint,
    pin_mode,
    pin_hold,
    pin_exact,
    pin_ceiling,
    pin_version_hint,
    unpin,
    unpin_explanation,
    push,
    send,
    push_explanation,
    push_targets,
    push_targets_hint,
    pack_url,
    push_app_id,
    push_app_type,
    push_action,
    push_action_hint,
    trace_id,
    source_url,
    withdraw,
    withdraw_explanation,
    new_push,
    no_pushes,
    sent_by,
    project,
    channel,
    deliveries,
    detail,
    target_queued,
    target_delivered,
    target_received,
    target_opened,
    target_applied,
    target_failed,
    target_expired,
    target_withdrawn,
    import,
    import_devices,
    devices_csv,
    devices_csv_hint,
    delete_device,
    delete_device_explanation,
    revoke_token,
    revoke_token_explanation,
    new_code,
    new_code_explanation,
    enrolment_code_title,
    device_id_begins,
    device_type,
    no_devices,
    last_seen,
    first_seen,
    connected,
    enrolled,
    installed_versions,
    no_installs,
    why,
    why_text,
    host_version,
    old_versions,
    old_versions_hint,
    org_info,
    org_info_hint,
    attributes,
    explain_at,
    explain_at_hint,
    explain_request,
    pasted_request,
    pasted_request_hint,
    paste_a_request,
    enter_a_check,
    explain_text,
    explanation_title,
    revision,
    installed,
    gets,
    gets_nothing,
    verdict,
    deciding_rule,
    left_out,
    verdict_offered,
    verdict_up_to_date,
    verdict_passed_over,
    verdict_excluded,
    signature,
    signed_text,
    signature_valid,
    signature_invalid,
    signature_unknown_key,
    signature_not_verified,
    replace_org,
    replace_org_explanation,
    org_csv,
    org_csv_hint,
    org_nodes_total,
    org_path,
    top_level,
    devices_here,
    no_nodes,
    org_code,
    time_zone,
    nodes_below,
    nothing_found,
    search_text,
    checks_per_minute,
}

impl Texts {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &en::TEXTS,
            Language::Chinese => &zh::TEXTS,
        }
    }

    /// Returns the text of a notice by its name in an address; `None` if there is none.
    pub(super) fn notice(&self, key: &str) -> Option<&'static str> {
        Some(match key {
            "created" => self.notice_created,
            "saved" => self.notice_saved,
            "deleted" => self.notice_deleted,
            "signed_out" => self.notice_signed_out,
            "password_changed" => self.notice_password_changed,
            "published" => self.notice_published,
            "paused" => self.notice_paused,
            "resumed" => self.notice_resumed,
            "recalled" => self.notice_recalled,
            "discarded" => self.notice_discarded,
            "imported" => self.notice_imported,
            "withdrawn" => self.notice_withdrawn,
            "pinned" => self.notice_pinned,
            "revoked" => self.notice_revoked,
            "uploaded" => self.notice_uploaded,
            "known" => self.notice_known,
            "linked" => self.notice_linked,
            _ => return None,
        })
    }

    pub(super) fn role(&self, role: Role) -> &'static str {
        match role {
            Role::PlatformAdmin => self.role_platform_admin,
            Role::Admin => self.role_admin,
            Role::Publisher => self.role_publisher,
            Role::Viewer => self.role_viewer,
        }
    }

    pub(super) fn release_state(&self, state: ReleaseStateKind) -> &'static str {
        match state {
            ReleaseStateKind::Draft => self.state_draft,
            ReleaseStateKind::Published => self.state_published,
            ReleaseStateKind::Paused => self.state_paused,
            ReleaseStateKind::Recalled => self.state_recalled,
            ReleaseStateKind::Discarded => self.state_discarded,
        }
    }

    pub(super) fn resource_kind(&self, kind: ResourceKind) -> &'static str {
        match kind {
            ResourceKind::Apk => self.kind_apk,
            ResourceKind::Miniapp => self.kind_miniapp,
            ResourceKind::OfflinePackage => self.kind_offline_package,
            ResourceKind::Config => self.kind_config,
            ResourceKind::Firmware => self.kind_firmware,
            ResourceKind::Other => self.kind_other,
        }
    }

    pub(super) fn file_kind(&self, kind: ArtifactKind) -> &'static str {
        match kind {
            ArtifactKind::Apk => self.file_apk,
            ArtifactKind::Hap => self.file_hap,
            ArtifactKind::Zip => self.file_zip,
            ArtifactKind::Other => self.file_other,
        }
    }

    pub(super) fn file_damage(&self, damage: DamageKind) -> &'static str {
        match damage {
            DamageKind::Missing => self.file_is_missing,
            DamageKind::Altered => self.file_is_altered,
        }
    }

    pub(super) fn target_state(&self, state: TargetState) -> &'static str {
        match state {
            TargetState::Queued => self.target_queued,
            TargetState::Delivered => self.target_delivered,
            TargetState::Received => self.target_received,
            TargetState::Opened => self.target_opened,
            TargetState::Applied => self.target_applied,
            TargetState::Failed => self.target_failed,
            TargetState::Expired => self.target_expired,
            TargetState::Withdrawn => self.target_withdrawn,
        }
    }

    pub(super) fn verdict(&self, verdict: Verdict) -> &'static str {
        match verdict {
            Verdict::Offered => self.verdict_offered,
            Verdict::UpToDate => self.verdict_up_to_date,
            Verdict::PassedOver => self.verdict_passed_over,
            Verdict::Excluded => self.verdict_excluded,
        }
    }

    pub(super) fn problem_title(&self, code: ProblemCode) -> &'static str {
        match code {
            ProblemCode::InvalidParameter => self.problem_invalid_parameter,
            ProblemCode::Unauthenticated => self.problem_unauthenticated,
            ProblemCode::PermissionDenied => self.problem_permission_denied,
            ProblemCode::NotFound => self.problem_not_found,
            ProblemCode::MethodNotAllowed => self.problem_method_not_allowed,
            ProblemCode::AlreadyExists | ProblemCode::AlreadyEnrolled => self.problem_already_exists,
            ProblemCode::WrongState => self.problem_wrong_state,
            ProblemCode::VersionConflict => self.problem_version_conflict,
            ProblemCode::SignerChanged => self.problem_signer_changed,
            ProblemCode::UnsafePackage => self.problem_unsafe_package,
            ProblemCode::IdempotencyKeyInUse => self.problem_in_use,
            ProblemCode::SecretAlreadyShown => self.problem_secret_already_shown,
            ProblemCode::Stale => self.problem_stale,
            ProblemCode::RequestTimeout => self.problem_request_timeout,
            ProblemCode::TooLarge => self.problem_too_large,
            ProblemCode::DigestMismatch => self.problem_digest_mismatch,
            ProblemCode::InUse => self.problem_object_in_use,
            ProblemCode::RangeNotSatisfiable => self.problem_range_not_satisfiable,
            ProblemCode::InsufficientStorage => self.problem_insufficient_storage,
            ProblemCode::UnsupportedMediaType => self.problem_unsupported_media_type,
            ProblemCode::IdempotencyKeyReused => self.problem_form_reused,
            ProblemCode::RateLimited => self.problem_rate_limited,
            ProblemCode::Internal => self.problem_internal,
            ProblemCode::Unavailable => self.problem_unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Texts that are the same in every language.
    const SHARED: [&str; 1] = ["language_name"];

    #[test]
    fn every_text_is_translated() {
        let (english, chinese) = (en::TEXTS.all(), zh::TEXTS.all());
        let is_chinese = |text: &str| {
            text.chars()
                .any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter))
        };
        for ((name, english), (_, chinese)) in english.iter().zip(&chinese) {
            assert!(!english.trim().is_empty(), "{name} has no English text");
            assert!(is_chinese(chinese), "{name} has no Chinese text: {chinese}");
            assert!(!is_chinese(english), "{name} is not English: {english}");
            assert!(
                english != chinese || SHARED.contains(name),
                "{name} is not translated"
            );
        }
    }

    /// A word in a template would be shown in every language.
    #[test]
    fn templates_contain_no_words_of_their_own() {
        let mut words = Vec::new();
        for entry in fs::read_dir(Path::new("src/console/templates")).unwrap() {
            let path = entry.unwrap().path();
            for text in texts_between_tags(&fs::read_to_string(&path).unwrap()) {
                if text.chars().filter(char::is_ascii_alphabetic).count() > 1 {
                    words.push(format!("{}: {text}", path.display()));
                }
            }
        }
        words.retain(|word| !word.ends_with(": Slipway") && !word.ends_with(": · Slipway"));
        assert!(words.is_empty(), "{words:#?}");
    }

    fn texts_between_tags(template: &str) -> Vec<String> {
        let mut plain = template.to_owned();
        for (open, close) in [("{%", "%}"), ("{{", "}}"), ("<", ">")] {
            while let Some(start) = plain.find(open) {
                let end = plain[start..]
                    .find(close)
                    .map_or(plain.len(), |end| start + end + close.len());
                plain.replace_range(start..end, "\n");
            }
        }
        let texts = plain.lines().map(str::trim).filter(|text| !text.is_empty());
        texts.map(str::to_owned).collect()
    }
}
