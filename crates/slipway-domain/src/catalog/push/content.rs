//! Content of a push, and the digest that identifies its repeats.

use sha2::{Digest, Sha256};

use super::targets::PushTargets;
use crate::catalog::text::{MiniAppId, MiniAppType, PushAction, PushUrl, TraceId};

/// Content of a push, as sent to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushContent {
    pub action: PushAction,
    pub app_id: MiniAppId,
    pub app_type: MiniAppType,
    /// URL of the package for the device; never fetched by the server.
    pub pack_url: PushUrl,
    /// URL of the package's sources; never fetched by the server.
    pub source_url: Option<PushUrl>,
    pub trace_id: Option<TraceId>,
}

/// Push to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRequest {
    pub content: PushContent,
    pub targets: PushTargets,
    /// `alipay_context` of the gateway, as sent.
    pub context: Option<String>,
    pub repeat_key: RepeatKey,
}

/// Criterion that distinguishes a push sent again within some minutes from another push with the same content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepeatKey {
    /// Trace id; without one, every push is distinct.
    ByTraceId,
    /// Trace id; without one, the signature of the request in lower case.
    ByTraceIdOrSignature(String),
}

impl PushRequest {
    /// Returns a digest that this push and its repeats share, as 64 hexadecimal digits; `None` if the push has no
    /// repeats.
    ///
    /// The digest covers the whole input, so the same trace id with other content is another push.
    pub fn digest(&self) -> Option<String> {
        let signature = match (&self.content.trace_id, &self.repeat_key) {
            (Some(_), _) => None,
            (None, RepeatKey::ByTraceIdOrSignature(signature)) => Some(signature.as_str()),
            (None, RepeatKey::ByTraceId) => return None,
        };
        let PushContent {
            action,
            app_id,
            app_type,
            pack_url,
            source_url,
            trace_id,
        } = &self.content;
        let mut digest = Fields(Sha256::new_with_prefix("slipway-push-v1"));
        digest.add(Some(action.as_str()));
        digest.add(Some(app_id.as_str()));
        digest.add(Some(app_type.as_str()));
        digest.add(Some(pack_url.as_str()));
        digest.add(source_url.as_ref().map(PushUrl::as_str));
        digest.add(trace_id.as_ref().map(TraceId::as_str));
        digest.add(self.context.as_deref());
        digest.add(signature);
        for target in self.targets.as_slice() {
            digest.add(Some(target.device.as_str()));
            digest.add(Some(target.project.as_str()));
        }
        Some(hex::encode(digest.0.finalize()))
    }
}

/// Hash of a list of fields. Each field is preceded by its length, so that no two lists have the same bytes.
struct Fields(Sha256);

impl Fields {
    fn add(&mut self, field: Option<&str>) {
        match field {
            None => self.0.update([0]),
            Some(text) => {
                self.0.update([1]);
                self.0.update((text.len() as u64).to_be_bytes());
                self.0.update(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::super::targets::PushTarget;
    use super::*;
    use crate::catalog::text::{DeviceId, ProjectId};

    /// Few distinct values, so that field boundaries shift and equal pushes occur.
    fn text() -> impl Strategy<Value = String> {
        "[ab]{1,2}"
    }

    fn content() -> impl Strategy<Value = PushContent> {
        (
            text(),
            text(),
            text(),
            text(),
            option::of(text()),
            option::of(text()),
        )
            .prop_map(
                |(action, app_id, app_type, pack_url, source_url, trace_id)| PushContent {
                    action: PushAction::parse(action).unwrap(),
                    app_id: MiniAppId::parse(app_id).unwrap(),
                    app_type: MiniAppType::parse(app_type).unwrap(),
                    pack_url: PushUrl::parse(pack_url).unwrap(),
                    source_url: source_url.map(|url| PushUrl::parse(url).unwrap()),
                    trace_id: trace_id.map(|id| TraceId::parse(id).unwrap()),
                },
            )
    }

    fn targets() -> impl Strategy<Value = Vec<PushTarget>> {
        let target = (text(), text()).prop_map(|(device, project)| PushTarget {
            device: DeviceId::parse(device).unwrap(),
            project: ProjectId::parse(project).unwrap(),
        });
        vec(target, 1..4)
    }

    fn request() -> impl Strategy<Value = PushRequest> {
        (content(), targets(), option::of(text()), option::of(text())).prop_map(
            |(content, targets, context, signature)| PushRequest {
                content,
                targets: PushTargets::new(targets).unwrap(),
                context,
                repeat_key: signature.map_or(RepeatKey::ByTraceId, RepeatKey::ByTraceIdOrSignature),
            },
        )
    }

    /// Restates the rule: returns the parts of the input that distinguish pushes.
    fn counts(request: &PushRequest) -> Option<(PushContent, PushTargets, Option<String>, String)> {
        let signature = match (&request.content.trace_id, &request.repeat_key) {
            (None, RepeatKey::ByTraceId) => return None,
            (None, RepeatKey::ByTraceIdOrSignature(signature)) => signature.clone(),
            (Some(_), _) => String::new(),
        };
        let PushRequest {
            content,
            targets,
            context,
            ..
        } = request.clone();
        Some((content, targets, context, signature))
    }

    proptest! {
        #[test]
        fn what_has_the_same_digest_is_the_same_push(one in request(), other in request()) {
            let are_the_same = counts(&one) == counts(&other);
            prop_assert_eq!(one.digest() == other.digest(), are_the_same);
        }

        #[test]
        fn the_order_and_the_repetition_of_targets_do_not_count(content in content(), targets in targets()) {
            let request = |targets: Vec<PushTarget>| PushRequest {
                content: content.clone(),
                targets: PushTargets::new(targets).unwrap(),
                context: None,
                repeat_key: RepeatKey::ByTraceIdOrSignature("a".to_owned()),
            };
            let mut turned = targets.clone();
            turned.reverse();
            turned.extend(targets.clone());
            prop_assert_eq!(request(targets).digest(), request(turned).digest());
        }
    }

    /// Nodes of two versions must recognise the same repeats.
    #[test]
    fn the_digest_is_the_same_in_every_version() {
        let request = PushRequest {
            content: PushContent {
                action: PushAction::parse("preview").unwrap(),
                app_id: MiniAppId::parse("111").unwrap(),
                app_type: MiniAppType::parse("tinyApp").unwrap(),
                pack_url: PushUrl::parse("scheme://pkg").unwrap(),
                source_url: None,
                trace_id: Some(TraceId::parse("11111").unwrap()),
            },
            targets: PushTargets::new(vec![PushTarget {
                device: DeviceId::parse("111").unwrap(),
                project: ProjectId::parse("projectId").unwrap(),
            }])
            .unwrap(),
            context: None,
            repeat_key: RepeatKey::ByTraceId,
        };
        assert_eq!(
            request.digest().as_deref(),
            Some("92bc024d4cd49543c9761a0b0723311817961530e2864139b83190d213b935f9")
        );
    }
}
