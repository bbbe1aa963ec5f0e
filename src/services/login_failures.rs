//! Failed logins, and the limits on those that are audited.
//!
//! The limits by network and for unknown accounts keep an attacker from filling the audit.

use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::network::network_of;
use super::rate_limit::RateLimit;
use slipway_domain::access::User;
use slipway_domain::catalog::text::Username;

const PERIOD: Duration = Duration::from_mins(5);
/// Audited failures from one network per period, for all accounts together.
const OF_NETWORK: u32 = 20;
/// Audited failures of unknown accounts per hour, from all networks together.
const OF_UNKNOWN_ACCOUNTS: u32 = 200;

/// Limits on audited login failures. Each node counts separately.
pub struct LoginFailures {
    of_account: RateLimit,
    of_network: RateLimit,
    of_unknown: RateLimit,
    /// Number of failures left out since the last audited one.
    pub(super) left_out: AtomicU64,
}

/// A failed login.
pub(super) struct LoginFailure<'a> {
    /// Username as sent. It may be a password that was typed into the wrong field.
    pub(super) given: &'a str,
    /// `None` for an unknown account.
    pub(super) user: Option<&'a User>,
    pub(super) address: Option<IpAddr>,
    pub(super) reason: &'static str,
}

impl LoginFailures {
    pub fn new() -> Self {
        Self {
            of_account: RateLimit::in_period("login_audit_account", 1, PERIOD),
            of_network: RateLimit::in_period("login_audit_network", OF_NETWORK, PERIOD),
            of_unknown: RateLimit::in_period(
                "login_audit_unknown",
                OF_UNKNOWN_ACCOUNTS,
                Duration::from_hours(1),
            ),
            left_out: AtomicU64::new(0),
        }
    }

    pub(super) fn is_audited(&self, account: &str, failure: &LoginFailure<'_>) -> bool {
        let network = failure.address.map(network_of);
        self.of_account.count((account, network)).is_ok()
            && self.of_network.count(network).is_ok()
            && (failure.user.is_some() || self.of_unknown.count(()).is_ok())
    }
}

impl Default for LoginFailures {
    fn default() -> Self {
        Self::new()
    }
}

impl LoginFailure<'_> {
    /// Returns the account for the log and the audit. Text that is not a valid username is replaced.
    pub(super) fn account(&self) -> &str {
        match self.user {
            Some(user) => user.username.as_str(),
            None if Username::parse(self.given).is_ok() => self.given,
            None => "(not a username)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure<'a>(given: &'a str, address: &str) -> LoginFailure<'a> {
        LoginFailure {
            given,
            user: None,
            address: address.parse().ok(),
            reason: "unknown_account",
        }
    }

    #[test]
    fn a_text_that_cannot_be_a_username_is_not_repeated() {
        let long = "x".repeat(129);
        for given in ["Correct Horse", "hunter2!", "", long.as_str()] {
            assert_eq!(failure(given, "::1").account(), "(not a username)");
        }
        assert_eq!(failure("li.na", "::1").account(), "li.na");
    }

    #[test]
    fn a_flood_is_audited_within_bounds() {
        let failures = LoginFailures::new();
        let audited = |given: &str, address: &str| failures.is_audited(given, &failure(given, address));
        assert!(audited("li.na", "192.0.2.1") && !audited("li.na", "192.0.2.1"));
        assert!(audited("li.na", "192.0.2.2"));
        let of_one_network = (0..100).filter(|n| audited(&format!("user{n}"), "192.0.2.3"));
        assert_eq!(of_one_network.count(), 20);
        let of_many = (0..1_000).filter(|n| audited("somebody", &format!("10.0.{}.{}", n / 250, n % 250)));
        assert!(of_many.count() <= 200);
    }
}
