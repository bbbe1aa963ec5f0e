//! Limits on login attempts, by account and by source address. Kept by each node for itself.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::ServiceError;

/// The period over which the configured attempts are allowed.
const PERIOD: Duration = Duration::from_mins(5);

pub struct LoginAttempts {
    by_account: DefaultKeyedRateLimiter<String>,
    by_source: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl LoginAttempts {
    /// Allows so many attempts in five minutes.
    pub fn new(per_account: u32, per_source: u32) -> Self {
        Self {
            by_account: RateLimiter::keyed(quota(per_account)),
            by_source: RateLimiter::keyed(quota(per_source)),
            clock: DefaultClock::default(),
        }
    }

    /// Counts an attempt; the error says how long to wait. An account that does not exist counts alike.
    pub(super) fn count(&self, account: &str, source: Option<IpAddr>) -> Result<(), ServiceError> {
        self.count_source(source)?;
        // A longer text is no account, and must not be kept as one.
        let account: String = account.chars().take(128).collect();
        self.by_account
            .check_key(&account)
            .map_err(|until| refusal(until.wait_time_from(self.clock.now())))
    }

    /// Counts an attempt that names no account.
    pub(super) fn count_source(&self, source: Option<IpAddr>) -> Result<(), ServiceError> {
        let Some(source) = source else {
            return Ok(());
        };
        self.by_source
            .check_key(&whole_network(source))
            .map_err(|until| refusal(until.wait_time_from(self.clock.now())))
    }

    /// Forgets accounts and sources that have been quiet, so that the tables stay small.
    pub(super) fn forget_quiet(&self) {
        self.by_account.retain_recent();
        self.by_source.retain_recent();
    }
}

fn refusal(wait: Duration) -> ServiceError {
    ServiceError::RateLimited {
        what: "too many login attempts",
        retry_after_s: wait.as_secs() + 1,
    }
}

/// So many attempts in five minutes.
pub(super) fn quota(attempts: u32) -> Quota {
    let burst = NonZeroU32::new(attempts).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(PERIOD / burst.get())
        .unwrap_or_else(|| Quota::per_second(burst))
        .allow_burst(burst)
}

/// One who has an IPv6 address has the whole /64.
pub(super) fn whole_network(address: IpAddr) -> IpAddr {
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

    #[test]
    fn attempts_are_limited_by_account_and_by_source() {
        let attempts = LoginAttempts::new(2, 3);
        let source: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(attempts.count("anna", Some(source)).is_ok());
        assert!(attempts.count("anna", Some(source)).is_ok());
        assert!(attempts.count("anna", Some(source)).is_err());
        // The source has used up its three as well.
        assert!(attempts.count("berta", Some(source)).is_err());
        assert!(
            attempts
                .count("berta", Some("192.0.2.2".parse().unwrap()))
                .is_ok()
        );
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        let a: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        let b: IpAddr = "2001:db8:0:1:ffff::2".parse().unwrap();
        let c: IpAddr = "2001:db8:0:2::1".parse().unwrap();
        assert_eq!(whole_network(a), whole_network(b));
        assert_ne!(whole_network(a), whole_network(c));
        assert_eq!(
            whole_network("::ffff:192.0.2.1".parse().unwrap()),
            whole_network("192.0.2.1".parse().unwrap())
        );
    }
}
