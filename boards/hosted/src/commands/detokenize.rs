//! `oarlock detokenize`: ids to their exact bytes.

use crate::errors::Outcome;
use crate::model_file::ModelFile;
use crate::{args, console, texts};

/// Writes the bytes to stdout, and nothing else.
pub fn run(args: &args::Detokenize) -> Outcome {
    let text = match args.ids.as_slice() {
        [one] if one == "-" => texts::stdin()?,
        all => all.join(" "),
    };
    let file = ModelFile::open(&args.model)?;
    let model = file.model()?;
    let tokenizer = file.tokenizer(&model)?;
    let ids = texts::ids("ids", &text, model.config().vocab_size)?;
    let (first, rest) = ids.split_at(ids.len().min(1));
    let first = first.iter().flat_map(|&id| tokenizer.first_bytes(id));
    let bytes = first.chain(rest.iter().flat_map(|&id| tokenizer.bytes(id)));
    console::put(&bytes.copied().collect::<Vec<u8>>())
}
