//! Reads, questions, and a load of all kinds of requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::BenchError;
use super::data::Data;
use super::results::{Latency, Load, Mixed, Overhead};
use super::server::{Client, Server};
use super::wrk::{Request, Wrk};
use crate::error::TaskError;

/// Questions that are asked again and again; their vectors fit into the embedding tier.
const REPEATED: usize = 20;

/// New questions that are timed at most.
const NEW: usize = 300;

/// Connections that read at once.
const CONNECTIONS: [u32; 3] = [1, 10, 100];

/// Of 100 requests of the mixed load.
const RECALLS: usize = 20;
const RETAINS: usize = 10;

/// Requests after which they are the same again, apart from new texts.
const PLANNED: usize = 10_000;

/// Entities to which the mixed load writes.
const WRITTEN_ENTITIES: usize = 100;

/// Asks each question once, by one connection.
pub(super) fn new_questions(client: &Client, data: &Data) -> Result<Latency, TaskError> {
    let path = Client::entity_path("recall");
    // The snapshot is loaded by a question that is not timed.
    client.post(&path, &json!({"text": "What happened first?"}))?;
    let mut seconds = Vec::new();
    for question in data.questions.iter().take(NEW) {
        let started = Instant::now();
        client.post(&path, &json!({"text": question}))?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    Ok(Latency::of(seconds))
}

fn recalls(data: &Data) -> impl Iterator<Item = Request> + '_ {
    let path = Client::entity_path("recall");
    let questions = data.questions.iter().take(REPEATED);
    questions.map(move |question| Request::post(path.clone(), json!({"text": question})))
}

/// Recalls of repeated questions by one connection, by the client's clock and by the
/// facade's; and the same connection without an operation.
pub(super) fn overhead(
    wrk: &Wrk,
    client: &Client,
    data: &Data,
    duration: Duration,
) -> Result<Overhead, TaskError> {
    const OPERATION: &str = "recall_report";
    let requests: Vec<_> = recalls(data).collect();
    wrk.run(client, &requests, 1, Duration::from_secs(1))?;
    let before = client.operations(OPERATION)?;
    let recall = wrk.run(client, &requests, 1, duration)?;
    let after = client.operations(OPERATION)?;
    let (count, seconds) = (after.0 - before.0, after.1 - before.1);
    let live = [Request::get("/health/live".to_owned())];
    Ok(Overhead {
        recall,
        facade_mean: seconds / count.max(1.0),
        empty: wrk.run(client, &live, 1, duration)?,
    })
}

/// The requests for single memories of the entity.
pub(super) fn gets(client: &Client) -> Result<Vec<Request>, TaskError> {
    let lines = client.export()?;
    let request = |line: &Value| {
        let id = line["id"].as_str().unwrap_or_default();
        Request::get(Client::entity_path(&format!("memories/{id}")))
    };
    Ok(lines.iter().map(request).collect())
}

/// Reads of single memories by more and more connections.
pub(super) fn measure_gets(
    wrk: &Wrk,
    client: &Client,
    gets: &[Request],
    duration: Duration,
) -> Result<Vec<Load>, TaskError> {
    // Fills the tier.
    wrk.run(client, gets, 10, Duration::from_secs(1))?;
    let mut loads = Vec::new();
    for connections in CONNECTIONS {
        let load = wrk.run(client, gets, connections, duration)?;
        println!("get, {connections} connections: {:.0}/s", load.per_second());
        loads.push(load);
    }
    Ok(loads)
}

/// Reads, recalls and retains by 100 connections.
pub(super) fn mixed(
    wrk: &Wrk,
    server: &Server,
    data: &Data,
    gets: &[Request],
    duration: Duration,
) -> Result<Mixed, TaskError> {
    let client = &server.client;
    let plan = plan(data, gets);
    let retained = || Ok::<_, TaskError>(client.operations("retain_batch")?.0);
    let retained_before = retained()?;
    let memory_before = server.resident()?.now;
    let has_ended = AtomicBool::new(false);
    let (load, memory_during) = thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut samples = Vec::new();
            while !has_ended.load(Ordering::Relaxed) {
                samples.push(server.resident().map_or(0, |it| it.now));
                thread::sleep(Duration::from_secs(1));
            }
            samples
        });
        let load = wrk.run(client, &plan, 100, duration);
        has_ended.store(true, Ordering::Relaxed);
        let samples = sampler.join().map_err(|_| BenchError::Panicked)?;
        Ok::<_, TaskError>((load?, samples))
    })?;
    // What the load left behind is freed, and access counts are written.
    thread::sleep(Duration::from_secs(5));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of operations"
    )]
    let retained = (retained()? - retained_before) as u64;
    Ok(Mixed {
        load,
        retained,
        memory_before,
        memory_during,
        memory_after: server.resident()?.now,
    })
}

/// Of 100 requests 70 read a memory, 20 recall and 10 retain, spread evenly.
fn plan(data: &Data, gets: &[Request]) -> Vec<Request> {
    let recalls: Vec<_> = recalls(data).collect();
    let mut gets = gets.iter().cycle().cloned();
    let mut recalls = recalls.iter().cycle().cloned();
    let mut plan = Vec::new();
    for number in 0..PLANNED {
        let place = number % 100;
        if place % (100 / RETAINS) == 0 {
            let entity = number / 10 % WRITTEN_ENTITIES;
            let text = &data.texts[number % data.texts.len()];
            let body = json!({"content": format!("{text} ({{N}})")});
            plan.push(Request::post(
                format!("/v1/entities/agent-{entity}/memories"),
                body,
            ));
        } else if place % (100 / RECALLS) == 2 {
            plan.extend(recalls.next());
        } else {
            plan.extend(gets.next());
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixed_load_has_its_shares_and_every_entity() {
        let gets = [Request::get("/get".to_owned())];
        let plan = plan(&Data::generate(), &gets);
        let count = |part: &str| {
            let paths = plan.iter().filter(|request| request.path.contains(part));
            paths.count()
        };
        assert_eq!(count("/get"), 7_000);
        assert_eq!(count("/recall"), 2_000);
        assert_eq!(count("/memories"), 1_000);
        assert_eq!(count("/agent-99/"), 10);
    }
}
