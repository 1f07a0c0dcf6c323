//! The board's command line: `oarlock.NAME=VALUE` in `cmdline.txt`, among words that the
//! firmware adds and that mean nothing here. The names are those of the hosted program.

use core::fmt;
use core::str::FromStr;

use oarlock::KvType;
use oarlock::Sampling;

/// Wishes that were found; the rest is left to the model and the board.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flags<'t> {
    /// Sampling, as `--temp` and the like.
    pub temp: Option<f64>,
    /// `--top-k`
    pub top_k: Option<u32>,
    /// `--top-p`
    pub top_p: Option<f64>,
    /// `--min-p`
    pub min_p: Option<f64>,
    /// `--repeat-penalty`
    pub repeat_penalty: Option<f64>,
    /// `--seed`
    pub seed: Option<u64>,
    /// `-n`
    pub limit: Option<u64>,
    /// `--context`
    pub context: Option<usize>,
    /// `--sinks`
    pub sinks: Option<usize>,
    /// `--kv`
    pub kv: Option<KvType>,
    /// `--chunk`
    pub chunk: Option<usize>,
    /// Cores that compute: `-t`
    pub cores: Option<usize>,
    /// `-s`
    pub system: Option<&'t str>,
    /// Whether an emulator listens, to be left by `/exit`.
    pub semihosting: bool,
}

/// A flag that cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagError<'t> {
    /// No flag has this name.
    Unknown(&'t str),
    /// The flag does not take this value.
    Value(&'t str, &'t str),
}

impl fmt::Display for FlagError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "oarlock.{name}: there is no such flag (see docs/guide)")
            }
            Self::Value(name, value) => {
                write!(f, "oarlock.{name}: it does not take {value} (see docs/guide)")
            }
        }
    }
}

impl core::error::Error for FlagError<'_> {}

impl<'t> Flags<'t> {
    /// Reads a command line, telling `report` what of it cannot be followed.
    pub fn read(line: &'t str, report: &mut dyn FnMut(FlagError<'t>)) -> Self {
        let mut flags = Self::default();
        for word in Arguments(line) {
            let Some(flag) = word.strip_prefix("oarlock.") else { continue };
            let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
            let value = value.trim_matches('"');
            match flags.set(name, value) {
                None => report(FlagError::Unknown(name)),
                Some(false) => report(FlagError::Value(name, value)),
                Some(true) => {}
            }
        }
        flags
    }

    /// The sampling that the model recommends, with what was asked for instead.
    pub fn sampling(&self, model: Sampling) -> Sampling {
        Sampling {
            temp: self.temp.unwrap_or(model.temp),
            top_k: self.top_k.unwrap_or(model.top_k),
            top_p: self.top_p.unwrap_or(model.top_p),
            min_p: self.min_p.unwrap_or(model.min_p),
            repeat_penalty: self.repeat_penalty.unwrap_or(model.repeat_penalty),
        }
    }

    /// Whether the flag takes the value; `None` if there is no such flag.
    fn set(&mut self, name: &str, value: &'t str) -> Option<bool> {
        let unit = |v: &f64| (0.0..=1.0).contains(v);
        Some(match name {
            "temp" => put(&mut self.temp, decimal(value), |_| true),
            "top_k" => put(&mut self.top_k, whole(value), |_| true),
            "top_p" => put(&mut self.top_p, decimal(value), unit),
            "min_p" => put(&mut self.min_p, decimal(value), unit),
            "repeat_penalty" => put(&mut self.repeat_penalty, decimal(value), |v| *v > 0.0),
            "seed" => put(&mut self.seed, whole(value), |_| true),
            "n" => put(&mut self.limit, whole(value), |_| true),
            "context" => put(&mut self.context, whole(value), |v| *v >= 2),
            "sinks" => put(&mut self.sinks, whole(value), |_| true),
            "kv" => put(&mut self.kv, KvType::from_name(value), |_| true),
            "chunk" => put(&mut self.chunk, whole(value), |v| *v >= 1),
            "cores" => put(&mut self.cores, whole(value), |v| (1..=4).contains(v)),
            "system" => {
                self.system = Some(value);
                true
            }
            "semihosting" => {
                self.semihosting = value.is_empty();
                self.semihosting
            }
            _ => return None,
        })
    }
}

fn put<T>(place: &mut Option<T>, value: Option<T>, fits: impl Fn(&T) -> bool) -> bool {
    *place = value.filter(fits);
    place.is_some()
}

fn whole<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// A number as people write it, at most 15 digits: then both sides of the division are exact,
/// and its result is what any other reading gives. `core`'s own reads all there is, by tables
/// that take as much of the image as a kernel.
fn decimal(text: &str) -> Option<f64> {
    let (before, after) = text.split_once('.').unwrap_or((text, ""));
    let digits = before.len() + after.len();
    let only_digits = before.bytes().chain(after.bytes()).all(|c| c.is_ascii_digit());
    if !only_digits || !(1..=15).contains(&digits) {
        return None;
    }
    let number = |text: &str| text.bytes().fold(0, |n, c| n * 10 + u64::from(c - b'0'));
    let scale = 10_u64.pow(after.len() as u32);
    Some((number(before) * scale + number(after)) as f64 / scale as f64)
}

/// Splits a line at spaces that are not in quotes.
struct Arguments<'t>(&'t str);

impl<'t> Iterator for Arguments<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let line = self.0.trim_start();
        let mut quoted = false;
        let end = line.find(|c: char| {
            quoted ^= c == '"';
            c.is_whitespace() && !quoted
        });
        let (word, rest) = line.split_at_checked(end.unwrap_or(line.len()))?;
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::string::ToString;
    use std::vec::Vec;

    fn read(line: &str) -> (Flags<'_>, Vec<FlagError<'_>>) {
        let mut errors = Vec::new();
        let flags = Flags::read(line, &mut |error| errors.push(error));
        (flags, errors)
    }

    #[test]
    fn flags_are_found_among_the_firmware_s_words() {
        let (flags, errors) = read(
            "coherent_pool=1M oarlock.temp=0 oarlock.system=\"Be brief. Always.\" \
             console=ttyS0 oarlock.top_k=7 oarlock.n=40 oarlock.kv=int8 oarlock.semihosting\n",
        );
        assert!(errors.is_empty());
        assert_eq!((flags.temp, flags.top_k, flags.limit), (Some(0.0), Some(7), Some(40)));
        assert_eq!(flags.kv, Some(KvType::Int8));
        assert_eq!((flags.system, flags.semihosting), (Some("Be brief. Always."), true));
        assert_eq!(flags.sampling(Sampling::default()).top_p, Sampling::default().top_p);
        assert_eq!(read(""), (Flags::default(), Vec::new()));
    }

    #[test]
    fn decimals_are_read_as_everywhere() {
        for text in ["0", "0.7", "0.95", "1.1", "12.", ".5", "0.12345678901234", "3.30"] {
            assert_eq!(decimal(text), text.parse().ok(), "{text}");
        }
        for text in ["", ".", "-1", "1e3", "inf", "0.1.2", "1234567890.1234567"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        for (line, error) in [
            ("oarlock.tmep=0", FlagError::Unknown("tmep")),
            ("oarlock.temp=warm", FlagError::Value("temp", "warm")),
            ("oarlock.temp=nan", FlagError::Value("temp", "nan")),
            ("oarlock.top_p=1.5", FlagError::Value("top_p", "1.5")),
            ("oarlock.context=1", FlagError::Value("context", "1")),
            ("oarlock.cores=5", FlagError::Value("cores", "5")),
            ("oarlock.kv=int4", FlagError::Value("kv", "int4")),
            ("oarlock.chunk", FlagError::Value("chunk", "")),
        ] {
            let (flags, errors) = read(line);
            assert_eq!((flags, &errors[..]), (Flags::default(), &[error][..]));
            assert!(error.to_string().starts_with("oarlock."));
        }
    }
}
