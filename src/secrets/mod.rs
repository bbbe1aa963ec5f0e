//! Creation, hashing, encryption and comparison of secrets. No other module uses `aws-lc-rs` and `argon2` directly.
//!
//! Secrets that are only compared are stored as hashes. Secrets that must be read back (the gateway's app secrets) are
//! encrypted with the installation's key. No secret is ever logged, and the types that hold one have no `Debug` that
//! shows it.

mod access_token;
mod console_token;
mod device_token;
mod enrolment_code;
mod keyring;
mod mac;
mod password;
mod refresh_token;
mod token;

pub use access_token::{AccessClaims, AccessTokens};
pub use console_token::{
    ConsoleToken, form_token, new_visitor_cookie, notice_seal, verify_form_token, verify_notice_seal,
};
pub use device_token::{NewDeviceToken, PresentedDeviceToken};
pub use enrolment_code::{NewEnrolmentCode, PresentedEnrolmentCode};
pub use keyring::{Keyring, KeyringError, SealedSecret, sealed_for_app_key};
pub use mac::{MacKey, TAG_BYTES};
pub use password::{
    PasswordHash, hash_password, parse_password, verify_dummy, verify_own_password, verify_password,
};
pub use refresh_token::RefreshToken;
pub use token::{NewToken, PresentedToken, SecretHash, TokenKind, new_app_key, new_app_secret, new_password};
