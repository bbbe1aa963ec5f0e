//! Tokens of the console: the cookie of a session, `slipway_console_<session>_<tag>`, the tokens of its forms, and the
//! seals of its notices.
//!
//! All are tagged under a key that HKDF derives from the installation's, so nothing about them is stored and every node
//! verifies them. A form's token belongs to one cookie, and a seal to one form token. Callers must check that the session
//! still exists.

use uuid::Uuid;

use super::{Keyring, TAG_BYTES};
use crate::random;

const PREFIX: &str = "slipway_console_";
/// First part of each tag. All purposes have the same length, so that no two inputs are the same bytes.
const SESSION: &[u8; 8] = b"session\0";
const FORM: &[u8; 8] = b"form\0\0\0\0";
const NOTICE: &[u8; 8] = b"notice\0\0";

/// Cookie of a console session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsoleToken {
    pub session: Uuid,
}

impl ConsoleToken {
    /// Returns the text of the cookie, made with the installation's first key.
    pub fn text(self, keyring: &Keyring) -> String {
        let tag = keyring.console_key().tag(&[SESSION, self.session.as_bytes()]);
        format!("{PREFIX}{}_{}", self.session.simple(), hex::encode(tag))
    }

    /// Parses a cookie; `None` if none of the installation's keys made it.
    pub fn verify(keyring: &Keyring, text: &str) -> Option<Self> {
        let (session, tag) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let session = Uuid::try_parse(session).ok()?;
        is_tagged(keyring, &[SESSION, session.as_bytes()], tag).then_some(Self { session })
    }
}

/// Returns the token for the forms of a cookie.
pub fn form_token(keyring: &Keyring, cookie: &str) -> String {
    hex::encode(keyring.console_key().tag(&[FORM, cookie.as_bytes()]))
}

/// Returns `true` if a form's token belongs to this cookie.
pub fn verify_form_token(keyring: &Keyring, cookie: &str, token: &str) -> bool {
    is_tagged(keyring, &[FORM, cookie.as_bytes()], token)
}

/// Returns the seal of a notice for the person with this form token.
pub fn notice_seal(keyring: &Keyring, form_token: &str, notice: &str) -> String {
    let parts: [&[u8]; 3] = [NOTICE, form_token.as_bytes(), notice.as_bytes()];
    hex::encode(keyring.console_key().tag(&parts))
}

/// Returns `true` if the server sealed this notice for the person with this form token.
pub fn verify_notice_seal(keyring: &Keyring, form_token: &str, notice: &str, seal: &str) -> bool {
    is_tagged(keyring, &[NOTICE, form_token.as_bytes(), notice.as_bytes()], seal)
}

/// Returns the cookie of a browser that is not signed in, whose forms need a token too.
pub fn new_visitor_cookie() -> String {
    random::uuid().simple().to_string()
}

fn is_tagged(keyring: &Keyring, parts: &[&[u8]], text: &str) -> bool {
    let mut tag = [0; TAG_BYTES];
    hex::decode_to_slice(text, &mut tag).is_ok() && keyring.console_keys().any(|key| key.verify(parts, &tag))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn keyring(bytes: &[u8]) -> Keyring {
        let keys: Vec<_> = bytes.iter().map(|byte| STANDARD.encode([*byte; 32])).collect();
        Keyring::parse(&keys.join(",")).unwrap()
    }

    #[test]
    fn a_cookie_is_verified_with_every_key_and_no_other() {
        let token = ConsoleToken {
            session: random::uuid(),
        };
        let text = token.text(&keyring(&[1]));
        assert_eq!(ConsoleToken::verify(&keyring(&[2, 1]), &text), Some(token));
        assert_eq!(ConsoleToken::verify(&keyring(&[2]), &text), None);
        let other = ConsoleToken {
            session: random::uuid(),
        };
        let (start, _) = other
            .text(&keyring(&[1]))
            .rsplit_once('_')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        let (_, tag) = text.rsplit_once('_').unwrap();
        for wrong in [
            format!("{start}_{tag}"),
            format!("{text}00"),
            text[..text.len() - 2].to_owned(),
            String::new(),
        ] {
            assert_eq!(ConsoleToken::verify(&keyring(&[1]), &wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_form_token_belongs_to_one_cookie() {
        let keys = keyring(&[1]);
        let token = form_token(&keys, "a");
        assert!(verify_form_token(&keys, "a", &token));
        assert!(verify_form_token(&keyring(&[2, 1]), "a", &token));
        assert!(!verify_form_token(&keys, "b", &token));
        assert!(!verify_form_token(&keyring(&[2]), "a", &token));
        assert!(!verify_form_token(&keys, "a", ""));
    }

    #[test]
    fn a_seal_belongs_to_one_notice_and_one_person() {
        let keys = keyring(&[1]);
        let seal = notice_seal(&keys, "a", "new=1");
        assert!(verify_notice_seal(&keys, "a", "new=1", &seal));
        assert!(verify_notice_seal(&keyring(&[2, 1]), "a", "new=1", &seal));
        assert!(!verify_notice_seal(&keys, "b", "new=1", &seal));
        assert!(!verify_notice_seal(&keys, "a", "new=2", &seal));
        assert!(!verify_notice_seal(&keys, "a", "new=1", ""));
    }
}
