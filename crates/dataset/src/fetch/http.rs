//! One request: a file, or the rest of one.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use ureq::config::Config;
use ureq::http::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, LAST_MODIFIED,
    RANGE, RETRY_AFTER,
};
use ureq::http::{HeaderMap, HeaderName};
use ureq::{Agent, Timeout};

use super::{FetchError, Network, Proxy, Reason};

/// Makes requests under the limits of a [`Network`].
pub(super) struct Client<'a> {
    agent: Agent,
    network: &'a Network,
}

/// What a server answered.
pub(super) enum Answer {
    /// Bytes from `start` on: 0 if it sends the whole file.
    Body { body: Box<dyn Read>, start: u64, identity: Identity },
    /// There is nothing from `offset` on: the file has this many bytes in all.
    Ended { total: Option<u64> },
    /// Nothing of use; where the server said when to come back, after how long.
    Refused { reason: Reason, retry_after: Option<Duration> },
}

/// What tells one version of a file from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    /// A strong ETag or else the time of the last change; empty if the server gave neither.
    pub validator: String,
    /// Bytes of the whole file, where announced.
    pub total: Option<u64>,
}

impl<'a> Client<'a> {
    /// A client; `https_only` refuses redirects to anything else.
    pub fn new(network: &'a Network, https_only: bool) -> Result<Self, FetchError> {
        let proxy = match &network.proxy {
            Proxy::Environment => ureq::Proxy::try_from_env(),
            Proxy::None => None,
            Proxy::Address(address) => {
                let proxy = ureq::Proxy::new(address);
                Some(proxy.map_err(|_| FetchError::Proxy { address: address.clone() })?)
            }
        };
        let config = Config::builder()
            .https_only(https_only)
            .proxy(proxy)
            .http_status_as_error(false)
            .max_redirects(network.redirects)
            .user_agent(concat!("flatiron/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(network.connect_timeout))
            .timeout_connect(Some(network.connect_timeout))
            .timeout_send_request(Some(network.stall_timeout))
            .timeout_recv_response(Some(network.stall_timeout))
            // No limit on the whole body: a slow line is fine as long as something arrives.
            .timeout_per_read(Some(network.stall_timeout))
            .build();
        Ok(Self { agent: config.new_agent(), network })
    }

    /// Asks for `url` from byte `offset` on, if it is still the file that `identity` was.
    pub fn ask(&self, url: &str, offset: u64, identity: &Identity) -> Result<Answer, Reason> {
        // A server that compressed the answer on the way would make offsets meaningless.
        let mut request = self.agent.get(url).header(ACCEPT_ENCODING, "identity");
        if offset > 0 {
            request = request.header(RANGE, format!("bytes={offset}-"));
            if !identity.validator.is_empty() {
                request = request.header(IF_RANGE, &identity.validator);
            }
        }
        let response = request.call().map_err(|error| self.reason(error))?;
        let headers = response.headers();
        let found = Identity { validator: validator(headers), total: None };
        let length = text(headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok());
        match response.status().as_u16() {
            200 if is_html(headers) => Err(Reason::HtmlPage),
            200 => {
                let identity = Identity { total: length, ..found };
                let body = Box::new(response.into_body().into_reader());
                Ok(Answer::Body { body, start: 0, identity })
            }
            206 => {
                let range = text(headers, &CONTENT_RANGE).unwrap_or_default();
                let (start, total) = content_range(range)
                    .ok_or_else(|| Reason::Protocol(format!("Content-Range {range:?}")))?;
                let identity = Identity { total, ..found };
                let body = Box::new(response.into_body().into_reader());
                Ok(Answer::Body { body, start, identity })
            }
            416 if offset > 0 => {
                let range = text(headers, &CONTENT_RANGE).unwrap_or_default();
                let total = range.strip_prefix("bytes */").and_then(|total| total.parse().ok());
                Ok(Answer::Ended { total })
            }
            status => {
                let seconds = text(headers, &RETRY_AFTER).and_then(|value| value.parse().ok());
                let retry_after = seconds.map(Duration::from_secs);
                Ok(Answer::Refused { reason: Reason::Status(status), retry_after })
            }
        }
    }

    /// What an error of the transport, while asking or while reading a body, comes down to.
    pub fn reason(&self, error: ureq::Error) -> Reason {
        match error {
            ureq::Error::HostNotFound => Reason::HostNotFound,
            ureq::Error::Timeout(Timeout::Resolve) => Reason::HostNotFound,
            ureq::Error::Timeout(Timeout::Connect) => Reason::Connection(format!(
                "not within {} s",
                self.network.connect_timeout.as_secs_f32()
            )),
            ureq::Error::Timeout(_) => Reason::Stalled(self.network.stall_timeout),
            ureq::Error::TooManyRedirects => Reason::Redirects(self.network.redirects),
            ureq::Error::RequireHttpsOnly(url) => Reason::Insecure(url),
            ureq::Error::Rustls(error) => Reason::Tls(error.to_string()),
            ureq::Error::Tls(error) => Reason::Tls(error.into()),
            // What the standard library says of a failed lookup has no kind of its own.
            ureq::Error::Io(error) if error.to_string().starts_with("failed to lookup address") => {
                Reason::HostNotFound
            }
            // So arrives what rustls refuses while it reads; a socket has no such error.
            ureq::Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
                Reason::Tls(error.to_string())
            }
            ureq::Error::Io(error) => Reason::Connection(error.to_string()),
            ureq::Error::ConnectProxyFailed(why) => Reason::Proxy(why),
            ureq::Error::ConnectionFailed => Reason::Connection("no reason given".into()),
            other => Reason::Protocol(other.to_string()),
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// What `If-Range` may hold: a strong ETag, or else a date (RFC 9110, section 13.1.5).
fn validator(headers: &HeaderMap) -> String {
    let tag = text(headers, &ETAG).filter(|tag| !tag.starts_with("W/"));
    tag.or(text(headers, &LAST_MODIFIED)).unwrap_or_default().into()
}

fn is_html(headers: &HeaderMap) -> bool {
    text(headers, &CONTENT_TYPE).is_some_and(|kind| {
        kind.trim_start().get(..9).is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"))
    })
}

/// Start and total of `bytes 100-199/1000`; the total is `*` where the server does not know it.
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.parse().ok()?, if total == "*" { None } else { Some(total.parse().ok()?) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_writes_them() {
        assert_eq!(content_range("bytes 100-199/1000"), Some((100, Some(1000))));
        assert_eq!(content_range("bytes 0-0/*"), Some((0, None)));
        for wrong in ["", "bytes */1000", "bytes 1-2", "items 1-2/3", "bytes a-2/3", "bytes 1-2/b"]
        {
            assert_eq!(content_range(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn where_https_is_asked_for_nothing_else_will_do() {
        let network = Network { proxy: Proxy::None, ..Network::default() };
        let client = Client::new(&network, true).unwrap();
        let answer = client.ask("http://127.0.0.1:9/", 0, &Identity::default());
        assert!(matches!(answer, Err(Reason::Insecure(_))));
    }
}
