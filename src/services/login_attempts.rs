//! Limits on login attempts. Kept by each node for itself.
//!
//! Attempts count by account and network together, so that a stranger who guesses locks out nobody but itself. Guesses
//! from many networks are bounded by a far larger limit by account, which does not apply where the account signed in
//! from lately.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::rate_limit::{RateLimit, RecentKeys, retry_after_s};
use super::{Context, ServiceError};
use crate::catalog::text::Username;
use crate::storage::{sessions, users};

/// The period over which the configured attempts are allowed.
const PERIOD: Duration = Duration::from_mins(5);
/// A network counts as the account's own for so long after it signed in there, like the longest session.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// Attempts that are allowed in five minutes.
#[derive(Debug, Clone, Copy)]
pub struct LoginLimits {
    /// For one account from one network.
    pub per_account: u32,
    /// For one account from everywhere that it did not sign in from lately.
    pub per_account_anywhere: u32,
    /// From one network, over all accounts that did not sign in from there lately.
    pub per_source: u32,
}

pub struct LoginAttempts {
    by_account_and_network: RateLimit,
    by_account: RateLimit,
    /// By network, and by account where it is one that the network is known of.
    by_source: RateLimit,
    /// Accounts with the networks that they signed in from.
    known: RecentKeys,
}

/// An attempt that is refused unless the account signed in from there before, as far as the database remembers.
#[derive(Debug, PartialEq, Eq)]
struct TooManyAnywhere(Duration);

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

    /// Counts an attempt. An account that does not exist counts alike.
    fn count(&self, account: &str, source: Option<IpAddr>) -> Result<Result<(), TooManyAnywhere>, Duration> {
        let network = source.map(network_of);
        let is_known = self.known.contains((account, network));
        if network.is_some() {
            // Others behind the same address cannot use up what is left for those who sign in there every day.
            self.by_source.count((network, is_known.then_some(account)))?;
        }
        self.by_account_and_network.count((account, network))?;
        if is_known {
            return Ok(Ok(()));
        }
        Ok(self.by_account.count(account).map_err(TooManyAnywhere))
    }

    /// Remembers that an account signed in, or stayed signed in, from there.
    pub(super) fn signed_in(&self, account: &Username, source: Option<IpAddr>) {
        self.know(account.as_str(), source.map(network_of));
    }

    fn know(&self, account: &str, network: Option<IpAddr>) {
        let key = (account, network);
        if network.is_some() && !self.known.contains(key) {
            // This attempt counted for the network at large; the next ones count here.
            let _ = self.by_source.count((network, Some(account)));
        }
        self.known.insert(key);
    }
}

/// Counts an attempt at an account's password; the error says how long to wait.
pub(super) async fn count_login_attempt(
    ctx: &Context,
    account: &str,
    source: Option<IpAddr>,
) -> Result<(), ServiceError> {
    // A longer text is no account.
    let account: String = account.chars().take(128).collect();
    let counted = ctx.login_attempts.count(&account, source);
    let Err(TooManyAnywhere(wait)) = counted.map_err(refusal)? else {
        return Ok(());
    };
    if signed_in_before(ctx, &account, source).await? {
        ctx.login_attempts.know(&account, source.map(network_of));
        return Ok(());
    }
    Err(refusal(wait))
}

/// True if the account has a session that was used from this network, perhaps at another node or before a restart.
async fn signed_in_before(
    ctx: &Context,
    account: &str,
    source: Option<IpAddr>,
) -> Result<bool, ServiceError> {
    let (Ok(username), Some(source)) = (Username::parse(account), source) else {
        return Ok(false);
    };
    let Some(found) = users::find_anywhere_by_username(&ctx.db, &username).await? else {
        return Ok(false);
    };
    let network = network_of(source).to_string();
    Ok(sessions::is_of_network(&ctx.db, found.user.value.id, &network, ctx.now()).await?)
}

fn refusal(wait: Duration) -> ServiceError {
    ServiceError::RateLimited {
        what: "too many login attempts",
        retry_after_s: retry_after_s(wait),
    }
}

/// The network of one customer, which counts as one source: who has an IPv6 address has the whole /64.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
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
        // The source has used up its three as well.
        assert!(!is_admitted(&attempts, "berta", source));
        assert!(is_admitted(&attempts, "anna", address("192.0.2.2")));
        assert!(is_admitted(&attempts, "berta", address("192.0.2.2")));
    }

    #[test]
    fn guesses_from_many_networks_lock_out_only_those_who_never_signed_in_there() {
        let attempts = attempts(2, 4, 100);
        let anna = Username::parse("anna").unwrap();
        attempts.signed_in(&anna, Some(address("198.51.100.7")));
        for number in 0..10 {
            let _ = attempts.count("anna", Some(address(&format!("192.0.2.{number}"))));
        }
        assert!(matches!(
            attempts.count("anna", Some(address("203.0.113.1"))),
            Ok(Err(TooManyAnywhere(_)))
        ));
        assert!(is_admitted(&attempts, "anna", address("198.51.100.7")));
        assert!(is_admitted(&attempts, "berta", address("203.0.113.1")));
    }

    #[test]
    fn others_behind_an_address_do_not_use_up_what_its_people_have() {
        let attempts = attempts(10, 100, 3);
        let (anna, office) = (Username::parse("anna").unwrap(), address("192.0.2.1"));
        attempts.signed_in(&anna, Some(office));
        for number in 0..10 {
            let _ = attempts.count(&format!("guess-{number}"), Some(office));
        }
        assert!(!is_admitted(&attempts, "berta", office));
        assert!(is_admitted(&attempts, "anna", office));
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        let a: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        let b: IpAddr = "2001:db8:0:1:ffff::2".parse().unwrap();
        let c: IpAddr = "2001:db8:0:2::1".parse().unwrap();
        assert_eq!(network_of(a), network_of(b));
        assert_ne!(network_of(a), network_of(c));
        assert_eq!(
            network_of("::ffff:192.0.2.1".parse().unwrap()),
            network_of("192.0.2.1".parse().unwrap())
        );
    }
}
