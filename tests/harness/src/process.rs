//! Child processes that cannot outlive the test that started them, and the signals sent to them.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// A child that is killed on drop, and by the kernel when this process dies without dropping anything.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    watchdog: Option<Child>,
}

impl Process {
    /// Starts `command` with nothing on its input, and both outputs into `output`.
    pub(crate) fn spawn(command: &Command, output: &File) -> io::Result<Self> {
        let mut wrapped = Command::new("setpriv");
        wrapped.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(key, value),
                None => wrapped.env_remove(key),
            };
        }
        wrapped.stdout(output.try_clone()?).stderr(output.try_clone()?);
        match spawn_from_lasting_thread(wrapped) {
            Ok(child) => Ok(Process { child, watchdog: None }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Self::spawn_watched(command, output),
            Err(e) => Err(e),
        }
    }

    /// Where there is no `setpriv`: a shell that looks once a second whether this process still lives.
    fn spawn_watched(command: &Command, output: &File) -> io::Result<Self> {
        const WATCH: &str = "while kill -0 $0 && kill -0 $1; do sleep 1; done 2>&-; kill -9 $1";
        let mut plain = Command::new(command.get_program());
        plain.args(command.get_args());
        plain.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
        plain.stdout(output.try_clone()?).stderr(output.try_clone()?);
        let child = spawn_from_lasting_thread(plain)?;
        let ids = [std::process::id().to_string(), child.id().to_string()];
        let mut watchdog = Command::new("sh");
        watchdog.args(["-c", WATCH]).args(ids).stdout(Stdio::null()).stderr(Stdio::null());
        let watchdog = spawn_from_lasting_thread(watchdog)?;
        Ok(Process { child, watchdog: Some(watchdog) })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Whether it has ended.
    pub(crate) fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it has ended; `false` when it has not in time.
    pub(crate) fn wait(&mut self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            if self.ended() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for child in [Some(&mut self.child), self.watchdog.as_mut()].into_iter().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

type Order = (Command, Sender<io::Result<Child>>);

/// The kernel sends the death signal when the *thread* that made the child ends, and test threads end before the
/// children they share do. So one thread that never ends makes all children.
fn spawn_from_lasting_thread(mut command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        std::thread::Builder::new()
            .name("harness-spawner".into())
            .spawn(move || {
                for (mut command, answer) in inbox {
                    let _ = answer.send(command.spawn());
                }
            })
            .map(|_| orders)
            .expect("a thread can be started")
    });
    // A group of its own: Ctrl-C at the terminal is for the test, which then takes its children along.
    command.stdin(Stdio::null()).process_group(0);
    let (answer, result) = channel();
    let gone = || io::Error::other("the thread that starts processes is gone");
    spawner.send((command, answer)).map_err(|_| gone())?;
    result.recv().map_err(|_| gone())?
}
