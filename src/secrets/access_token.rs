//! Access tokens: short-lived JWTs that identify a session (RFC 7519). No other module uses `jsonwebtoken`.

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};

use super::Keyring;
use slipway_domain::catalog::ids::{SessionId, UserId};

const ISSUER: &str = "slipway";
const AUDIENCE: &str = "slipway-admin";
/// The only accepted algorithm; a token cannot select another.
const ALGORITHM: Algorithm = Algorithm::HS256;

/// User and session of a valid access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessClaims {
    pub user: UserId,
    pub session: SessionId,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    iat: i64,
    exp: i64,
}

/// Issuer and verifier of access tokens.
pub struct AccessTokens {
    key_id: String,
    signing: EncodingKey,
    verifying: Vec<(String, DecodingKey)>,
    validation: Validation,
    lifetime: TimeDelta,
}

impl AccessTokens {
    pub fn new(keyring: &Keyring, lifetime: TimeDelta) -> Self {
        let (key_id, signing) = keyring.signing_key();
        let mut validation = Validation::new(ALGORITHM);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library reads the system clock; `verify` compares the expiry with the caller's clock instead.
        validation.validate_exp = false;
        Self {
            key_id: key_id.to_owned(),
            signing: EncodingKey::from_secret(signing),
            verifying: keyring
                .signing_keys()
                .map(|(id, key)| (id.to_owned(), DecodingKey::from_secret(key)))
                .collect(),
            validation,
            lifetime,
        }
    }

    pub fn lifetime(&self) -> TimeDelta {
        self.lifetime
    }

    /// Issues a token for a session; `None` if it cannot be signed.
    pub fn issue(&self, claims: AccessClaims, now: DateTime<Utc>) -> Option<String> {
        let mut header = Header::new(ALGORITHM);
        header.kid = Some(self.key_id.clone());
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: claims.user,
            sid: claims.session,
            iat: now.timestamp(),
            exp: (now + self.lifetime).timestamp(),
        };
        encode(&header, &claims, &self.signing).ok()
    }

    /// Returns the user and session of a token if its signature is valid and it has not expired. The caller must check
    /// that the session still exists.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Option<AccessClaims> {
        let key_id = decode_header(token).ok()?.kid?;
        let (_, key) = self.verifying.iter().find(|(id, _)| *id == key_id)?;
        let claims = decode::<Claims>(token, key, &self.validation).ok()?.claims;
        (now.timestamp() < claims.exp).then_some(AccessClaims {
            user: claims.sub,
            session: claims.sid,
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;
    use crate::random;

    fn keyring(byte: u8) -> Keyring {
        Keyring::parse(&STANDARD.encode([byte; 32])).unwrap()
    }

    fn claims() -> AccessClaims {
        AccessClaims {
            user: random::id::<UserId>(),
            session: random::id::<SessionId>(),
        }
    }

    #[test]
    fn a_token_is_good_until_it_expires() {
        let tokens = AccessTokens::new(&keyring(1), TimeDelta::minutes(15));
        let (now, claims) = (DateTime::from_timestamp(1_800_000_000, 0).unwrap(), claims());
        let token = tokens.issue(claims, now).unwrap();
        assert_eq!(tokens.verify(&token, now), Some(claims));
        assert_eq!(tokens.verify(&token, now + TimeDelta::seconds(899)), Some(claims));
        assert_eq!(tokens.verify(&token, now + TimeDelta::seconds(900)), None);
    }

    #[test]
    fn another_key_algorithm_audience_or_issuer_is_refused() {
        let tokens = AccessTokens::new(&keyring(1), TimeDelta::minutes(15));
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let foreign = AccessTokens::new(&keyring(2), TimeDelta::minutes(15));
        assert_eq!(tokens.verify(&foreign.issue(claims(), now).unwrap(), now), None);

        let ours = keyring(1);
        let (id, key) = ours.signing_key();
        let forged = |algorithm, issuer: &str, audience: &str| {
            let mut header = Header::new(algorithm);
            header.kid = Some(id.to_owned());
            let exp = now.timestamp() + 60;
            let claims = json!({"iss": issuer, "aud": audience, "sub": random::id::<UserId>(),
                "sid": random::id::<SessionId>(), "iat": 0, "exp": exp});
            encode(&header, &claims, &EncodingKey::from_secret(key)).unwrap()
        };
        assert!(
            tokens
                .verify(&forged(Algorithm::HS256, ISSUER, AUDIENCE), now)
                .is_some()
        );
        assert!(
            tokens
                .verify(&forged(Algorithm::HS512, ISSUER, AUDIENCE), now)
                .is_none()
        );
        assert!(
            tokens
                .verify(&forged(Algorithm::HS256, "other", AUDIENCE), now)
                .is_none()
        );
        assert!(
            tokens
                .verify(&forged(Algorithm::HS256, ISSUER, "other"), now)
                .is_none()
        );

        let signed = forged(Algorithm::HS256, ISSUER, AUDIENCE);
        let payload = signed.split('.').nth(1).unwrap();
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "kid": id}).to_string());
        assert!(tokens.verify(&format!("{header}.{payload}."), now).is_none());
    }
}
