//! Pipelines out of arrays. Error texts are the server's.

use super::group::{Accumulator, Group};
use super::unwind::Unwind;
use super::{Pipeline, Stage, Target, WhenMatched, WhenNotMatched};
use crate::oplog::Namespace;
use crate::store::expression::{self, Expression};
use crate::store::failure::{Failure, Result};
use crate::store::query::{self, unsupported};
use crate::store::sort::Sort;
use crate::store::transform::Transform;
use crate::store::value::{Number, show_field, type_name, whole};
use bson::Bson;

/// Stages that a real server has and this one has not.
const UNSUPPORTED: &[&str] = &[
    "$bucket",
    "$bucketAuto",
    "$changeStream",
    "$currentOp",
    "$densify",
    "$documents",
    "$facet",
    "$fill",
    "$geoNear",
    "$graphLookup",
    "$indexStats",
    "$listLocalSessions",
    "$listSessions",
    "$lookup",
    "$planCacheStats",
    "$redact",
    "$search",
    "$setWindowFields",
    "$unionWith",
];

const SUPPORTED: &[&str] = &[
    "$addFields",
    "$collStats",
    "$count",
    "$group",
    "$limit",
    "$match",
    "$merge",
    "$out",
    "$project",
    "$replaceRoot",
    "$replaceWith",
    "$sample",
    "$set",
    "$skip",
    "$sort",
    "$sortByCount",
    "$unset",
    "$unwind",
];

/// Whether there is a stage of this name.
pub(crate) fn is_stage(name: &str) -> bool {
    SUPPORTED.contains(&name) || UNSUPPORTED.contains(&name)
}

/// Reads a pipeline of a command on `db`. `now` is what `$$NOW` stands for.
pub(crate) fn parse(stages: &[Bson], db: &str, now: i64) -> Result<Pipeline> {
    let mut pipeline = Pipeline { stages: Vec::with_capacity(stages.len()), target: None };
    let mut last: Option<&str> = None;
    for stage in stages {
        let Bson::Document(d) = stage else {
            return Err(Failure::new(14, "Each element of the 'pipeline' array must be an object"));
        };
        let (1, Some((name, spec))) = (d.len(), d.iter().next()) else {
            return Err(Failure::new(
                40323,
                "A pipeline stage specification object must contain exactly one field.",
            ));
        };
        if pipeline.target.is_some() {
            let last = last.unwrap_or_default();
            return Err(Failure::new(40601, format!("{last} can only be the final stage in the pipeline")));
        }
        match name.as_str() {
            "$out" => pipeline.target = Some(out(spec, db)?),
            "$merge" => pipeline.target = Some(merge(spec, db)?),
            _ => pipeline.stages.push(stage_of(name, spec, now)?),
        }
        last = Some(name);
    }
    Ok(pipeline)
}

fn stage_of(name: &str, spec: &Bson, now: i64) -> Result<Stage> {
    if let Some(transform) = Transform::parse(name, spec, now)? {
        return Ok(Stage::Transform(transform));
    }
    match name {
        "$match" => match spec {
            Bson::Document(d) => Ok(Stage::Match(query::parse(d)?)),
            _ => Err(Failure::new(15959, "the match filter must be an expression in an object")),
        },
        "$sort" => match spec {
            Bson::Document(d) if d.is_empty() => {
                Err(Failure::new(15976, "$sort stage must have at least one sort key"))
            }
            Bson::Document(d) => Ok(Stage::Sort(Sort::parse(d)?)),
            _ => Err(Failure::new(15973, "the $sort key specification must be an object")),
        },
        "$skip" => Ok(Stage::Skip(number(name, spec, 5_107_200)?)),
        "$limit" => match number(name, spec, 5_107_201)? {
            0 => Err(Failure::new(15958, "the limit must be positive")),
            n => Ok(Stage::Limit(n)),
        },
        "$count" => count(spec),
        "$group" => group(spec, now).map(Stage::Group),
        "$unwind" => Unwind::parse(spec).map(Stage::Unwind),
        "$sample" => sample(spec),
        "$sortByCount" => Ok(Stage::SortByCount(Box::new(expression::parse_at(spec, Some(now))?))),
        "$collStats" => match spec {
            Bson::Document(d) if d.len() == 1 && d.contains_key("count") => Ok(Stage::CollectionCount),
            _ => Err(unsupported("$collStats but for its count")),
        },
        name if UNSUPPORTED.contains(&name) => Err(unsupported(name)),
        _ => Err(Failure::new(40324, format!("Unrecognized pipeline stage name: '{name}'"))),
    }
}

fn number(name: &str, spec: &Bson, code: i32) -> Result<usize> {
    let invalid = |why: &str| {
        Failure::new(code, format!("invalid argument to {name} stage: {why} {}", show_field(name, spec)))
    };
    if Number::of(spec).is_none() {
        return Err(invalid("Expected a number in:"));
    }
    match whole(spec) {
        None => Err(invalid("Expected an integer:")),
        Some(n) => usize::try_from(n).map_err(|_| invalid("Expected a non-negative number in:")),
    }
}

fn count(spec: &Bson) -> Result<Stage> {
    let Bson::String(name) = spec else {
        return Err(Failure::new(40156, "the count field must be a non-empty string"));
    };
    let refuse = |code, message: &str| Err(Failure::new(code, message));
    if name.is_empty() {
        return refuse(40157, "the count field must be a non-empty string");
    }
    if name.starts_with('$') {
        return refuse(40158, "the count field cannot be a $-prefixed path");
    }
    if name.contains('\0') {
        return refuse(40159, "the count field cannot contain a null byte");
    }
    if name.contains('.') {
        return refuse(40160, "the count field cannot contain '.'");
    }
    Ok(Stage::Count(name.clone()))
}

fn group(spec: &Bson, now: i64) -> Result<Group> {
    let Bson::Document(d) = spec else {
        return Err(Failure::new(15947, "a group's fields must be specified in an object"));
    };
    let mut id = None;
    let mut fields = Vec::new();
    for (name, value) in d {
        if name == "_id" {
            id = Some(group_id(value, now)?);
            continue;
        }
        if name.contains('.') {
            return Err(Failure::new(40235, format!("The field name '{name}' cannot contain '.'")));
        }
        if name.starts_with('$') {
            return Err(Failure::new(40236, format!("The field name '{name}' cannot be an operator name")));
        }
        let Bson::Document(accumulator) = value else {
            return Err(Failure::new(40234, format!("The field '{name}' must be an accumulator object")));
        };
        let (1, Some((operator, argument))) = (accumulator.len(), accumulator.iter().next()) else {
            return Err(Failure::new(40238, format!("The field '{name}' must specify one accumulator")));
        };
        fields.push((name.clone(), Accumulator::parse(operator, argument, now)?));
    }
    match id {
        Some(id) => Ok(Group { id, fields }),
        None => Err(Failure::new(15955, "a group specification must include an _id")),
    }
}

/// What to group by. A document of fields is one of expressions: no plain numbers and booleans, which would read as inclusions.
fn group_id(value: &Bson, now: i64) -> Result<Expression> {
    if let Bson::Document(d) = value
        && d.values().any(|v| Number::of(v).is_some() || matches!(v, Bson::Boolean(_)))
        && !d.keys().next().is_some_and(|k| k.starts_with('$'))
    {
        return Err(Failure::new(17390, "$group does not support inclusion-style expressions"));
    }
    expression::parse_at(value, Some(now))
}

fn sample(spec: &Bson) -> Result<Stage> {
    let Bson::Document(d) = spec else {
        return Err(Failure::new(28745, "the $sample stage specification must be an object"));
    };
    match d.get("size") {
        None => Err(Failure::new(28749, "$sample stage must specify a size")),
        Some(size) => match whole(size).and_then(|n| usize::try_from(n).ok()) {
            Some(n) => Ok(Stage::Sample(n)),
            None if Number::of(size).is_none() => {
                Err(Failure::new(28746, "size argument to $sample must be a number"))
            }
            None => Err(Failure::new(28747, "size argument to $sample must not be negative")),
        },
    }
}

fn named(value: &Bson, db: &str) -> Option<Namespace> {
    match value {
        Bson::String(coll) => Some(Namespace { db: db.to_owned(), coll: coll.clone() }),
        Bson::Document(d) => Some(Namespace {
            db: d.get_str("db").unwrap_or(db).to_owned(),
            coll: d.get_str("coll").ok()?.to_owned(),
        }),
        _ => None,
    }
}

fn out(spec: &Bson, db: &str) -> Result<Target> {
    named(spec, db).map(Target::Out).ok_or_else(|| {
        Failure::new(
            16990,
            format!("$out only supports a string or object argument, but found {}", type_name(spec)),
        )
    })
}

fn merge(spec: &Bson, db: &str) -> Result<Target> {
    let bad = || {
        Failure::new(
            14,
            format!("$merge requires a string or object argument, but found {}", type_name(spec)),
        )
    };
    let Bson::Document(d) = spec else {
        let ns = named(spec, db).ok_or_else(bad)?;
        return Ok(Target::Merge(ns, WhenMatched::Merge, WhenNotMatched::Insert));
    };
    let ns = d.get("into").and_then(|into| named(into, db)).ok_or_else(bad)?;
    if d.get("on").is_some_and(|on| *on != Bson::String("_id".to_owned())) || d.contains_key("let") {
        return Err(unsupported("$merge on anything but _id"));
    }
    let matched = match d.get_str("whenMatched") {
        Ok("merge") => WhenMatched::Merge,
        Err(_) if !d.contains_key("whenMatched") => WhenMatched::Merge,
        Ok("replace") => WhenMatched::Replace,
        Ok("keepExisting") => WhenMatched::KeepExisting,
        Ok("fail") => WhenMatched::Fail,
        _ => return Err(unsupported("this whenMatched of $merge")),
    };
    let missing = match d.get_str("whenNotMatched") {
        Ok("insert") | Err(_) => WhenNotMatched::Insert,
        Ok("discard") => WhenNotMatched::Discard,
        Ok("fail") => WhenNotMatched::Fail,
        Ok(_) => return Err(unsupported("this whenNotMatched of $merge")),
    };
    let possible = match missing {
        WhenNotMatched::Insert => true,
        _ => matches!(matched, WhenMatched::Merge | WhenMatched::Replace),
    };
    if !possible {
        let name = |field: &str, default: &'static str| d.get_str(field).unwrap_or(default).to_owned();
        return Err(Failure::new(
            51181,
            format!(
                "Combination of $merge modes 'whenMatched: {}' and 'whenNotMatched: {}' is not supported",
                name("whenMatched", "merge"),
                name("whenNotMatched", "insert")
            ),
        ));
    }
    Ok(Target::Merge(ns, matched, missing))
}
