//! Refresh tokens of sessions: `slipway_refresh_<session>_<generation>_<tag>`.
//!
//! The tag is an HMAC-SHA256 over the session and the generation, under a key that HKDF derives from the
//! installation's. A forged token is therefore refused without a database access. The successor of a token can be made
//! again without being stored. Callers must check that the generation is current.

use uuid::Uuid;

use super::{Keyring, TAG_BYTES};

const PREFIX: &str = "slipway_refresh_";

/// Refresh token of one generation of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshToken {
    pub session: Uuid,
    /// Number of the token among those of the session, from 1.
    pub generation: i64,
}

impl RefreshToken {
    /// Returns the text of the token, made with the installation's first key.
    pub fn text(self, keyring: &Keyring) -> String {
        let tag = keyring.refresh_token_key().tag(&self.tagged().parts());
        let (session, generation) = (self.session.simple(), self.generation);
        format!("{PREFIX}{session}_{generation}_{}", hex::encode(tag))
    }

    /// Parses a token; `None` if none of the installation's keys made it.
    pub fn verify(keyring: &Keyring, text: &str) -> Option<Self> {
        let mut pieces = text.strip_prefix(PREFIX)?.split('_');
        let token = Self {
            session: Uuid::try_parse(pieces.next()?).ok()?,
            generation: pieces.next()?.parse().ok()?,
        };
        let mut tag = [0; TAG_BYTES];
        hex::decode_to_slice(pieces.next()?, &mut tag).ok()?;
        let tagged = token.tagged();
        let is_ours = || {
            keyring
                .refresh_token_keys()
                .any(|key| key.verify(&tagged.parts(), &tag))
        };
        (pieces.next().is_none() && is_ours()).then_some(token)
    }

    fn tagged(self) -> Tagged {
        Tagged {
            session: self.session.into_bytes(),
            generation: self.generation.to_be_bytes(),
        }
    }
}

/// Input of the tag.
struct Tagged {
    session: [u8; 16],
    generation: [u8; 8],
}

impl Tagged {
    fn parts(&self) -> [&[u8]; 2] {
        [&self.session, &self.generation]
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::random;

    fn keyring(bytes: &[u8]) -> Keyring {
        let keys: Vec<_> = bytes.iter().map(|byte| STANDARD.encode([*byte; 32])).collect();
        Keyring::parse(&keys.join(",")).unwrap()
    }

    #[test]
    fn a_token_is_verified_with_every_key_and_is_the_same_each_time() {
        let token = RefreshToken {
            session: random::id::<Uuid>(),
            generation: 7,
        };
        let text = token.text(&keyring(&[1]));
        assert_eq!(text, token.text(&keyring(&[1, 2])));
        assert_eq!(RefreshToken::verify(&keyring(&[2, 1]), &text), Some(token));
        assert_eq!(RefreshToken::verify(&keyring(&[2]), &text), None);
    }

    #[test]
    fn another_session_generation_or_tag_is_refused() {
        let keys = keyring(&[1]);
        let token = RefreshToken {
            session: random::id::<Uuid>(),
            generation: 7,
        };
        let text = token.text(&keys);
        let (start, tag) = text.rsplit_once('_').unwrap();
        let other = random::id::<Uuid>().simple().to_string();
        for wrong in [
            text.replace("_7_", "_8_"),
            text.replace(&token.session.simple().to_string(), &other),
            format!("{start}_{}", "0".repeat(64)),
            format!("{start}_{}", &tag[2..]),
            format!("{text}_"),
            start.to_owned(),
            String::new(),
        ] {
            assert_eq!(RefreshToken::verify(&keys, &wrong), None, "{wrong}");
        }
    }
}
