//! Limits by source: what goes wrong too often from one place is refused before anything is asked of the broker. A source
//! of which nothing went wrong stands nowhere, and while no source is refused, a request looks at one number.

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http::StatusCode;
use strongroom_broker::Allowances;
use strongroom_domain::network::neighbourhood;
use strongroom_domain::{Code, Rate, Time};

use crate::router::{is_health, limited_paths};
use crate::source::Proxies;

#[derive(Debug, Clone, Default)]
pub struct SourceLimits {
    /// Requests that were refused: 401, 403, and logins that were not tried.
    pub failed: Option<Rate>,
    /// Requests of the exempt routes, but for health.
    pub exempt: Option<Rate>,
    pub proxies: Proxies,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Failed,
    Exempt,
}

#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) limits: SourceLimits,
    failed: Allowances<IpAddr>,
    exempt: Allowances<IpAddr>,
    exempt_paths: Vec<&'static str>,
    /// Until when there is a source that has failed too often; 0: none has.
    until: AtomicI64,
}

impl Sources {
    pub(crate) fn new(limits: SourceLimits) -> Self {
        Self {
            limits,
            failed: Allowances::default(),
            exempt: Allowances::default(),
            exempt_paths: limited_paths(),
            until: AtomicI64::new(0),
        }
    }

    /// Whether this source must wait before its request is routed, and for how long; `known` tells whether its token was
    /// verified here before. Who has such a token goes on: the failures may be those of another behind one address.
    pub(crate) fn refuse(
        &self,
        source: IpAddr,
        path: &str,
        now: impl Fn() -> Time,
        known: impl FnOnce() -> bool,
    ) -> Option<(Limit, Duration)> {
        if self.exempt_paths.contains(&path) {
            return Some((Limit::Exempt, self.takes_exempt(source, now)?));
        }
        if is_health(path) {
            return None;
        }
        let wait = self.refused(source, now)?;
        // A login proves itself by what it brings, and by no token.
        (is_login(path) || !known()).then_some((Limit::Failed, wait))
    }

    /// How long a source has to wait that has failed too often.
    fn refused(&self, source: IpAddr, now: impl Fn() -> Time) -> Option<Duration> {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return None;
        }
        let now = now();
        if now.0 >= until {
            let _ = self
                .until
                .compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed);
            return None;
        }
        let wait = self.failed.wait(&neighbourhood(source), self.limits.failed?, now);
        (!wait.is_zero()).then_some(wait)
    }

    pub(crate) fn has_failed(&self, source: IpAddr, now: impl Fn() -> Time) {
        let Some(rate) = self.limits.failed else { return };
        let now = now();
        let wait = self.failed.charge(&neighbourhood(source), rate, now);
        if !wait.is_zero() {
            self.until.fetch_max((now + wait).0, Ordering::Relaxed);
        }
    }

    /// How long until one more request of an exempt route is answered.
    fn takes_exempt(&self, source: IpAddr, now: impl Fn() -> Time) -> Option<Duration> {
        self.exempt
            .take(&neighbourhood(source), self.limits.exempt?, now())
            .err()
    }
}

/// Whether somebody is to be given a token who may be anybody.
fn is_login(path: &str) -> bool {
    path.starts_with("/api/v1/auth/") && (path.ends_with("/login") || begins_login(path))
}

/// Whether it begins a login, which is not known to fail: sources have few of these too, since each leaves an entry.
pub(crate) fn begins_login(path: &str) -> bool {
    path.starts_with("/api/v1/auth/") && path.ends_with("/start")
}

/// Whether an answer is one that sources have few of.
pub(crate) fn is_failure(status: StatusCode, code: Option<Code>) -> bool {
    matches!(
        code,
        Some(Code::LoginDelayed | Code::IssuerUnavailable | Code::AuthorizationPending | Code::SlowDown)
    ) || matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(failed: u32) -> Sources {
        Sources::new(SourceLimits {
            failed: Rate::new(failed, Duration::from_mins(1)),
            ..SourceLimits::default()
        })
    }

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_is_refused_for_its_own_failures_and_no_longer_than_it_is_told() {
        let (sources, start) = (sources(3), Time(1));
        for _ in 0..3 {
            assert_eq!(sources.refused(at("192.0.2.1"), || start), None);
            sources.has_failed(at("192.0.2.1"), || start);
        }
        let wait = sources.refused(at("::ffff:192.0.2.1"), || start).unwrap();
        assert_eq!(wait, Duration::from_secs(20));
        assert_eq!(sources.refused(at("192.0.2.2"), || start), None);
        let almost = start + wait.saturating_sub(Duration::from_micros(1));
        assert!(sources.refused(at("192.0.2.1"), || almost).is_some());
        assert_eq!(sources.refused(at("192.0.2.1"), || start + wait), None);
        let unread = || -> Time { panic!("while nobody is refused, no clock is read") };
        assert_eq!(sources.refused(at("192.0.2.1"), unread), None);
    }

    #[test]
    fn a_network_of_64_bits_is_one_source() {
        let (sources, now) = (sources(100), Time(1));
        for host in 0..100 {
            sources.has_failed(at(&format!("2001:db8:0:7::{host:x}")), || now);
        }
        assert!(sources.refused(at("2001:db8:0:7:ffff::1"), || now).is_some());
        assert_eq!(sources.refused(at("2001:db8:0:8::1"), || now), None);
    }

    #[test]
    fn health_is_never_refused_and_known_tokens_go_on() {
        let sources = Sources::new(SourceLimits {
            failed: Rate::new(1, Duration::from_mins(1)),
            exempt: Rate::new(1, Duration::from_mins(1)),
            proxies: Proxies::default(),
        });
        let refuse = |path, known| sources.refuse(at("192.0.2.1"), path, || Time(1), || known);
        sources.has_failed(at("192.0.2.1"), || Time(1));
        assert_eq!(refuse("/metrics", false), None, "an allowance of its own");
        for path in ["/metrics", "/", "/api/v1/openapi.json", "/.well-known/jwks.json"] {
            assert!(matches!(refuse(path, true), Some((Limit::Exempt, _))), "{path}");
        }
        for path in ["/api/v1/auth/client/login", "/api/v1/secrets/a", "/nowhere"] {
            assert!(matches!(refuse(path, false), Some((Limit::Failed, _))), "{path}");
            let login = is_login(path);
            assert_eq!(
                refuse(path, true).is_some(),
                login,
                "{path}: a login proves itself by no token"
            );
        }
        assert_eq!((refuse("/health", false), refuse("/ready", false)), (None, None));
    }

    #[test]
    fn what_asks_others_for_nobody_counts_as_failed() {
        for (status, code, counts) in [
            (400, Some(Code::AuthorizationPending), true),
            (429, Some(Code::SlowDown), true),
            (429, Some(Code::LoginDelayed), true),
            (503, Some(Code::IssuerUnavailable), true),
            (401, None, true),
            (400, Some(Code::InvalidRequest), false),
            (503, Some(Code::Overloaded), false),
            (429, Some(Code::RateLimited), false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_failure(status, code), counts, "{status} {code:?}");
        }
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let sources = sources(0);
        for _ in 0..1000 {
            sources.has_failed(at("192.0.2.1"), || Time(1));
            assert_eq!(sources.takes_exempt(at("192.0.2.1"), || Time(1)), None);
        }
        assert_eq!(sources.refused(at("192.0.2.1"), || Time(1)), None);
    }
}
