//! The URL of a database, and how its server is verified: `postgres://user:password@host:port/database?…`.

use super::server::Server;
use domain::error::{Error, Resource, Result, because};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

const FORM: &str = "must be a URL such as postgres://user:password@host:5432/database?sslmode=verify-full";

/// Time limit for connecting to one host.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long sent data may stay unacknowledged before a connection counts as broken.
const SILENCE: Duration = Duration::from_secs(10);

/// The URL of a database. Displays without its password.
#[derive(Clone)]
pub struct StoreUrl {
    pub(super) config: Box<Config>,
    /// Unused if the URL disables TLS, or if the connection stays on the machine.
    pub(super) tls: Arc<ClientConfig>,
    /// What is known about the server, shared by all clones of this URL.
    pub(super) server: Arc<Server>,
    shown: String,
}

impl StoreUrl {
    /// Parses a URL. Beside the parameters of [`Config`], `sslmode` may be `verify-full` (the default; `require` and `verify-ca`
    /// mean the same here) or `disable`, and `sslrootcert` names a file of certificates to trust instead of the system's. If
    /// there are several hosts, the writable one is used.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], never with the password; [`Error::Io`] if certificates cannot be read.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong =
            |problem: &str| Error::argument("store", problem, "a URL that is not repeated: it may hold a password");
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(wrong(FORM));
        }
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        let mut others: Vec<&str> = Vec::new();
        let (mut mode, mut authority, mut any_host) = (None, None, false);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match decoded(pair).ok_or_else(|| wrong(FORM))? {
                (key, value) if key == "sslmode" => mode = Some(value),
                (key, value) if key == "sslrootcert" => authority = Some(PathBuf::from(value)),
                (key, _) => {
                    any_host |= key == "target_session_attrs";
                    others.push(pair);
                }
            }
        }
        let rest = if others.is_empty() { place.to_owned() } else { format!("{place}?{}", others.join("&")) };
        // The parser's message may repeat a part of the password.
        let mut config: Config = rest.parse().map_err(|_| wrong(FORM))?;
        if config.get_hosts().is_empty() {
            return Err(wrong("must name a host"));
        }
        let encrypted = match mode.as_deref() {
            None | Some("verify-full" | "verify-ca" | "require") => true,
            Some("disable") => false,
            Some(_) => return Err(wrong("must have an sslmode of verify-full or disable")),
        };
        let outside = config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)));
        let encrypted = encrypted && outside;
        let tls = tls(if encrypted { Some(authority) } else { None })?;
        config.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        if config.get_application_name().is_none() {
            config.application_name("signalloop");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECTING);
        }
        config.tcp_user_timeout(SILENCE).keepalives_idle(SILENCE);
        if !any_host {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let shown = shown(&config);
        Ok(Self { config: Box::new(config), tls, server: Arc::default(), shown })
    }

    /// Identifies this database and its schema, in 16 characters that are valid in a file name.
    pub fn short_name(&self) -> String {
        let place = format!("{} {}", self.shown, self.config.get_options().unwrap_or_default());
        let digest = ring::digest::digest(&ring::digest::SHA256, place.as_bytes());
        digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A decoded pair of the query.
fn decoded(pair: &str) -> Option<(String, String)> {
    let url = ::url::Url::parse(&format!("query://host/?{pair}")).ok()?;
    url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).next()
}

/// User, hosts and database, for people.
fn shown(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(at, host)| {
            let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                #[cfg(unix)]
                Host::Unix(folder) => format!("{}:{port}", folder.display()),
            }
        })
        .collect();
    let user = config.get_user().map(|user| format!("{user}@")).unwrap_or_default();
    let database = config.get_dbname().map(|name| format!("/{name}")).unwrap_or_default();
    format!("postgres://{user}{}{database}", hosts.join(","))
}

/// TLS that trusts only servers with a certificate for their host name, by the system's authorities or those of a file; without
/// either, no server.
fn tls(trusted: Option<Option<PathBuf>>) -> Result<Arc<ClientConfig>> {
    let unusable = |e: rustls::Error| Error::storage(Resource::Database, because("cannot prepare TLS", e));
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match trusted {
        None => builder.with_root_certificates(RootCertStore::empty()),
        Some(None) => builder.with_platform_verifier().map_err(unusable)?,
        Some(Some(path)) => {
            let unreadable =
                |e: Box<dyn std::error::Error + Send + Sync>| Error::io("read", &path, std::io::Error::other(e));
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(&path).map_err(|e| unreadable(e.into()))? {
                roots.add(certificate.map_err(|e| unreadable(e.into()))?).map_err(|e| unreadable(e.into()))?;
            }
            if roots.is_empty() {
                return Err(unreadable("it holds no certificate".into()));
            }
            builder.with_root_certificates(roots)
        }
    };
    Ok(Arc::new(builder.with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_itself_without_its_password_and_is_verified_unless_it_says_otherwise() {
        let url = StoreUrl::parse("postgres://me:se%2Fcret@db1,db2:6000/signals?application_name=x").unwrap();
        assert_eq!(url.to_string(), "postgres://me@db1:5432,db2:6000/signals");
        assert_eq!(format!("{url:?}"), url.to_string());
        assert_eq!(url.config.get_password(), Some(&b"se/cret"[..]));
        assert_eq!(url.config.get_ssl_mode(), SslMode::Require);
        assert_eq!(url.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        let plain = StoreUrl::parse("postgresql://me@localhost/signals?sslmode=disable").unwrap();
        assert_eq!(plain.config.get_ssl_mode(), SslMode::Disable);
        let here = StoreUrl::parse("postgres://me@%2Fvar%2Frun%2Fpostgresql/signals").unwrap();
        assert_eq!(here.config.get_ssl_mode(), SslMode::Disable);
    }

    #[test]
    fn a_wrong_url_is_refused_without_repeating_its_password() {
        for text in [
            "mysql://me:hunter2@host/x",
            "postgres://me:hunter2@host:port/x",
            "postgres://me:hunter2@host/x?sslmode=prefer",
            "postgres://me@host/x?hunter2=1",
            "postgres:///x?password=hunter2",
            "hunter2",
        ] {
            let error = StoreUrl::parse(text).unwrap_err();
            assert_eq!(error.code(), "ERR_INVALID_ARGUMENT", "{text}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let none = StoreUrl::parse("postgres://me@host/x?sslrootcert=/no/such/file").unwrap_err();
        assert_eq!(none.code(), "ERR_IO");
        assert!(none.to_string().contains("/no/such/file"), "{none}");
    }
}
