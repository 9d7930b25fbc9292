//! A program on the facade that serves Prometheus text, under a small load.

mod load;

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use memory::{MemorySystem, metrics};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

/// What the command line says.
struct Options {
    listen: SocketAddr,
    url: String,
    duration: Duration,
}

impl Options {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            url: "sqlite::memory:".to_owned(),
            duration: Duration::MAX,
        };
        let mut arguments = env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--listen" => options.listen = value.parse()?,
                "--url" => options.url = value,
                "--seconds" => options.duration = Duration::from_secs(value.parse()?),
                _ => {
                    return Err(
                        format!("unknown option {name}; use --listen, --url or --seconds").into(),
                    );
                }
            }
        }
        Ok(options)
    }
}

/// Installs an exporter with the buckets that the metrics ask for.
fn install_exporter(listen: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut exporter = PrometheusBuilder::new().with_http_listener(listen);
    for metric in metrics::ALL {
        if !metric.buckets().is_empty() {
            let name = Matcher::Full(metric.name().to_owned());
            exporter = exporter.set_buckets_for_metric(name, metric.buckets())?;
        }
    }
    exporter.install()?;
    metrics::describe();
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    install_exporter(options.listen)?;
    let memory = MemorySystem::open(&options.url).await?;
    println!("serving http://{}/metrics", options.listen);
    // An elapsed timeout is the normal end.
    let _ = tokio::time::timeout(options.duration, load::run(&memory)).await;
    memory.close().await?;
    Ok(())
}
