//! A network of its own for child processes, and the cable between it and this one. Pulled, packets are lost without a word, as
//! no proxy can lose them: connections stay open, and both ends wait.

use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

pub struct Cable {
    namespace: String,
    /// This end's interface, and its address.
    end: String,
    pub address: String,
}

impl Cable {
    /// Lays one; `None`, told to whoever looks, where that is not permitted.
    pub fn lay() -> Option<Self> {
        static LAID: AtomicUsize = AtomicUsize::new(0);
        let (process, number) = (std::process::id(), LAID.fetch_add(1, Ordering::SeqCst));
        // An interface's name has 15 letters at most.
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

    /// The same command, in the network at its other end.
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
        // The cable goes with the network at its end.
        ip(&format!("netns delete {}", self.namespace));
    }
}

fn ip(arguments: &str) -> bool {
    Command::new("ip").args(arguments.split(' ')).output().is_ok_and(|done| done.status.success())
}
