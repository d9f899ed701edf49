//! Settings from a TOML file.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use clap::Command;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::setting::{CONFIG, Given, Setting, Takes, similar};
use crate::failure::Failure;

/// What a file says.
pub(super) fn read<'a>(command: &'a Command, path: &Path) -> Result<Vec<Given<'a>>, Failure> {
    let bytes = fs::read(path)
        .map_err(|error| Failure::new(format_args!("cannot read the settings in {}", path.display()), &error))?;
    let text = String::from_utf8(bytes).map_err(|error| Failure::new(path.display(), &error))?;
    let file = SettingsFile { command, path, text: &text };
    let table = DeTable::parse(&text).map_err(|error| {
        let place = file.place(error.span().map_or(0, |span| span.start));
        Failure::usage(format!("{place}: {}", error.message()))
    })?;
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    // The first error of the file is reported.
    entries.sort_by_key(|(key, _)| key.span().start);
    entries.into_iter().map(|(key, value)| file.setting(key.get_ref(), key.span().start, value)).collect()
}

struct SettingsFile<'a, 'f> {
    command: &'a Command,
    path: &'f Path,
    text: &'f str,
}

impl<'a> SettingsFile<'a, '_> {
    /// A place in the file, by its offset.
    fn place(&self, offset: usize) -> String {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{}, line {line}", self.path.display())
    }

    fn setting(&self, key: &str, at: usize, value: &Spanned<DeValue<'_>>) -> Result<Given<'a>, Failure> {
        let place = self.place(at);
        let refused = |what: &str| Failure::usage(format!("{place}: {what}"));
        if key == CONFIG {
            return Err(refused("a file cannot name another one; give one file with --config or DRIBLET_CONFIG"));
        }
        let Some(setting) = Setting::named(self.command, key) else {
            let near = similar(self.command, key).map(|near| format!("do you mean {}?", near.name()));
            let name = self.command.get_name();
            let near =
                near.unwrap_or_else(|| format!("driblet {name} --help lists the flags, whose names are the keys"));
            return Err(refused(&format!("{key} is no setting of driblet {name}; {near}")));
        };
        match (setting.takes(), value.get_ref()) {
            (Takes::Nothing, DeValue::Boolean(is_on)) => Ok(setting.switched(place, *is_on)),
            (Takes::Nothing, _) => Err(refused(&format!("{key} is a switch; set it to true or false"))),
            (Takes::List, DeValue::Array(values)) => {
                let values = values.iter().map(|value| self.value(key, value)).collect::<Result<_, _>>()?;
                setting.set(place, values)
            }
            (Takes::OneValue, DeValue::Array(_)) => {
                Err(refused(&format!("{key} takes one value; remove the brackets")))
            }
            (Takes::OneValue | Takes::List, _) => setting.set(place, vec![self.value(key, value)?]),
        }
    }

    /// One value, as it would be on the command line, and its place.
    fn value(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<(OsString, String), Failure> {
        let place = self.place(value.span().start);
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(integer) => decimal(integer),
            DeValue::Float(float) => float.to_string(),
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return Err(Failure::usage(format!("{place}: {key} takes text in quotes, or a number")));
            }
        };
        Ok((text.into(), place))
    }
}

/// TOML has hexadecimal integers too.
fn decimal(integer: &DeInteger<'_>) -> String {
    let value = i128::from_str_radix(integer.as_str(), integer.radix());
    value.map_or_else(|_| integer.to_string(), |value| value.to_string())
}
