//! `run`: a command with a preview that ends with it, whatever ends it.
//!
//! Four things end the preview: the command's end; a signal to this process; the [guard](super::guard), a process of its own
//! that sees the end of a pipe when this one is killed; and, when the machine is gone, its time to live, which is short
//! and lengthened while the command runs.

use std::process::ExitStatus;
use std::time::Duration;

use byway_api::{Preview, Ttl};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::api::PostParams;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::process::{Child, Command};

use super::Done;
use super::extend::lengthen;
use super::guard::Guard;
use super::marked::{RUN_ANNOTATION, delete};
use super::start::Ready;
use crate::args::{Global, RunArgs};
use crate::client::{FIELD_MANAGER, failure};
use crate::events::{Event, Step};
use crate::exit::{Exit, Failure};
use crate::progress::{How, Progress};
use crate::reach::Reach;
use crate::words;

mod signals;

use signals::Signals;

/// How long a preview outlives a machine that is gone.
const OUTLIVES: Duration = Duration::from_secs(15 * 60);
/// Longest wait for the end of the preview; after that the guard goes on trying.
const END: Duration = Duration::from_secs(30);

pub(super) async fn run(global: &Global, args: &RunArgs) -> Done {
    let how = if args.output.is_some() { How::ProgramsBeside } else { How::People };
    let mut progress = Progress::new(how);
    // From here on no signal ends this process before it has cleaned up.
    let mut signals = Signals::new()?;
    let mut what = args.what.clone();
    what.ttl = what.ttl.or_else(|| what.file.is_none().then(outlives));
    let ready = tokio::select! {
        ready = Ready::prepare(global, &what, args.name.as_deref(), &mut progress) => ready?,
        signal = signals.next() => return Err(interrupted(signal)),
    };
    if let Some(before) = &ready.place.before {
        return Err(exists(before));
    }
    tokio::select! {
        done = ready.try_out() => done?,
        signal = signals.next() => return Err(interrupted(signal)),
    }
    let run = Run { ready, mark: mark() };
    let guard = Guard::start(global, &run.ready.object(), &run.mark)?;
    let done = run.with_preview(args, &mut signals, &mut progress).await;
    // Whatever has happened, the preview goes.
    match run.end(&mut progress).await {
        Ok(()) => guard.dismiss().await,
        Err(failure) => progress.warn(&format!(
            "cannot end the preview yet: {failure}; a process stays behind and goes on trying"
        )),
    }
    done
}

struct Run {
    ready: Ready,
    mark: String,
}

impl Run {
    async fn with_preview(&self, args: &RunArgs, signals: &mut Signals, progress: &mut Progress) -> Done {
        let started = async {
            let preview = self.create(progress).await?;
            self.ready.wait(preview, progress).await
        };
        let preview = tokio::select! {
            preview = started => preview?,
            signal = signals.next() => return Err(interrupted(signal)),
        };
        progress.tell(&Event::ready(&preview));
        let mut command = self.command(args, &preview);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                let message = format!("cannot run {}: {error}", args.command[0].display());
                progress.fail(&Failure::new(Exit::Failed, "CannotRun", message));
                // As shells have it.
                return Ok(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 });
            }
        };
        progress
            .tell(&Event::new(Step::Running, format!("running {}", args.command[0].display())).of(&preview));
        progress.pause();
        let status = self.attend(&mut child, &preview, signals, progress).await?;
        let code = code(status);
        if let Some(failure) = self.is_over().await {
            // What the command has seen since then was the stable version.
            if code == 0 {
                return Err(failure);
            }
            progress.warn(&failure.to_string());
        }
        if args.output.is_some() {
            progress.tell(
                &Event::new(Step::Ended, format!("the command ended: {status}")).of(&preview).exit(code),
            );
        }
        Ok(code)
    }

    /// Never one that is there already: it would not be ours to delete.
    async fn create(&self, progress: &mut Progress) -> Result<Preview, Failure> {
        let mut object = self.ready.object();
        object["metadata"]["annotations"][RUN_ANNOTATION] = json!(self.mark);
        let object: Preview = serde_json::from_value(object)
            .map_err(|error| Failure::invalid(format!("it makes no Preview: {error}")))?;
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let preview = self.ready.api.create(&params, &object).await.map_err(|error| failure(&error))?;
        self.ready.keep_secrets(&preview).await?;
        let message = format!("preview {} created: key {}", words::full_name(&preview), self.ready.place.key);
        progress.tell(&Event::new(Step::Created, message).of(&preview));
        Ok(preview)
    }

    fn command(&self, args: &RunArgs, preview: &Preview) -> Command {
        let key = &self.ready.place.key;
        let header = Reach::of(&preview.spec, key).headers(key).into_iter().next().unwrap_or_default();
        let mut command = Command::new(&args.command[0]);
        command
            .args(&args.command[1..])
            .env("BYWAY_KEY", key.as_str())
            .env("BYWAY_HEADER", header)
            .env("BYWAY_PREVIEW", preview.name_any())
            .env("BYWAY_NAMESPACE", preview.namespace().unwrap_or_default());
        command
    }

    /// Until the command ends: passes signals on, and lengthens the preview's life.
    async fn attend(
        &self,
        child: &mut Child,
        preview: &Preview,
        signals: &mut Signals,
        progress: &mut Progress,
    ) -> Result<ExitStatus, Failure> {
        let step = match preview.spec.ttl {
            Ttl::For(length) => Duration::try_from(length).unwrap_or(OUTLIVES) / 3,
            Ttl::Never => Duration::from_secs(24 * 3600),
        };
        let mut renew = tokio::time::interval_at(tokio::time::Instant::now() + step, step);
        renew.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                status = child.wait() => {
                    return status.map_err(|error| Failure::new(Exit::Failed, "CannotRun", error.to_string()));
                }
                signal = signals.next() => pass_on(child, signal),
                _ = renew.tick() => {
                    // Once more may do: two more steps fit into its life.
                    if let Err(error) = lengthen(&self.ready.api, preview, preview.spec.ttl).await {
                        progress.warn(&format!("cannot lengthen the preview's life: {}", failure(&error)));
                    }
                }
            }
        }
    }

    /// Whether the preview ended before the command did.
    async fn is_over(&self) -> Option<Failure> {
        let found = self.ready.api.get_opt(&self.ready.place.name).await.ok()?;
        let ended = found.is_none_or(|it| words::state(&it, Timestamp::now()) == "expired");
        let message = "the preview ended before the command did, whose last requests met the stable version";
        ended.then(|| {
            Failure::new(Exit::PreviewFailed, "Expired", message).fix(
                "give a --ttl that covers the command; a warning above says why it could not be lengthened",
            )
        })
    }

    /// Deletes the preview, if it is this run's, and sees to it that it is gone.
    async fn end(&self, progress: &mut Progress) -> Result<(), Failure> {
        let (api, name) = (&self.ready.api, &self.ready.place.name);
        let until = tokio::time::Instant::now() + END;
        loop {
            match delete(api, name, &self.mark).await {
                Ok(_) => break,
                Err(failure) if failure.exit != Exit::Unreachable || tokio::time::Instant::now() > until => {
                    return Err(failure);
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
        progress.tell(&Event::new(Step::Stopped, format!("preview {name} ended")));
        Ok(())
    }
}

fn outlives() -> Ttl {
    Ttl::For(SignedDuration::try_from(OUTLIVES).unwrap_or(SignedDuration::from_mins(15)))
}

fn pass_on(child: &Child, signal: Signal) {
    // At a terminal, the kernel has sent it to the command as well.
    if signal != Signal::SIGTERM && signals::is_foreground() {
        return;
    }
    if let Some(pid) = child.id() {
        let _ = kill(Pid::from_raw(pid as i32), signal); // it may have ended
    }
}

/// As shells have it: 128 and the signal.
fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or_else(|| status.signal().map(|it| 128 + it)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

fn mark() -> String {
    format!("{:016x}", fastrand::u64(..))
}

fn interrupted(signal: Signal) -> Failure {
    let exit = match signal {
        Signal::SIGTERM => Exit::Terminated,
        Signal::SIGHUP => Exit::HungUp,
        _ => Exit::Interrupted,
    };
    Failure::new(exit, "Interrupted", format!("interrupted by {signal} before the command was started"))
}

fn exists(before: &Preview) -> Failure {
    let place = words::place(before);
    let message = format!(
        "Preview {} is there already, and would not be this command's to end",
        words::full_name(before)
    );
    Failure::new(Exit::Invalid, "Exists", message).fix(format!(
        "leave out the key and the name to get new ones, or `kubectl preview stop {place}` first"
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn the_exit_code_is_the_commands_or_128_and_the_signal() {
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        assert_eq!(code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code(ExitStatus::from_raw(15)), 143);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
    }

    #[test]
    fn signals_have_exit_codes_as_shells_have_them() {
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            assert_eq!(i32::from(interrupted(signal).exit.code()), 128 + signal as i32);
        }
    }
}
