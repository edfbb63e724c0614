//! The host names under which the live view and the server for agents answer. Under any other name, a page of another site could read the data
//! by DNS rebinding: its own name may resolve to this machine. Numeric addresses are safe.

use domain::error::{Error, Result};
use std::net::{IpAddr, SocketAddr};

/// The requirement for an allowed host.
const ALLOWED: &str = "must be host names as a browser shows them, such as `ops.example.com` or `ops.example.com:8443`, without \
    scheme, path or wildcards";

/// The permitted host names: this machine's own name, every numeric address, and the allowed ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    /// In lower case, some with a port.
    allowed: Vec<String>,
}

impl Hosts {
    /// Permits addresses, this machine's own name, and `allowed`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything that is not a host name.
    pub fn new(allowed: Vec<String>) -> Result<Self> {
        let allowed = allowed.into_iter().map(|name| match is_name(&name) {
            true => Ok(normal(&name)),
            false => Err(Error::argument("allowedHosts", ALLOWED, format!("`{name}`"))),
        });
        Ok(Self { allowed: allowed.collect::<Result<_>>()? })
    }

    /// Whether a request with this `Host` is answered. Browsers always send one.
    pub fn permit(&self, host: &str) -> bool {
        let host = normal(host);
        let name = without_port(&host);
        host.parse::<SocketAddr>().is_ok()
            || host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
            || name == "localhost"
            || self.allowed.iter().any(|allowed| *allowed == host || *allowed == name)
    }
}

/// Whether the page of another site sent a request, by its headers `Sec-Fetch-Site`, `Origin` and `Host`. A browser marks such a request
/// with the first or the second; a request without both does not come from a current browser.
pub fn is_from_another_site(fetch_site: Option<&str>, origin: Option<&str>, host: Option<&str>) -> bool {
    match fetch_site {
        Some(site) => !matches!(site, "same-origin" | "none"),
        None => origin.is_some_and(|origin| {
            let of_origin = origin.split_once("://").map(|(_, host)| host);
            of_origin.is_none() || of_origin != host
        }),
    }
}

/// The message for a request with a name that is not permitted.
pub(super) fn refusal(host: Option<&str>) -> String {
    let Some(host) = host.filter(|host| is_name(host)) else {
        return "this page is shown under an address or an allowed name only, and the request names none\n".to_owned();
    };
    let name = normal(host);
    let name = without_port(&name);
    format!(
        "this page is not shown under the name `{name}`: another site could point its own name at this address. If the name is \
         yours, allow it: dashboard({{ allowedHosts: ['{name}'] }}). X-Forwarded-Host is not looked at\n"
    )
}

/// In lower case, without a trailing dot.
fn normal(host: &str) -> String {
    let host = host.trim().to_ascii_lowercase();
    let (name, port) = host.split_at(without_port(&host).len());
    format!("{}{port}", name.strip_suffix('.').unwrap_or(name))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a text is a host name, with or without a port.
fn is_name(text: &str) -> bool {
    let name = without_port(text);
    let port = text[name.len()..].trim_start_matches(':');
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let ported = text.len() == name.len() || port.parse::<u16>().is_ok();
    ported && name.len() <= 253 && !name.starts_with('.') && !name.is_empty() && name.bytes().all(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_this_machine() {
        let hosts = Hosts::default();
        for host in
            ["127.0.0.1:4600", "127.0.0.1", "[::1]:80", "[::1]", "localhost:1", "LOCALHOST", "localhost.", "10.0.0.7:9"]
        {
            assert!(hosts.permit(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example:80",
            "localhost.evil.example",
            "1.2.3.4@evil",
            "localhost:1@evil.example",
            "localhost:evil",
            "evil.example:localhost",
        ] {
            assert!(!hosts.permit(host), "{host}");
        }
    }

    #[test]
    fn and_the_names_that_are_allowed() {
        let hosts = Hosts::new(vec!["Ops.Example.com".to_owned(), "other.example:8443".to_owned()]).unwrap();
        for host in ["ops.example.com", "OPS.example.com:3000", "ops.example.com.", "other.example:8443", "localhost:9"]
        {
            assert!(hosts.permit(host), "{host}");
        }
        for host in ["example.com", "a.ops.example.com", "ops.example.com.evil", "other.example", "other.example:80"] {
            assert!(!hosts.permit(host), "{host}");
        }
    }

    #[test]
    fn invalid_host_names_are_refused() {
        for name in [
            "",
            "*",
            "*.example.com",
            "https://ops.example.com",
            "ops.example.com/x",
            "a b",
            "x:99999",
            ".example.com",
            "a:b",
        ] {
            let error = Hosts::new(vec![name.to_owned()]).unwrap_err();
            assert_eq!(error.code(), "ERR_INVALID_ARGUMENT", "{name}");
            assert!(error.to_string().contains("`allowedHosts` must be host names"), "{error}");
        }
    }

    #[test]
    fn the_refusal_echoes_only_valid_names() {
        assert!(refusal(Some("Ops.example.com:3000")).contains("dashboard({ allowedHosts: ['ops.example.com'] })"));
        for odd in [None, Some("<script>"), Some("a'b")] {
            let said = refusal(odd);
            assert!(said.contains("names none") && !said.contains(['<', '\'']), "{odd:?}: {said}");
        }
    }
}
