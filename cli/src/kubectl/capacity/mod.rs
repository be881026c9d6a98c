//! `kubectl marsad capacity` (R1.1-24, R1.1-43).

mod inputs;
mod show;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use marsad_capacity::{Measured, Model, workbook};

use self::inputs::Inputs;

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: Inputs,

    /// What is printed; yaml are the IngestPools to apply
    #[arg(short, long, value_enum, default_value_t = Output::Table, value_name = "FORMAT")]
    output: Output,

    /// Also write the model as a workbook (XLSX), whose inputs can be changed
    #[arg(long, value_name = "FILE")]
    workbook: Option<PathBuf>,

    /// Count with figures measured elsewhere; a file like capacity/measured.json
    #[arg(long, value_name = "FILE")]
    measured: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Csv,
    Json,
    Yaml,
}

/// Prints the plan.
///
/// # Errors
/// When a file can't be read or written.
pub(crate) fn run(args: &Args) -> Result<()> {
    let measured = match &args.measured {
        None => Measured::committed()?,
        Some(file) => {
            let of = || format!("--measured {}", file.display());
            let text = std::fs::read_to_string(file).with_context(of)?;
            Measured::parse(&text).with_context(of)?
        }
    };
    let model = Model::new(&args.inputs.agencies);
    let plan = model.evaluate(&args.inputs.values, &measured)?;
    if let Some(file) = &args.workbook {
        let bytes = workbook(&model, &plan, &measured)?;
        std::fs::write(file, bytes).with_context(|| {
            format!(
                "--workbook {}: name a file in a folder that is there",
                file.display()
            )
        })?;
    }
    let text = match args.output {
        Output::Table => show::table(&plan),
        Output::Csv => show::csv(&plan),
        Output::Json => show::json(&plan)?,
        Output::Yaml => show::yaml(&plan)?,
    };
    // Standard output is for what was asked for, also when it is read by a program.
    for warning in plan.warnings() {
        eprintln!("note: {warning}");
    }
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // `| head` has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output"),
    }
}
