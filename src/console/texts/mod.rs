//! Texts of the console, one file for each language. A language without one of them does not compile.

mod en;
mod messages;
mod table;
mod zh;

use std::borrow::Cow;

use crate::http::problem::{Problem, ProblemCode};
use slipway_domain::access::Role;
use slipway_domain::catalog::app::ResourceKind;
use slipway_domain::catalog::artifact::{ArtifactKind, DamageKind};
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::language::Language;
use slipway_domain::catalog::push::TargetState;
use slipway_domain::catalog::release::ReleaseStateKind;
use slipway_resolver::{Criterion, Verdict};

pub(super) use table::Texts;

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
            "withdrawn" => self.notice_withdrawn,
            "pinned" => self.notice_pinned,
            "revoked" => self.notice_revoked,
            "uploaded" => self.notice_uploaded,
            "known" => self.notice_known,
            "exists" => self.notice_exists,
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

    pub(super) fn criterion(&self, criterion: Criterion) -> &'static str {
        match criterion {
            Criterion::Switches => self.criterion_switches,
            Criterion::State => self.criterion_state,
            Criterion::Window => self.criterion_window,
            Criterion::HostVersion => self.criterion_host_version,
            Criterion::DeviceType => self.criterion_device_type,
            Criterion::MinSdk => self.criterion_min_sdk,
            Criterion::Org => self.criterion_org,
            Criterion::Attributes => self.criterion_attributes,
            Criterion::Rollout => self.criterion_rollout,
            Criterion::Pin => self.criterion_pin,
            Criterion::File => self.criterion_file,
            Criterion::Newest => self.criterion_newest,
            Criterion::Floor => self.criterion_floor,
            Criterion::Installed => self.criterion_installed,
        }
    }

    /// Returns a message of the API in the language of the page.
    pub(super) fn message<'a>(&self, english: &'a str) -> Cow<'a, str> {
        if self.language_name == zh::TEXTS.language_name {
            messages::in_chinese(english)
        } else {
            Cow::Borrowed(english)
        }
    }

    /// Returns the explanation of a problem. Errors of fields are named by their fields in the API.
    pub(super) fn detail(&self, problem: &Problem) -> String {
        if let Some(text) = self.problem_of_form(problem.code()) {
            return text.to_owned();
        }
        if problem.code() != ProblemCode::InvalidParameter || problem.field_errors().is_empty() {
            return self.message(problem.detail()).into_owned();
        }
        let errors = problem.field_errors().iter();
        let errors: Vec<_> = errors
            .map(|error| format!("{} {}", error.field, self.message(without_name(error))))
            .collect();
        errors.join("; ")
    }

    /// Returns the explanation of a problem whose message in the API is for programs.
    pub(super) fn problem_of_form(&self, code: ProblemCode) -> Option<&'static str> {
        match code {
            ProblemCode::IdempotencyKeyReused => Some(self.form_already_sent),
            ProblemCode::IdempotencyKeyInUse => Some(self.form_in_progress),
            ProblemCode::SecretAlreadyShown => Some(self.secret_not_shown_again),
            _ => None,
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

/// Returns the message without the name of the field, which some messages begin with.
pub(super) fn without_name(error: &FieldError) -> &str {
    let rest = error.message.strip_prefix(&error.field);
    rest.map_or(error.message.as_str(), str::trim_start)
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
