//! `oarlock detokenize`: ids to their exact bytes.

use oarlock::visible::Visible;

use crate::terminal::errors::Outcome;
use crate::terminal::{console, input};
use crate::{args, model};

/// Writes the bytes to stdout, and nothing else; to a terminal so that they can be seen.
pub fn run(args: &args::Detokenize) -> Outcome {
    let text = match args.ids.as_slice() {
        [one] if one == "-" => input::stdin()?,
        all => all.join(" "),
    };
    let file = model::open(&args.model, None)?;
    let model = model::model(&file)?;
    let tokenizer = *model::encoder(&file, &model)?.tokenizer();
    let ids = input::ids("ids", &text, model.config().vocab_size)?;
    let (first, rest) = ids.split_at(ids.len().min(1));
    let first = first.iter().flat_map(|&id| tokenizer.first_bytes(id));
    let bytes = first.chain(rest.iter().flat_map(|&id| tokenizer.bytes(id)));
    let bytes: Vec<u8> = bytes.copied().collect();
    model::unchanged(&file)?;
    if console::is_terminal() && !args.raw {
        return console::put(Visible::lines(&bytes).to_string().as_bytes());
    }
    console::put(&bytes)
}
