//! `memory reflect`: the memories most relevant to a text, quoted for a prompt.

use memory::{InvalidInput, MemoryError, RecallRequest, ReflectRequest};

use crate::commands::recall::note_without_vectors;
use crate::database::Database;
use crate::exit::{Code, Failure};
use crate::filters::Filters;
use crate::output::{Output, count_noun, note};
use memory_json::ReflectAnswer;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Entity whose memories to search
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Query text, 1 to 10,000 characters
    #[arg(value_name = "TEXT")]
    text: String,

    /// Maximum number of memories, 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = RecallRequest::DEFAULT_LIMIT)]
    limit: usize,

    /// Maximum length of the output in characters, 1 to 1,000,000
    #[arg(long, value_name = "N", default_value_t = ReflectRequest::DEFAULT_CONTEXT_CHARS)]
    max_chars: usize,

    #[command(flatten)]
    filters: Filters,
}

/// Prints what a language model would be given; the command itself calls none.
pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let recall = RecallRequest::new(args.text)
        .filter(args.filters.into_filter()?)
        .limit(args.limit);
    let request = ReflectRequest::new(recall).max_context_chars(args.max_chars);
    let max = ReflectRequest::MAX_CONTEXT_CHARS;
    if !(1..=max).contains(&args.max_chars) {
        let message = format!("--max-chars is {}; it must be 1 to {max}", args.max_chars);
        return Err(Failure::new(Code::InvalidInput, "invalid_input", message));
    }
    request.validate()?;
    let system = database.open_for_recall().await?;
    let reflection = system.reflect(args.entity.as_str(), request).await;
    let reflection = reflection.map_err(name_option)?;
    if output.is_json() {
        return output.write_json(&ReflectAnswer::from(&reflection));
    }
    note_without_vectors(reflection.without_vectors, reflection.by_previous_model);
    if reflection.memories.is_empty() {
        note(format_args!("no memory matches"));
    }
    if reflection.omitted > 0 {
        let more = count_noun(
            reflection.omitted as u64,
            "more memory matches and has",
            "more memories match and have",
        );
        note(format_args!("{more} no room; raise --max-chars"));
    }
    for line in reflection.text().lines() {
        output.write_line(format_args!("{line}"))?;
    }
    Ok(())
}

/// The error for a context without room for any memory, with the option that sets its
/// length.
fn name_option(error: MemoryError) -> Failure {
    let MemoryError::InvalidInput {
        problem:
            InvalidInput::ContextTooShort {
                max_chars,
                required,
                ..
            },
        ..
    } = error
    else {
        return error.into();
    };
    let message = format!(
        "--max-chars {max_chars} is too small for any of the matching memories; at least \
         {required} characters are needed"
    );
    Failure::new(Code::InvalidInput, "invalid_input", message)
}
