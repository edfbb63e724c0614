//! The arguments of the scheduler and of alerts.

use super::values::{task, time};
use clap::Subcommand;
use scheduler::Task;

/// The scheduler's commands, by a subcommand or by the `--mode` of the previous system.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SchedulerArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Scheduler>,
    /// The same as the subcommand of this name
    #[arg(long, value_enum)]
    pub mode: Option<SchedulerMode>,
    /// The task of `--mode once`
    #[arg(long, value_parser = task(), hide_possible_values = true, requires = "mode")]
    pub task: Option<Task>,
}

/// The scheduler's commands in the names of the previous system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SchedulerMode {
    /// Run what is due
    Run,
    /// Run one task now
    Once,
    /// Show when each task is due
    Status,
}

/// What to do with the scheduler.
#[derive(Debug, Clone, Subcommand)]
pub enum Scheduler {
    /// Run tasks when they are due, until Ctrl-C or SIGTERM; stands by while another process of the home does
    Run,
    /// Run one task now
    Once(Once),
    /// Show when each task is due, and the result of its last run
    Status,
    /// Print the due times within a period, as if each task had last run at its beginning
    Next(Next),
}

/// What to do with alerts.
#[derive(Debug, Clone, Subcommand)]
pub enum Alerts {
    /// Send a test message to each destination of `alerts` in scheduler_config.json, and say what came of it
    Test {
        /// Only to the destination with this name
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
    },
}

/// Which task to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Once {
    /// fetch, retrain, update, evaluate or watch
    #[arg(long, value_parser = task(), hide_possible_values = true)]
    pub task: Task,
}

/// The period and the task.
#[derive(Debug, Clone, clap::Args)]
pub struct Next {
    /// After this time, such as 2026-03-28T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: i64,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: i64,
    /// Only of this task [default: all but watch]
    #[arg(long, value_parser = task(), hide_possible_values = true)]
    pub task: Option<Task>,
}

impl SchedulerArgs {
    /// The command.
    ///
    /// # Errors
    /// A sentence that says which argument is missing or superfluous.
    pub fn command(&self) -> Result<Scheduler, &'static str> {
        match (&self.command, self.mode, self.task) {
            (Some(command), _, _) => Ok(command.clone()),
            (None, Some(SchedulerMode::Once), Some(task)) => Ok(Scheduler::Once(Once { task })),
            (None, Some(SchedulerMode::Once), None) => {
                Err("--mode once needs --task: fetch, retrain, update, evaluate or watch")
            }
            (None, _, Some(_)) => Err("--task is for --mode once: it runs one task now"),
            (None, Some(SchedulerMode::Run), None) => Ok(Scheduler::Run),
            (None, Some(SchedulerMode::Status), None) => Ok(Scheduler::Status),
            (None, None, None) => Err("say what to do: run, once, status or next; or --mode run, once or status"),
        }
    }
}
