//! Rate limits on login attempts. Each node counts separately.
//!
//! Attempts are counted by account and network, so that an attacker who guesses passwords locks out only their own
//! network.
//!
//! A far larger limit by account bounds guesses from many networks. It does not apply to networks from which the
//! account signed in recently.

use std::net::IpAddr;
use std::time::Duration;

use super::network::network_of;
use super::rate_limit::{RateLimit, RecentKeys};
use slipway_domain::catalog::text::Username;

/// Period of the configured limits.
const PERIOD: Duration = Duration::from_mins(5);
/// Time after a sign-in during which a network is known for the account. Equals the longest session.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// Limits on login attempts in five minutes.
#[derive(Debug, Clone, Copy)]
pub struct LoginLimits {
    /// Limit for one account from one network.
    pub per_account: u32,
    /// Limit for one account from all networks without a recent sign-in of that account.
    pub per_account_anywhere: u32,
    /// Limit for one network, over all accounts without a recent sign-in from there.
    pub per_source: u32,
}

pub struct LoginAttempts {
    by_account_and_network: RateLimit,
    by_account: RateLimit,
    /// Keyed by network. An account that signed in from the network recently has a limit of its own there.
    by_source: RateLimit,
    /// Accounts with the networks from which they signed in.
    known: RecentKeys,
}

/// Refusal unless the database has a session of the account from that network.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AccountLimitExceeded(pub(super) Duration);

impl LoginAttempts {
    pub fn new(limits: LoginLimits) -> Self {
        let limit = |name, attempts| RateLimit::in_period(name, attempts, PERIOD);
        Self {
            by_account_and_network: limit("login_account_network", limits.per_account).with_room(4),
            by_account: limit("login_account", limits.per_account_anywhere),
            by_source: limit("login_source", limits.per_source),
            known: RecentKeys::new(KNOWN_FOR),
        }
    }

    /// Counts an attempt. An unknown account is counted in the same way.
    pub(super) fn count(
        &self,
        account: &str,
        source: Option<IpAddr>,
    ) -> Result<Result<(), AccountLimitExceeded>, Duration> {
        let network = source.map(network_of);
        let is_known = self.known.contains((account, network));
        if network.is_some() {
            // Other clients behind the same address must not use up the attempts of accounts known there.
            self.by_source.count((network, is_known.then_some(account)))?;
        }
        self.by_account_and_network.count((account, network))?;
        if is_known {
            return Ok(Ok(()));
        }
        Ok(self.by_account.count(account).map_err(AccountLimitExceeded))
    }

    /// Records that an account signed in or refreshed its session from a network.
    pub(super) fn record_sign_in(&self, account: &Username, source: Option<IpAddr>) {
        self.know(account.as_str(), source.map(network_of));
    }

    pub(super) fn know(&self, account: &str, network: Option<IpAddr>) {
        let key = (account, network);
        if network.is_some() && !self.known.contains(key) {
            // This attempt was counted for the whole network; later ones are counted for the account there.
            let _ = self.by_source.count((network, Some(account)));
        }
        self.known.insert(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn attempts(per_account: u32, per_account_anywhere: u32, per_source: u32) -> LoginAttempts {
        LoginAttempts::new(LoginLimits {
            per_account,
            per_account_anywhere,
            per_source,
        })
    }

    fn is_admitted(attempts: &LoginAttempts, account: &str, source: IpAddr) -> bool {
        attempts.count(account, Some(source)) == Ok(Ok(()))
    }

    #[test]
    fn attempts_are_limited_by_account_and_network_and_by_source() {
        let attempts = attempts(2, 100, 3);
        let source = address("192.0.2.1");
        assert!(is_admitted(&attempts, "anna", source));
        assert!(is_admitted(&attempts, "anna", source));
        assert!(!is_admitted(&attempts, "anna", source));
        // The source has also used up its three attempts.
        assert!(!is_admitted(&attempts, "berta", source));
        assert!(is_admitted(&attempts, "anna", address("192.0.2.2")));
        assert!(is_admitted(&attempts, "berta", address("192.0.2.2")));
    }

    #[test]
    fn guesses_from_many_networks_lock_out_only_those_who_never_signed_in_there() {
        let attempts = attempts(2, 4, 100);
        let anna = Username::parse("anna").unwrap();
        attempts.record_sign_in(&anna, Some(address("198.51.100.7")));
        for number in 0..10 {
            let _ = attempts.count("anna", Some(address(&format!("192.0.2.{number}"))));
        }
        assert!(matches!(
            attempts.count("anna", Some(address("203.0.113.1"))),
            Ok(Err(AccountLimitExceeded(_)))
        ));
        assert!(is_admitted(&attempts, "anna", address("198.51.100.7")));
        assert!(is_admitted(&attempts, "berta", address("203.0.113.1")));
    }

    #[test]
    fn others_behind_an_address_do_not_use_up_what_its_people_have() {
        let attempts = attempts(10, 100, 3);
        let (anna, office) = (Username::parse("anna").unwrap(), address("192.0.2.1"));
        attempts.record_sign_in(&anna, Some(office));
        for number in 0..10 {
            let _ = attempts.count(&format!("guess-{number}"), Some(office));
        }
        assert!(!is_admitted(&attempts, "berta", office));
        assert!(is_admitted(&attempts, "anna", office));
    }
}
