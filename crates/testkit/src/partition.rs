//! Simulates a network partition. Child processes run in a network namespace of their own, connected to this one by a
//! virtual link. When the link is down, packets are lost silently, which no proxy can imitate: connections stay open,
//! and both ends wait.

use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A virtual network link that can be taken down.
pub struct NetworkLink {
    namespace: String,
    /// The name of this end's interface.
    end: String,
    /// The address of this end.
    pub address: String,
}

impl NetworkLink {
    /// Sets up the link; `None`, with a message on standard error, where that is not permitted.
    pub fn create() -> Option<Self> {
        static CREATED: AtomicUsize = AtomicUsize::new(0);
        let (process, number) = (std::process::id(), CREATED.fetch_add(1, Ordering::SeqCst));
        // An interface name has at most 15 characters.
        let (namespace, end, far) = (format!("sl{process}n{number}"), format!("sl{process}e{number}"), "far");
        let network = format!("10.213.{}", process % 256);
        let (address, other) = (format!("{network}.{}", 4 * number + 1), format!("{network}.{}", 4 * number + 2));
        let link = Self { namespace, end, address };
        let NetworkLink { namespace, end, address } = &link;
        let commands = [
            format!("netns add {namespace}"),
            format!("link add {end} type veth peer name {far} netns {namespace}"),
            format!("addr add {address}/30 dev {end}"),
            format!("link set {end} up"),
            format!("-n {namespace} addr add {other}/30 dev {far}"),
            format!("-n {namespace} link set {far} up"),
            format!("-n {namespace} link set lo up"),
        ];
        if commands.iter().all(|step| ip(step)) {
            return Some(link);
        }
        let _ = writeln!(
            std::io::stderr(),
            "no network partition was simulated: network namespaces are not permitted here"
        );
        None
    }

    /// The same command, run at the other end of the link.
    pub fn at_far_end(&self, command: &Command) -> Command {
        let mut there = Command::new("ip");
        there.args(["netns", "exec", &self.namespace]).arg(command.get_program()).args(command.get_args());
        there.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        there
    }

    /// Starts the partition.
    pub fn disconnect(&self) {
        assert!(ip(&format!("link set {} down", self.end)));
    }

    /// Ends the partition.
    pub fn reconnect(&self) {
        assert!(ip(&format!("link set {} up", self.end)));
    }
}

impl Drop for NetworkLink {
    fn drop(&mut self) {
        // Deleting the namespace deletes the link too.
        ip(&format!("netns delete {}", self.namespace));
    }
}

fn ip(arguments: &str) -> bool {
    Command::new("ip").args(arguments.split(' ')).output().is_ok_and(|done| done.status.success())
}
