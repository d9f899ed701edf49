//! Settings from environment variables.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::Command;

use super::setting::{Given, Setting, Takes, similar};
use crate::failure::Failure;

/// How the names of the variables begin.
const PREFIX: &str = "DRIBLET_";
/// Not a setting: names the program to tests and benchmarks.
const PROGRAM: &str = "DRIBLET_BIN";

/// What variables say, and a line for each one that is no setting. Such a variable may be another program's, so it is no
/// error. An empty variable counts as absent.
pub(super) fn read(
    command: &Command,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(Vec<Given<'_>>, Vec<String>), Failure> {
    let (mut given, mut unknown) = (Vec::new(), Vec::new());
    let mut variables: Vec<(String, OsString)> = variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, value)| name.starts_with(PREFIX) && name != PROGRAM && !value.is_empty())
        .collect();
    variables.sort();
    for (name, value) in variables {
        match Setting::all(command).find(|setting| variable(*setting) == name) {
            Some(setting) => given.push(set(setting, name, value)?),
            None => {
                let near = similar(command, &name[PREFIX.len()..]);
                let near = near.map_or_else(String::new, |near| format!("; do you mean {}?", variable(near)));
                unknown
                    .push(format!("{name} is no setting of driblet {}, and has no effect{near}", command.get_name()));
            }
        }
    }
    Ok((given, unknown))
}

fn variable(setting: Setting<'_>) -> String {
    format!("{PREFIX}{}", setting.name().replace('-', "_").to_uppercase())
}

fn set(setting: Setting<'_>, name: String, value: OsString) -> Result<Given<'_>, Failure> {
    match setting.takes() {
        Takes::Nothing => match value.to_str() {
            Some("true") => Ok(setting.switched(name, true)),
            Some("false") => Ok(setting.switched(name, false)),
            _ => Err(Failure::usage(format!("{name}: give true or false"))),
        },
        Takes::OneValue => setting.set(name.clone(), vec![(value, name)]),
        Takes::List => {
            let lines = value.as_bytes().split(|byte| *byte == b'\n').zip(1..).filter(|(line, _)| !line.is_empty());
            let place = |number: usize| format!("{name}, line {number}");
            let values = lines.map(|(line, number)| (OsStr::from_bytes(line).to_owned(), place(number))).collect();
            setting.set(name.clone(), values)
        }
    }
}
