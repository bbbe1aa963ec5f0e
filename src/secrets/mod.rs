//! Secrets: how they are made, hashed, encrypted and compared. The sole user of the cryptographic libraries.
//!
//! What is only ever compared is stored as a hash; what must be read back (the gateway's app secrets) is sealed with
//! the installation's key. Nothing here is ever logged, and the types that hold a secret have no `Debug` that shows it.

mod access_token;
mod device_token;
mod enrolment_code;
mod keyring;
mod mac;
mod password;
mod refresh_token;
mod token;

pub use access_token::{AccessClaims, AccessTokens};
pub use device_token::{NewDeviceToken, PresentedDeviceToken};
pub use enrolment_code::{NewEnrolmentCode, PresentedEnrolmentCode};
pub use keyring::{Keyring, KeyringError, SealedSecret, sealed_for_app_key};
pub use mac::{MacKey, TAG_BYTES};
pub use password::{
    PasswordHash, hash_password, parse_password, verify_own_password, verify_password, verify_unknown,
};
pub use refresh_token::RefreshToken;
pub use token::{
    NewToken, PresentedToken, TokenKind, new_app_key, new_app_secret, new_password, secret_matches,
};
