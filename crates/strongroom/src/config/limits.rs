//! The settings of who may ask how often.

use std::time::Duration;

use strongroom_domain::{Network, Rate};
use strongroom_http::{ForwardedHeader, Proxies, SourceLimits};

use super::Reader;

const MINUTE: Duration = Duration::from_mins(1);

impl Reader<'_> {
    /// 0: no limit.
    pub(super) fn rate(&mut self, name: &str, period: Duration) -> Option<Rate> {
        let count = self.number(name, 0..=1_000_000);
        Rate::new(u32::try_from(count).unwrap_or(0), period)
    }

    pub(super) fn sources(&mut self) -> SourceLimits {
        let header = self.text("forwarded_header").unwrap_or_default();
        let header = header.parse::<ForwardedHeader>().unwrap_or_else(|()| {
            self.mistakes
                .push("'forwarded_header' is not 'x-forwarded-for' or 'forwarded'.".into());
            ForwardedHeader::default()
        });
        let trusted = self.text("trusted_proxies").unwrap_or_default();
        let mut networks = Vec::new();
        for network in trusted.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            match Network::parse(network) {
                Ok(network) => networks.push(network),
                Err(error) => self.mistakes.push(format!("'trusted_proxies': {}", error.detail)),
            }
        }
        SourceLimits {
            failed: self.rate("limits.failed_per_source_per_minute", MINUTE),
            exempt: self.rate("limits.exempt_per_source_per_minute", MINUTE),
            proxies: Proxies {
                trusted: networks,
                header,
            },
        }
    }
}
