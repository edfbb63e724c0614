//! A real PgBouncer in front of the test server. Where PgBouncer is missing, a test says that it was skipped.

use crate::server::{Schema, ask};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running PgBouncer; stopped when dropped.
pub struct Pooler {
    pub url: String,
    role: String,
    schema_url: String,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Pooler {
    /// Starts one that leads to a schema; `None`, with a message on standard error, where PgBouncer is missing.
    pub fn start(schema: &Schema, settings: &str) -> Option<Self> {
        let Some(program) =
            ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| std::fs::exists(path).unwrap())
        else {
            let _ = writeln!(std::io::stderr(), "a test of poolers did not run: there is no pgbouncer");
            return None;
        };
        let name = schema.ask("SELECT current_schema()").remove(0);
        // A role whose sessions find the schema, since PgBouncer does not accept `options`.
        let role = format!("{name}_pool");
        schema.ask(&format!(
            "CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'pool'; ALTER ROLE {role} SET search_path = {name}"
        ));
        let server = schema.url.split(['@', '/']).find(|part| part.starts_with("127.0.0.1:")).unwrap();
        let port = server.rsplit(':').next().unwrap();
        let own = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\npostgres = host=127.0.0.1 port={port} dbname=postgres user={role} password=pool\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {}\nauth_type = any\nunix_socket_dir =\n{settings}\n",
            own.port()
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(program);
        if is_root() {
            // It refuses to run as root.
            command.args(["-u", "nobody"]);
        }
        let mut process = command.arg("-q").arg(&file).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while TcpStream::connect(own).is_err() {
            assert!(
                process.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(10),
                "it did not start"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        let url = format!("postgres://{role}@{own}/postgres?sslmode=disable");
        Some(Self { url, role, schema_url: schema.url.clone(), process, _folder: folder })
    }
}

#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // Fails if it has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let end =
            format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{}'", self.role);
        ask(&self.schema_url, &end);
        // The objects it created stay with the schema, which has an owner of its own.
        ask(
            &self.schema_url,
            &format!("REASSIGN OWNED BY {0} TO signalloop; DROP OWNED BY {0}; DROP ROLE {0}", self.role),
        );
    }
}
