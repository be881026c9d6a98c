//! The flags, one for each input of the model, made from the model: names, defaults, ranges and help are said there once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches};
use marsad_capacity::{ALL_AGENCIES, Kind, Model, Quantity, Range, viewers_of};
use marsad_crds::grammar;

/// The flag that is given for each agency.
const VIEWERS: &str = "viewers";

/// What was given.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Inputs {
    /// Those that viewers are given for.
    pub(crate) agencies: Vec<String>,
    /// By the names of the model.
    pub(crate) values: BTreeMap<String, f64>,
}

/// An input of the model as a flag.
struct Flag {
    quantity: Quantity,
    /// The flag, without dashes in front.
    long: String,
    default: f64,
    range: Range,
}

/// Every input of the model. For the life of the process, as clap wants its names.
static FLAGS: LazyLock<Vec<Flag>> = LazyLock::new(|| {
    let quantities = Model::new(&[]).quantities.into_iter();
    quantities
        .filter_map(|quantity| match quantity.kind {
            Kind::Input { default, range } => Some(Flag {
                long: quantity.name.replace('_', "-"),
                default,
                range,
                quantity,
            }),
            _ => None,
        })
        .collect()
});

impl clap::Args for Inputs {
    fn augment_args(mut command: Command) -> Command {
        for flag in FLAGS.iter() {
            let (unit, range) = (flag.quantity.unit, flag.range);
            let help = flag.quantity.explanation.trim_end_matches('.');
            let default = shown(unit, flag.default);
            let arg = if flag.quantity.name == viewers_of(ALL_AGENCIES) {
                Arg::new(VIEWERS)
                    .long(VIEWERS)
                    .value_name("[AGENCY=]N")
                    .action(ArgAction::Append)
                    .value_parser(move |text: &str| viewers(text, range))
                    .help(format!(
                        "{help}, or of one agency; may be given for each [default: {default}]"
                    ))
            } else {
                Arg::new(flag.quantity.name.as_str())
                    .long(flag.long.as_str())
                    .value_name(value_name(unit))
                    .value_parser(move |text: &str| number(unit, text, range))
                    .help(format!("{help} [default: {default}]"))
            };
            command = command.arg(arg.help_heading("Inputs"));
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Inputs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut given = Self::default();
        given.update_from_arg_matches(matches)?;
        Ok(given)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        for name in FLAGS.iter().map(|flag| &flag.quantity.name) {
            if *name == viewers_of(ALL_AGENCIES) {
                continue;
            }
            if let Some(value) = matches.get_one::<f64>(name) {
                self.values.insert(name.clone(), *value);
            }
        }
        let given: Vec<&Viewers> = matches
            .get_many::<Viewers>(VIEWERS)
            .into_iter()
            .flatten()
            .collect();
        let all = given.iter().any(|one| one.agency == ALL_AGENCIES);
        if all && given.len() > 1 {
            return Err(refused("give it once as N, or once for each agency as AGENCY=N"));
        }
        for one in given {
            if self.values.insert(viewers_of(&one.agency), one.count).is_some() {
                return Err(refused(&format!(
                    "{} is there twice: give each agency once",
                    one.agency
                )));
            }
            self.agencies.push(one.agency.clone());
        }
        Ok(())
    }
}

/// An error of `--viewers` as a whole, which no single value can tell.
fn refused(why: &str) -> Error {
    Error::raw(ErrorKind::ArgumentConflict, format!("--{VIEWERS}: {why}\n"))
}

#[derive(Debug, Clone, PartialEq)]
struct Viewers {
    agency: String,
    count: f64,
}

fn viewers(text: &str, range: Range) -> Result<Viewers, String> {
    let (agency, count) = text.split_once('=').unwrap_or((ALL_AGENCIES, text));
    let label = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let fine = agency.chars().all(|letter| label(letter) || letter == '-')
        && agency.starts_with(label)
        && agency.ends_with(label)
        && agency.len() <= 63;
    if !fine || text.contains('=') && agency == ALL_AGENCIES {
        return Err(format!(
            "{agency:?} is no agency: a DNS label as in the StreamQuota, other than {ALL_AGENCIES:?}; for example police=20"
        ));
    }
    Ok(Viewers {
        agency: agency.to_owned(),
        count: number("people", count, range)?,
    })
}

/// A number as people write it: shares also as 30%, bit rates and durations also as a Camera says them.
fn number(unit: &str, text: &str, range: Range) -> Result<f64, String> {
    let suffixed = || match unit {
        "share" => text
            .strip_suffix('%')?
            .parse::<f64>()
            .ok()
            .map(|percent| percent / 100.0),
        "h" => grammar::parse_duration(text).map(|duration| duration.as_secs_f64() / 3600.0),
        #[expect(clippy::cast_precision_loss, reason = "bit rates of cameras")]
        "Mbit/s" => grammar::parse_bitrate(text).map(|rate| rate as f64 / 1e6),
        _ => None,
    };
    let examples = match unit {
        "share" => "; for example 0.3 or 30%",
        "h" => "; for example 72h or 72",
        "Mbit/s" => "; for example 4M, 500k or 4",
        _ => "",
    };
    let value = text.parse().ok().or_else(suffixed).unwrap_or(f64::NAN);
    range.check(value).map_err(|error| format!("{error}{examples}"))
}

fn value_name(unit: &str) -> &'static str {
    match unit {
        "share" => "SHARE",
        "h" => "DURATION",
        "Mbit/s" => "MBIT",
        "Gbit/s" => "GBIT",
        _ => "N",
    }
}

fn shown(unit: &str, default: f64) -> String {
    match unit {
        "share" => format!("{:.0}%", default * 100.0),
        "h" => format!("{default}h"),
        _ => default.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let any = Range {
            least: 0.0,
            most: 1000.0,
            whole: false,
        };
        let cases = [
            ("share", "30%", Some(0.3)),
            ("share", "0.3", Some(0.3)),
            ("h", "72h", Some(72.0)),
            ("h", "90m", Some(1.5)),
            ("h", "24", Some(24.0)),
            ("Mbit/s", "4M", Some(4.0)),
            ("Mbit/s", "500k", Some(0.5)),
            ("Mbit/s", "2.5", Some(2.5)),
            ("cameras", "30%", None),
            ("h", "4M", None),
            ("cameras", "many", None),
            ("cameras", "", None),
            ("cameras", "NaN", None),
            ("cameras", "-1", None),
        ];
        for (unit, text, wanted) in cases {
            assert_eq!(number(unit, text, any).ok(), wanted, "{unit} {text}");
        }
    }
}
