//! Updates out of documents. Error texts are the server's.

use super::array::{Push, pop_end, set_members};
use super::numbers::Bits;
use super::operator::Operator;
use super::pull::Pull;
use super::{Failure, Modification, Result, Update};
use crate::store::query::{position, split, unsupported};
use crate::store::transform::Transform;
use crate::store::value::{Number, show_field, type_name};
use bson::{Bson, Document};
use std::cmp::Ordering;

/// What is refused before anything of the command is carried out: stages that are none.
pub(crate) fn check(update: &Bson) -> Result<()> {
    let stages = match update {
        Bson::Document(_) => return Ok(()),
        Bson::Array(stages) => stages,
        _ => return Err(Failure::new(9, "Update argument must be either an object or an array")),
    };
    for stage in stages {
        stage_parts(stage)?;
    }
    Ok(())
}

fn stage_parts(stage: &Bson) -> Result<(&str, &Bson)> {
    let Bson::Document(d) = stage else {
        return Err(Failure::new(14, "Each element of the 'pipeline' array must be an object"));
    };
    let (1, Some((name, spec))) = (d.len(), d.iter().next()) else {
        return Err(Failure::new(
            40323,
            "A pipeline stage specification object must contain exactly one field.",
        ));
    };
    if !crate::store::pipeline::is_stage(name) {
        return Err(Failure::new(40324, format!("Unrecognized pipeline stage name: '{name}'")));
    }
    Ok((name, spec))
}

/// Reads an update. `now` is what `$$NOW` stands for.
pub(crate) fn parse(update: &Bson, now: i64) -> Result<Update> {
    match update {
        Bson::Document(d) if d.keys().next().is_some_and(|k| k.starts_with('$')) => modifications(d),
        Bson::Document(d) => replacement(d),
        Bson::Array(stages) => pipeline(stages, now),
        _ => Err(Failure::new(9, "Update argument must be either an object or an array")),
    }
}

fn replacement(d: &Document) -> Result<Update> {
    match d.keys().find(|k| k.starts_with('$')) {
        None => Ok(Update::Replace(d.clone())),
        Some(name) => Err(Failure::new(
            52,
            format!(
                "The dollar ($) prefixed field '{name}' in '{name}' is not allowed in the context of an update's \
                 replacement document. Consider using an aggregation pipeline with $replaceWith."
            ),
        )),
    }
}

fn pipeline(stages: &[Bson], now: i64) -> Result<Update> {
    let mut steps = Vec::with_capacity(stages.len());
    for stage in stages {
        let (name, spec) = stage_parts(stage)?;
        match Transform::parse(name, spec, now)? {
            Some(step) => steps.push(step),
            None => {
                return Err(Failure::new(72, format!("{name} is not allowed to be used within an update")));
            }
        }
    }
    Ok(Update::Pipeline(steps))
}

/// Operators, ordered as the server applies them: by path, numbers by value.
fn modifications(d: &Document) -> Result<Update> {
    let mut all: Vec<Modification> = Vec::new();
    for (name, argument) in d {
        if !NAMES.contains(&name.as_str()) {
            return Err(Failure::new(
                9,
                format!(
                    "Unknown modifier: {name}. Expected a valid update modifier or pipeline-style update specified as an \
                     array"
                ),
            ));
        }
        let Bson::Document(fields) = argument else {
            return Err(Failure::new(
                9,
                format!(
                    "Modifiers operate on fields but we found type {} instead. For example: {{$mod: {{<field>: ...}}}} \
                     not {{{}}}",
                    type_name(argument),
                    show_field(name, argument)
                ),
            ));
        };
        for (path, value) in fields {
            if name == "$rename" {
                rename(&mut all, path, value)?;
            } else {
                let parts = checked_path(path)?;
                add(&mut all, path, parts, operator(name, path, value)?)?;
            }
        }
    }
    all.sort_by(|a, b| path_order(&a.parts, &b.parts));
    Ok(Update::Modify(all))
}

const NAMES: [&str; 15] = [
    "$set",
    "$setOnInsert",
    "$unset",
    "$inc",
    "$mul",
    "$min",
    "$max",
    "$currentDate",
    "$push",
    "$addToSet",
    "$pop",
    "$pull",
    "$pullAll",
    "$bit",
    "$rename",
];

fn operator(name: &str, path: &str, value: &Bson) -> Result<Operator> {
    Ok(match name {
        "$set" => Operator::Set(value.clone()),
        "$setOnInsert" => Operator::SetOnInsert(value.clone()),
        "$unset" => Operator::Unset,
        "$inc" => Operator::Increment(number("increment", path, value)?),
        "$mul" => Operator::Multiply(number("multiply", path, value)?),
        "$min" => Operator::Min(value.clone()),
        "$max" => Operator::Max(value.clone()),
        "$currentDate" => Operator::CurrentDate { timestamp: date_type(value)? },
        "$push" => Operator::Push(Push::parse(value)?),
        "$addToSet" => Operator::AddToSet(set_members(value)?),
        "$pop" => Operator::Pop { first: pop_end(path, value)? },
        "$pull" => Operator::Pull(Pull::parse(value)?),
        "$pullAll" => match value {
            Bson::Array(values) => Operator::PullAll(values.clone()),
            other => {
                let kind = type_name(other);
                return Err(Failure::new(
                    2,
                    format!("$pullAll requires an array argument but was given a {kind}"),
                ));
            }
        },
        _ => Operator::Bit(bit_steps(value)?),
    })
}

fn number(verb: &str, path: &str, value: &Bson) -> Result<Number> {
    Number::of(value).ok_or_else(|| {
        Failure::new(14, format!("Cannot {verb} with non-numeric argument: {{{}}}", show_field(path, value)))
    })
}

/// Whether `$currentDate` is to write a timestamp.
fn date_type(value: &Bson) -> Result<bool> {
    match value {
        Bson::Boolean(_) => Ok(false),
        Bson::Document(d) => {
            if let Some(name) = d.keys().find(|k| *k != "$type") {
                return Err(Failure::new(2, format!("Unrecognized $currentDate option: {name}")));
            }
            match d.get("$type") {
                Some(Bson::String(s)) if s == "date" => Ok(false),
                Some(Bson::String(s)) if s == "timestamp" => Ok(true),
                _ => Err(Failure::new(
                    2,
                    "The '$type' string field is required to be 'date' or 'timestamp': {$currentDate: {field : {$type: \
                     'date'}}}",
                )),
            }
        }
        other => Err(Failure::new(
            2,
            format!(
                "{} is not valid type for $currentDate. Please use a boolean ('true') or a $type expression ({{$type: \
                 'timestamp/date'}}).",
                type_name(other)
            ),
        )),
    }
}

fn bit_steps(value: &Bson) -> Result<Vec<(Bits, i64, bool)>> {
    let Bson::Document(d) = value else {
        return Err(Failure::new(
            2,
            format!(
                "The $bit modifier is not compatible with a {}. You must pass in an embedded document: {{$bit: {{field: \
                     {{and/or/xor: #}}}}",
                type_name(value)
            ),
        ));
    };
    if d.is_empty() {
        return Err(Failure::new(
            2,
            "You must pass in at least one bitwise operation. The format is: {$bit: {field: {and/or/xor: #}}",
        ));
    }
    d.iter()
        .map(|(name, value)| {
            let bits = match name.as_str() {
                "and" => Bits::And,
                "or" => Bits::Or,
                "xor" => Bits::Xor,
                _ => {
                    return Err(Failure::new(
                        2,
                        format!(
                            "The $bit modifier only supports 'and', 'or', and 'xor', not '{name}' which is an unknown \
                             operator: {{{}}}",
                            show_field(name, value)
                        ),
                    ));
                }
            };
            match value {
                Bson::Int32(n) => Ok((bits, i64::from(*n), false)),
                Bson::Int64(n) => Ok((bits, *n, true)),
                _ => Err(Failure::new(
                    2,
                    format!(
                        "The $bit modifier field must be an Integer(32/64 bit); a '{}' is not supported here: {{{}}}",
                        type_name(value),
                        show_field(name, value)
                    ),
                )),
            }
        })
        .collect()
}

fn rename(all: &mut Vec<Modification>, path: &str, value: &Bson) -> Result<()> {
    let Bson::String(to) = value else {
        return Err(Failure::new(
            2,
            format!("The 'to' field for $rename must be a string: {}", show_field(path, value)),
        ));
    };
    let from = checked_path(path)?;
    add(all, path, from.clone(), Operator::RenameAway)?;
    let target = checked_path(to)?;
    if path == to {
        return Err(Failure::new(
            2,
            format!("The source and target field for $rename must differ: {}", show_field(path, value)),
        ));
    }
    if from.starts_with(&target) || target.starts_with(&from) {
        return Err(Failure::new(
            2,
            format!(
                "The source and target field for $rename must not be on the same path: {}",
                show_field(path, value)
            ),
        ));
    }
    let dynamic = |parts: &[String]| parts.iter().any(|p| p.starts_with('$'));
    if dynamic(&from) {
        return Err(Failure::new(2, format!("The source field for $rename may not be dynamic: {path}")));
    }
    if dynamic(&target) {
        return Err(Failure::new(2, format!("The destination field for $rename may not be dynamic: {to}")));
    }
    add(all, to, target, Operator::RenameFrom(from))
}

/// The parts of a path; none may be empty, and `$` may not come first.
fn checked_path(path: &str) -> Result<Vec<String>> {
    if path.is_empty() {
        return Err(Failure::new(56, "An empty update path is not valid."));
    }
    let parts = split(path);
    if parts.iter().any(String::is_empty) {
        return Err(Failure::new(
            56,
            format!("The update path '{path}' contains an empty field name, which is not allowed."),
        ));
    }
    for (i, part) in parts.iter().enumerate() {
        let positional = part == "$" || part.starts_with("$[");
        if positional && i == 0 {
            return Err(Failure::new(
                2,
                format!("Cannot have positional (i.e. '$') element in the first position in path '{path}'"),
            ));
        }
        if part.starts_with("$[") && part != "$[]" {
            let identifier = part.trim_start_matches("$[").trim_end_matches(']');
            return Err(Failure::new(
                2,
                format!("No array filter found for identifier '{identifier}' in path '{path}'"),
            ));
        }
        if !positional && i == 0 && part.starts_with('$') {
            return Err(Failure::new(
                52,
                format!(
                    "The dollar ($) prefixed field '{part}' in '{path}' is not allowed in the context of an update's \
                     replacement document. Consider using an aggregation pipeline with $replaceWith."
                ),
            ));
        }
    }
    if parts.iter().filter(|p| *p == "$").count() > 1 {
        return Err(Failure::new(
            2,
            format!("Too many positional (i.e. '$') elements found in path '{path}'"),
        ));
    }
    Ok(parts)
}

/// No path may be written twice, nor one below another.
fn add(all: &mut Vec<Modification>, path: &str, parts: Vec<String>, operator: Operator) -> Result<()> {
    for other in all.iter() {
        let shared = parts.iter().zip(&other.parts).take_while(|(a, b)| a == b).count();
        if let (Some(a), Some(b)) = (parts.get(shared), other.parts.get(shared))
            && (a == "$[]") != (b == "$[]")
        {
            let at = parts.get(..shared).unwrap_or_default().join(".");
            return Err(Failure::new(
                40,
                format!("Updating the path '{path}' would create a conflict at '{at}'"),
            ));
        }
        if parts.starts_with(&other.parts) || other.parts.starts_with(&parts) {
            let shorter = if parts.len() < other.parts.len() { path } else { &other.path };
            return Err(Failure::new(
                40,
                format!("Updating the path '{path}' would create a conflict at '{shorter}'"),
            ));
        }
    }
    all.push(Modification { path: path.to_owned(), parts, operator });
    Ok(())
}

fn path_order(a: &[String], b: &[String]) -> Ordering {
    for (a, b) in a.iter().zip(b) {
        let order = match (position(a), position(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.cmp(b),
        };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// Array filters are more than this server has.
pub(crate) fn refuse_array_filters() -> Failure {
    unsupported("arrayFilters")
}
