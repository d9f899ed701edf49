//! What can be set: the arguments of a command, as clap describes them.

use std::error::Error;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, Id};

use crate::failure::Failure;

/// The name of the flag that names a file with settings.
pub(super) const CONFIG: &str = "config";

/// An argument that can be set.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    command: &'a Command,
    argument: &'a Arg,
}

/// What an argument takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing: it is given or not.
    Nothing,
    OneValue,
    List,
}

/// What one place says of a setting.
pub(super) struct Given<'a> {
    pub(super) setting: Setting<'a>,
    /// Where it says so, for messages.
    pub(super) place: String,
    pub(super) values: Vec<OsString>,
    /// Whether a switch is on.
    is_on: bool,
}

impl<'a> Setting<'a> {
    /// The settings of a command.
    pub(super) fn all(command: &'a Command) -> impl Iterator<Item = Setting<'a>> {
        command.get_arguments().map(|argument| Setting { command, argument }).filter(|setting| setting.kind().is_some())
    }

    /// The setting with a name.
    pub(super) fn named(command: &'a Command, name: &str) -> Option<Setting<'a>> {
        Setting::all(command).find(|setting| setting.name() == name)
    }

    pub(super) fn id(&self) -> &'a Id {
        self.argument.get_id()
    }

    /// The name of the flag without its dashes, or of the operand.
    pub(super) fn name(&self) -> &'a str {
        self.argument.get_long().unwrap_or(self.id().as_str())
    }

    /// The argument as messages name it.
    pub(super) fn flag(&self) -> String {
        if self.is_operand() { self.name().to_uppercase() } else { format!("--{}", self.name()) }
    }

    /// Whether the argument is found by its place, not by a name.
    pub(super) fn is_operand(&self) -> bool {
        self.argument.is_positional()
    }

    pub(super) fn takes(&self) -> Takes {
        self.kind().unwrap_or(Takes::OneValue)
    }

    /// `None` for what does not set anything, such as `--help`.
    fn kind(&self) -> Option<Takes> {
        match self.argument.get_action() {
            ArgAction::SetTrue => Some(Takes::Nothing),
            ArgAction::Set => Some(Takes::OneValue),
            ArgAction::Append => Some(Takes::List),
            _ => None,
        }
    }

    /// The arguments that cannot be given together with this one.
    pub(super) fn conflicts(self) -> impl Iterator<Item = &'a Id> {
        let Setting { command, argument } = self;
        let own = command.get_arg_conflicts_with(argument).into_iter();
        let names_this =
            move |other: &&Arg| command.get_arg_conflicts_with(other).iter().any(|arg| arg.get_id() == self.id());
        own.chain(command.get_arguments().filter(names_this)).map(Arg::get_id)
    }

    /// A switch that is on or off.
    pub(super) fn switched(self, place: String, is_on: bool) -> Given<'a> {
        Given { setting: self, place, values: Vec::new(), is_on }
    }

    /// Values with the place of each. The error says why the argument does not take one of them.
    pub(super) fn set(self, place: String, values: Vec<(OsString, String)>) -> Result<Given<'a>, Failure> {
        for (value, place) in &values {
            if let Some(reason) = self.refusal(value.clone()) {
                return Err(Failure::usage(format!("{place}: the value of {} is refused: {reason}", self.name())));
            }
        }
        let values = values.into_iter().map(|(value, _)| value).collect();
        Ok(Given { setting: self, place, values, is_on: false })
    }

    /// Why the argument's own parser refuses a value.
    fn refusal(self, value: OsString) -> Option<String> {
        let command = self.command.clone().no_binary_name(true);
        let operand = self.is_operand().then(|| "--".into());
        let error = command.try_get_matches_from(operand.into_iter().chain([self.argument_of(value)])).err()?;
        // What is missing besides may be given elsewhere.
        let is_of_value = matches!(
            error.kind(),
            ErrorKind::InvalidValue
                | ErrorKind::ValueValidation
                | ErrorKind::InvalidUtf8
                | ErrorKind::WrongNumberOfValues
        );
        is_of_value.then(|| reason(&error))
    }

    fn argument_of(&self, value: OsString) -> OsString {
        if self.is_operand() {
            return value;
        }
        let mut argument = OsString::from(format!("--{}=", self.name()));
        argument.push(value);
        argument
    }
}

impl Given<'_> {
    /// Whether this adds arguments.
    pub(super) fn is_effective(&self) -> bool {
        self.is_on || !self.values.is_empty()
    }

    pub(super) fn arguments(&self) -> Vec<OsString> {
        if self.is_on {
            return vec![self.setting.flag().into()];
        }
        self.values.iter().map(|value| self.setting.argument_of(value.clone())).collect()
    }
}

/// The setting whose name is like another one's. clap knows what is alike.
pub(super) fn similar<'a>(command: &'a Command, name: &str) -> Option<Setting<'a>> {
    let name = name.replace('_', "-").to_lowercase();
    if let Some(setting) = Setting::named(command, &name) {
        return Some(setting);
    }
    let error = command.clone().no_binary_name(true).try_get_matches_from([format!("--{name}=")]).err()?;
    match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(flag)) => Setting::named(command, flag.trim_start_matches('-')),
        _ => None,
    }
}

fn reason(error: &clap::Error) -> String {
    if let Some(source) = error.source() {
        return source.to_string();
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) if !values.is_empty() => format!("give one of {}", values.join(", ")),
        _ => error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    }
}
