//! The parent of the processes: starts them, collects their events, tells some what
//! others did, and kills parts when the plan says so.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use memory_testkit::SeededRng;

use super::content::Class;
use super::event::{Change, Entry, Event, Micros, Outcome, now};
use super::plan::{Action, Fault, Kind, Plan, Target};
use super::process::Servers;
use super::worker::Request;

/// Processes of each kind.
const PROCESSES_PER_KIND: usize = 2;

/// What the second process that recalls may lack of others' writes.
const BOUND: Duration = Duration::from_secs(1);

/// How long processes may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);

/// How long after a fault its phase ends: by then clients have connected again.
pub(super) const RECOVERY: Duration = Duration::from_secs(5);

/// A fault as it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastFault {
    /// What happened.
    pub fault: Fault,
    /// When.
    pub began: Micros,
    /// When the part was started or continued again.
    pub ended: Micros,
}

/// Kills, stops and starts the servers: a line on stdout for the task that has started
/// them, and a line from it on stdin when that is done.
struct Control(Receiver<String>);

impl Control {
    /// Reads stdin in a thread. Where it is closed, the task is gone and the servers with
    /// it: then this process ends, and with it those that it has started.
    fn new() -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
            std::process::exit(1);
        });
        Self(receiver)
    }

    fn order(&self, target: Target, order: &str) -> Result<(), Box<dyn Error>> {
        let server = match target {
            Target::Valkey => "valkey",
            Target::Standby => "standby",
            Target::Postgres => "postgres",
            Target::Worker(_) => return Err("a process is no server".into()),
        };
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{server} {order}")?;
        stdout.flush()?;
        match self.0.recv()?.as_str() {
            "done" => Ok(()),
            answer => Err(format!("{server} {order}: {answer:?}").into()),
        }
    }
}

/// How processes are started.
#[derive(Debug, Clone)]
pub struct ProcessOptions {
    /// The size of the load.
    pub plan: Plan,
    /// The servers.
    pub servers: Servers,
    /// The name of a fault that every process has.
    pub test_fault: Option<String>,
}

/// A running process.
struct Process {
    number: u16,
    kind: Kind,
    slot: usize,
    child: Child,
    requests: Option<ChildStdin>,
}

/// The run: dropping it kills the processes.
pub struct Run {
    options: ProcessOptions,
    control: Control,
    processes: Vec<Process>,
    next_number: u16,
    sender: Sender<Entry>,
    receiver: Receiver<Entry>,
    entries: Vec<Entry>,
    /// Faults that are to come, the next one last.
    upcoming: Vec<Fault>,
    active: Option<Fault>,
    faults: Vec<PastFault>,
    kinds: HashMap<u16, Kind>,
    /// Changes that have begun.
    open: HashMap<(u16, u64), Change>,
    /// How many of the memories from before the run are forgotten.
    forgotten: u32,
    rng: SeededRng,
}

/// What happened in a run.
pub struct Recording {
    /// All events, in the order in which they arrived.
    pub entries: Vec<Entry>,
    /// All faults.
    pub faults: Vec<PastFault>,
    /// The kind of each process.
    pub kinds: HashMap<u16, Kind>,
}

impl Run {
    /// Starts the processes.
    ///
    /// # Errors
    /// If one cannot be started.
    pub fn start(options: ProcessOptions) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let mut upcoming = options.plan.faults();
        upcoming.reverse();
        let mut run = Self {
            options,
            control: Control::new(),
            processes: Vec::new(),
            next_number: 1,
            sender,
            receiver,
            entries: Vec::new(),
            upcoming,
            active: None,
            faults: Vec::new(),
            kinds: HashMap::new(),
            open: HashMap::new(),
            forgotten: 0,
            rng: SeededRng::new(15),
        };
        for slot in 0..PROCESSES_PER_KIND {
            for kind in Kind::ALL {
                run.spawn(kind, slot)?;
            }
        }
        Ok(run)
    }

    fn spawn(&mut self, kind: Kind, slot: usize) -> io::Result<()> {
        let number = self.next_number;
        self.next_number += 1;
        let bound = match (kind, slot) {
            (Kind::Recall, 1) => BOUND,
            _ => Duration::ZERO,
        };
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--process", &number.to_string(), "--kind", kind.name()])
            .args(["--bound-ms", &bound.as_millis().to_string()])
            .args(["--plan", &serde_json::to_string(&self.options.plan)?])
            .args(["--servers", &serde_json::to_string(&self.options.servers)?]);
        if let Some(fault) = &self.options.test_fault {
            command.args(["--test-fault", fault]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let requests = child.stdin.take();
        if let Some(stdout) = child.stdout.take() {
            let sender = self.sender.clone();
            thread::spawn(move || {
                let lines = BufReader::new(stdout).lines().map_while(Result::ok);
                for line in lines {
                    // The last line of a killed process may be cut off: it says nothing.
                    if let Ok(event) = serde_json::from_str(&line) {
                        let _ = sender.send(Entry {
                            process: number,
                            event,
                        });
                    }
                }
            });
        }
        self.kinds.insert(number, kind);
        self.processes.push(Process {
            number,
            kind,
            slot,
            child,
            requests,
        });
        Ok(())
    }

    /// Collects events until so much of the run is over, and does what is due.
    ///
    /// # Errors
    /// If a process ends by itself, or a server cannot be started again.
    pub fn collect(&mut self, start: Instant, until: Duration) -> Result<(), Box<dyn Error>> {
        let mut checked = Instant::now();
        while start.elapsed() < until {
            match self.receiver.recv_timeout(Duration::from_millis(20)) {
                Ok(entry) => self.add(entry),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err("no process is left".into()),
            }
            self.advance_faults(start)?;
            if checked.elapsed() > Duration::from_secs(1) {
                checked = Instant::now();
                self.check_processes()?;
            }
        }
        Ok(())
    }

    fn check_processes(&mut self) -> Result<(), Box<dyn Error>> {
        for process in &mut self.processes {
            if let Some(status) = process.child.try_wait()? {
                let (number, kind) = (process.number, process.kind.name());
                return Err(format!("process {number} ({kind}) ended: {status}").into());
            }
        }
        Ok(())
    }

    /// Keeps an event, and has other processes look at what it did.
    fn add(&mut self, entry: Entry) {
        let process = entry.process;
        match &entry.event {
            Event::Began {
                operation, change, ..
            } => {
                self.open.insert((process, *operation), change.clone());
            }
            Event::Ended {
                operation, outcome, ..
            } => {
                let change = self.open.remove(&(process, *operation));
                if let (Some(change), Outcome::Done { .. }) = (change, outcome) {
                    self.react(process, &change);
                }
            }
            _ => {}
        }
        self.entries.push(entry);
    }

    fn react(&mut self, process: u16, change: &Change) {
        match change {
            Change::Retain {
                entity, memories, ..
            } => {
                let memory = *self.rng.pick(memories);
                let entity = *entity;
                if self.rng.one_in(2) {
                    self.ask(process, Kind::Recall, Request::Probe { entity, memory });
                }
                let is_unique = memory.class() == Class::Unique;
                if is_unique && self.rng.one_in(4) {
                    self.ask(
                        process,
                        Kind::Maintenance,
                        Request::Forget { entity, memory },
                    );
                } else if is_unique && self.rng.one_in(4) {
                    self.forget_filled(process);
                }
            }
            Change::Forget { entity, memory } => {
                let request = Request::Probe {
                    entity: *entity,
                    memory: *memory,
                };
                self.ask(process, Kind::Recall, request);
                if self.rng.one_in(3) {
                    self.ask(process, Kind::Retain, request);
                }
            }
            Change::Prune { .. } | Change::Consolidate { .. } => {}
        }
    }

    /// Has a memory forgotten that was there before the run.
    fn forget_filled(&mut self, process: u16) {
        let plan = &self.options.plan;
        let (entity, index) = (
            self.forgotten % plan.entities,
            self.forgotten / plan.entities,
        );
        let memory = plan
            .filled(entity)
            .nth(usize::try_from(index).unwrap_or(usize::MAX));
        if let Some(memory) = memory {
            self.forgotten += 1;
            self.ask(
                process,
                Kind::Maintenance,
                Request::Forget { entity, memory },
            );
        }
    }

    /// Sends a request to a process of this kind, another one if there is one.
    fn ask(&mut self, by: u16, kind: Kind, request: Request) {
        let others = self.processes.iter_mut();
        let mut others: Vec<&mut Process> = others
            .filter(|process| process.kind == kind && process.number != by)
            .collect();
        if others.is_empty() {
            return;
        }
        let index = self.rng.below(others.len());
        let Ok(mut line) = serde_json::to_vec(&request) else {
            return;
        };
        line.push(b'\n');
        if let Some(requests) = &mut others[index].requests {
            // A process that was killed takes none.
            let _ = requests.write_all(&line);
        }
    }

    /// Begins and ends faults that are due.
    fn advance_faults(&mut self, start: Instant) -> Result<(), Box<dyn Error>> {
        let elapsed = start.elapsed();
        if let Some(fault) = self.active {
            if elapsed >= fault.at + fault.lasts {
                self.recover(fault)?;
                self.active = None;
                if let Some(past) = self.faults.last_mut() {
                    past.ended = now();
                }
            }
            return Ok(());
        }
        if let Some(fault) = self.upcoming.pop_if(|fault| fault.at <= elapsed) {
            let began = now();
            self.faults.push(PastFault {
                fault,
                began,
                ended: Micros::MAX,
            });
            self.active = Some(fault);
            self.strike(fault)?;
        }
        Ok(())
    }

    fn strike(&mut self, fault: Fault) -> Result<(), Box<dyn Error>> {
        match (fault.target, fault.action) {
            (Target::Worker(kind), _) => {
                let index = self.processes.iter().position(|it| it.kind == kind);
                let index = index.ok_or("no process of this kind is left")?;
                let mut process = self.processes.remove(index);
                process.child.kill()?;
                process.child.wait()?;
                self.spawn(kind, process.slot)?;
                Ok(())
            }
            (server, Action::Kill) => self.control.order(server, "kill"),
            (server, Action::Stop) => self.control.order(server, "stop"),
        }
    }

    fn recover(&self, fault: Fault) -> Result<(), Box<dyn Error>> {
        match (fault.target, fault.action) {
            (Target::Worker(_), _) => Ok(()),
            (server, Action::Kill) => self.control.order(server, "start"),
            (server, Action::Stop) => self.control.order(server, "continue"),
        }
    }

    /// Has the processes end in order, and returns what happened.
    ///
    /// # Errors
    /// If one does not end, or not in order.
    pub fn finish(mut self) -> Result<Recording, Box<dyn Error>> {
        if let Some(fault) = self.active.take() {
            self.recover(fault)?;
        }
        for process in &mut self.processes {
            process.requests = None;
        }
        let start = Instant::now();
        while !self.processes.is_empty() {
            while let Ok(entry) = self.receiver.recv_timeout(Duration::from_millis(20)) {
                self.add(entry);
            }
            let mut failed = None;
            self.processes
                .retain_mut(|process| match process.child.try_wait() {
                    Ok(None) => true,
                    Ok(Some(status)) if status.success() => false,
                    outcome => {
                        failed = Some(format!("process {}: {outcome:?}", process.number));
                        false
                    }
                });
            if let Some(failed) = failed {
                return Err(failed.into());
            }
            if start.elapsed() > STOP_TIMEOUT {
                return Err("processes do not end".into());
            }
        }
        // What they wrote last.
        while let Ok(entry) = self.receiver.recv_timeout(Duration::from_millis(200)) {
            self.add(entry);
        }
        Ok(Recording {
            entries: std::mem::take(&mut self.entries),
            faults: std::mem::take(&mut self.faults),
            kinds: std::mem::take(&mut self.kinds),
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // It may have ended.
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}
