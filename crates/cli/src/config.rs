//! Settings of a command from a file and from the environment.
//!
//! Both are turned into arguments of the command, which clap then parses as if they were given on the command line. What
//! can be set follows from clap's description of the command, so a new flag needs no line here. The command line
//! replaces what the environment says, and the environment replaces what the file says, lists included.

mod environment;
mod file;
mod setting;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Command, Id};

use crate::failure::Failure;
use setting::{CONFIG, Given};

#[derive(clap::Args)]
pub(crate) struct ConfigArgs {
    /// A TOML file with settings: the keys are the names of these flags, and path for PATH
    ///
    /// A flag without a value is true or false. A flag that may be given several times takes a list. Each flag can be set
    /// by an environment variable too: DRIBLET_KEEP_ALIVE=620, DRIBLET_SPA=true, and in DRIBLET_LISTEN one address on
    /// each line. The command line replaces what variables say, and variables replace what the file says. Relative paths
    /// are relative to the working directory.
    #[arg(long = CONFIG, id = CONFIG, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// The arguments of a process, with those that its configuration adds.
pub(crate) struct Configured {
    pub(crate) arguments: Vec<OsString>,
    /// What was set, and where.
    origins: Vec<(String, String)>,
    /// A line for each variable that looks like a setting and is none.
    pub(crate) unknown: Vec<String>,
}

impl Configured {
    /// Says where those arguments come from that an error of clap names; `None` if they are on the command line.
    pub(crate) fn origins_in(&self, error: &str) -> Option<String> {
        let message = error.split("Usage:").next().unwrap_or_default();
        let is_of_name = |char: char| char.is_alphanumeric() || char == '-';
        let is_named = |flag: &str| message.split(|char| !is_of_name(char)).any(|word| word == flag);
        let named = self.origins.iter().filter(|(flag, _)| is_named(flag));
        let named: Vec<String> = named.map(|(flag, place)| format!("{flag} is set in {place}")).collect();
        (!named.is_empty()).then(|| named.join("; "))
    }
}

/// Adds what the environment and a file say to the arguments of a process, which begin with the program's name. Only
/// commands with the flag `--config` have settings.
pub(crate) fn configured(
    cli: &Command,
    given: Vec<OsString>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Configured, Failure> {
    let unchanged = |given| Configured { arguments: given, origins: Vec::new(), unknown: Vec::new() };
    let mut built = cli.clone();
    built.build();
    // Errors of the command line are reported when all is parsed. This fails where help is asked for.
    let Ok(matches) = cli.clone().ignore_errors(true).try_get_matches_from(&given) else { return Ok(unchanged(given)) };
    let Some((name, matches)) = matches.subcommand() else { return Ok(unchanged(given)) };
    let command =
        built.find_subcommand(name).filter(|command| command.get_arguments().any(|arg| arg.get_id() == CONFIG));
    let Some(command) = command else { return Ok(unchanged(given)) };

    let (variables, unknown) = environment::read(command, variables)?;
    let in_variable =
        variables.iter().find(|given| given.setting.id() == CONFIG).and_then(|given| given.values.first());
    let file = matches.get_one::<PathBuf>(CONFIG).cloned().or_else(|| in_variable.map(PathBuf::from));
    let of_file = file.map(|file| file::read(command, &file)).transpose()?.unwrap_or_default();

    let is_on_line = |id: &&Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    let on_line = matches.ids().filter(is_on_line).cloned().collect();
    let added = in_force(on_line, [variables, of_file]);
    let origins = added.iter().map(|given| (given.setting.flag(), given.place.clone())).collect();
    Ok(Configured { arguments: joined(given, name, &added), origins, unknown })
}

/// What holds of what several places say, the highest place first: what neither the command line nor a higher place sets,
/// and what can be used together with what they set.
fn in_force<'a>(on_line: HashSet<Id>, places: [Vec<Given<'a>>; 2]) -> Vec<Given<'a>> {
    let (mut set, mut effective, mut added) = (on_line.clone(), on_line, Vec::new());
    for place in places {
        let is_free = |given: &Given<'_>| {
            !set.contains(given.setting.id()) && given.setting.conflicts().all(|other| !effective.contains(other))
        };
        let free: Vec<Given<'_>> = place.into_iter().filter(is_free).collect();
        set.extend(free.iter().map(|given| given.setting.id().clone()));
        effective.extend(free.iter().filter(|given| given.is_effective()).map(|given| given.setting.id().clone()));
        added.extend(free);
    }
    added
}

/// The arguments: the flags that are added stand after the command's name, operands at the end.
fn joined(given: Vec<OsString>, command: &str, added: &[Given<'_>]) -> Vec<OsString> {
    let start = given.iter().position(|argument| argument == command).map_or(given.len(), |at| at + 1);
    let (before, after) = given.split_at(start);
    let (operands, flags): (Vec<_>, Vec<_>) = added.iter().partition(|given| given.setting.is_operand());
    let mut arguments = before.to_vec();
    arguments.extend(flags.iter().flat_map(|given| given.arguments()));
    arguments.extend(after.iter().cloned());
    let operands: Vec<OsString> = operands.iter().flat_map(|given| given.arguments()).collect();
    if !operands.is_empty() && !after.iter().any(|argument| argument == "--") {
        arguments.push(OsStr::new("--").to_owned());
    }
    arguments.extend(operands);
    arguments
}
