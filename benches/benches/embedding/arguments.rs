//! What the caller asks for.

use std::error::Error;
use std::path::PathBuf;

use super::engine::Engine;
use super::work::Work;

/// Turns measured unless the caller says otherwise: those of four
/// conversations.
const TURNS: usize = 2_080;

pub(crate) struct Arguments {
    /// `--data FILE`: conversations in the LoCoMo format.
    pub(crate) data: Option<PathBuf>,
    /// `--turns N`: at most so many turns of them.
    pub(crate) turns: usize,
    /// `--peak GFLOPS`: the machine's peak, in place of the measured one.
    pub(crate) peak: Option<f64>,
    /// `--row ENGINE WORK`: this process measures one row.
    pub(crate) row: Option<(Engine, Work)>,
}

impl Arguments {
    pub(crate) fn read() -> Result<Self, Box<dyn Error>> {
        let mut read = Self {
            data: None,
            turns: TURNS,
            peak: None,
            row: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--data" => read.data = Some(value()?.into()),
                "--turns" => read.turns = value()?.parse()?,
                "--peak" => read.peak = Some(value()?.parse()?),
                "--row" => {
                    let (engine, work) = (value()?, value()?);
                    let engine = Engine::named(&engine).ok_or("no such engine in this build")?;
                    read.row = Some((engine, Work::named(&work).ok_or("no such work")?));
                }
                // Cargo tells a bench that it is one.
                "--bench" => {}
                other => return Err(format!("{other} is not understood").into()),
            }
        }
        Ok(read)
    }
}
