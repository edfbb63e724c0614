//! Simulates a network partition. Child processes run in a network namespace of their own, connected to this one by a
//! virtual link. When the link is down, packets are lost silently, which no proxy can imitate: connections stay open,
//! and both ends wait.

use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

pub struct Cable {
    namespace: String,
    /// The name of this end's interface, and its address.
    end: String,
    pub address: String,
}

impl Cable {
    /// Sets up the link; `None`, with a message on standard error, where that is not permitted.
    pub fn lay() -> Option<Self> {
        static LAID: AtomicUsize = AtomicUsize::new(0);
        let (process, number) = (std::process::id(), LAID.fetch_add(1, Ordering::SeqCst));
        // An interface name has at most 15 characters.
        let (namespace, end, far) = (format!("sl{process}n{number}"), format!("sl{process}e{number}"), "far");
        let network = format!("10.213.{}", process % 256);
        let (address, other) = (format!("{network}.{}", 4 * number + 1), format!("{network}.{}", 4 * number + 2));
        let cable = Self { namespace, end, address };
        let Cable { namespace, end, address } = &cable;
        let laid = [
            format!("netns add {namespace}"),
            format!("link add {end} type veth peer name {far} netns {namespace}"),
            format!("addr add {address}/30 dev {end}"),
            format!("link set {end} up"),
            format!("-n {namespace} addr add {other}/30 dev {far}"),
            format!("-n {namespace} link set {far} up"),
            format!("-n {namespace} link set lo up"),
        ];
        if laid.iter().all(|step| ip(step)) {
            return Some(cable);
        }
        let _ = writeln!(std::io::stderr(), "no cable was pulled: network namespaces are not permitted here");
        None
    }

    /// The same command, run at the other end of the link.
    pub fn beyond(&self, command: &Command) -> Command {
        let mut there = Command::new("ip");
        there.args(["netns", "exec", &self.namespace]).arg(command.get_program()).args(command.get_args());
        there.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        there
    }

    pub fn pull(&self) {
        assert!(ip(&format!("link set {} down", self.end)));
    }

    pub fn plug(&self) {
        assert!(ip(&format!("link set {} up", self.end)));
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // Deleting the namespace deletes the link too.
        ip(&format!("netns delete {}", self.namespace));
    }
}

fn ip(arguments: &str) -> bool {
    Command::new("ip").args(arguments.split(' ')).output().is_ok_and(|done| done.status.success())
}
