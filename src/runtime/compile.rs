//! Actions with their formats compiled, once for a script.

use super::printf::{Format, FormatError};
use crate::spec::{Action, Field, Group, MapRole, Object, ShortKeys, Type};

/// A map of the script, as printing needs it.
#[derive(Clone, Debug)]
pub(super) struct UserMap {
    /// Index into the object's maps.
    pub(super) index: usize,
    /// With its `@`.
    pub(super) name: String,
    pub(super) key: Option<Type>,
    pub(super) value: Type,
    /// The map of its entries with short keys, where there is one.
    pub(super) short: Option<(usize, ShortKeys)>,
}

/// A group ready to be played.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub(super) size: u32,
    pub(super) actions: Vec<Step>,
}

/// Where a `warnf` or `errorf` stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) col: u32,
    /// As it is printed: `file:line:col-col`.
    pub(super) text: String,
}

/// [`Action`] with formats compiled.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Printf(Format),
    Message {
        format: Format,
        error: bool,
        place: Place,
    },
    PrintValue(Field),
    PrintMap {
        map: usize,
        top: u64,
        div: u64,
    },
    PrintEntry {
        map: usize,
        key: Field,
    },
    Clear(usize),
    Zero(usize),
    Time(String),
    Join {
        parts: Vec<Field>,
        separator: String,
    },
    Cat(Format),
    System(Format),
    Exit(Option<Field>),
}

/// All groups of an object.
pub(super) fn groups(object: &Object) -> Result<Vec<Ready>, FormatError> {
    let group = |group: &Group| {
        let actions = group.actions.iter().map(|a| step(a, &object.script_name));
        Ok(Ready {
            size: group.size,
            actions: actions.collect::<Result<_, FormatError>>()?,
        })
    };
    object.events.groups.iter().map(group).collect()
}

/// The maps of the script, in order of their names.
pub(super) fn maps(object: &Object) -> Vec<UserMap> {
    let short = |index: usize| {
        let short = |(at, map): (usize, &crate::spec::MapSpec)| match map.role {
            MapRole::Short(keys) if keys.of == index => Some((at, keys)),
            _ => None,
        };
        object.maps.iter().enumerate().find_map(short)
    };
    let user = |(index, map): (usize, &crate::spec::MapSpec)| match &map.role {
        MapRole::User { name, key, value } => Some(UserMap {
            index,
            name: format!("@{name}"),
            key: key.clone(),
            value: value.clone(),
            short: short(index),
        }),
        _ => None,
    };
    let mut maps: Vec<_> = object.maps.iter().enumerate().filter_map(user).collect();
    maps.sort_by(|a, b| a.name.cmp(&b.name));
    maps
}

fn step(action: &Action, script: &str) -> Result<Step, FormatError> {
    Ok(match action {
        Action::Printf {
            format,
            args,
            stream: 0,
        } => Step::Printf(Format::new(format, args)?),
        Action::Printf {
            format,
            args,
            stream,
        } => {
            let error = *stream >= 2;
            let (place, format) = split_place(format, error, script);
            Step::Message {
                format: Format::new(format, args)?,
                error,
                place,
            }
        }
        Action::PrintValue(field) => Step::PrintValue(field.clone()),
        &Action::PrintMap { map, top, div } => Step::PrintMap { map, top, div },
        Action::PrintEntry { map, key } => Step::PrintEntry {
            map: *map,
            key: key.clone(),
        },
        &Action::Clear(map) => Step::Clear(map),
        &Action::Zero(map) => Step::Zero(map),
        Action::Time(format) => Step::Time(format.clone()),
        Action::Join { parts, separator } => Step::Join {
            parts: parts.clone(),
            separator: separator.clone(),
        },
        Action::Cat { format, args } => Step::Cat(Format::new(format, args)?),
        Action::System { format, args } => Step::System(Format::new(format, args)?),
        Action::Exit(code) => Step::Exit(code.clone()),
    })
}

/// A message's format may begin with its place, `file:line:col-col: ERROR: ` (or `WARNING`).
fn split_place<'f>(format: &'f str, error: bool, script: &str) -> (Place, &'f str) {
    let mark = if error { ": ERROR: " } else { ": WARNING: " };
    let unknown = Place {
        file: script.to_owned(),
        text: script.to_owned(),
        ..Place::default()
    };
    let Some((text, rest)) = format.split_once(mark) else {
        return (unknown, format);
    };
    let mut fields = text.rsplitn(3, ':');
    let (cols, line, file) = (fields.next(), fields.next(), fields.next());
    let first_col = cols
        .and_then(|c| c.split('-').next())
        .and_then(|c| c.parse().ok());
    match (file, line.and_then(|l| l.parse().ok()), first_col) {
        (Some(file), Some(line), Some(col)) => {
            let place = Place {
                file: file.to_owned(),
                line,
                col,
                text: text.to_owned(),
            };
            (place, rest)
        }
        _ => (unknown, format),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let (place, rest) = split_place("a:b.bt:3:9-62: ERROR: bad %d", true, "x");
        assert_eq!(
            (place.file.as_str(), place.line, place.col, rest),
            ("a:b.bt", 3, 9, "bad %d")
        );
        let (place, rest) = split_place("no: ERROR: x", true, "x.bt");
        assert_eq!((place.text.as_str(), rest), ("x.bt", "no: ERROR: x"));
    }
}
