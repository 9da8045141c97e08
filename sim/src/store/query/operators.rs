//! What a filter says of one field: a value, or operators.

use super::parse::{parse, unsupported};
use super::pattern::Pattern;
use super::types::Types;
use super::{Filter, OneOf, Order, Path, Test};
use crate::store::failure::{Failure, Result};
use crate::store::value::{Key, Number, show_field, truthy, whole};
use bson::{Bson, Document};

fn bad(message: impl Into<String>) -> Failure {
    Failure::new(2, message)
}

/// Whether a document holds operators: its first name has a dollar and is no part of a DBRef.
pub(crate) fn is_operators(document: &Document) -> bool {
    document
        .keys()
        .next()
        .is_some_and(|k| k.starts_with('$') && !matches!(k.as_str(), "$ref" | "$id" | "$db"))
}

/// Whether a document holds operators that say something of a value by itself.
pub(crate) fn is_condition(document: &Document) -> bool {
    is_operators(document)
        && !document.keys().next().is_some_and(|k| {
            matches!(k.as_str(), "$not" | "$and" | "$or" | "$nor" | "$expr" | "$where" | "$comment")
        })
}

/// What a filter says of one field.
pub(super) fn field(path: &Path, value: &Bson) -> Result<Filter> {
    match value {
        Bson::Document(d) if is_operators(d) => operators(path, d),
        Bson::RegularExpression(_) => Ok(Filter::Field(path.clone(), Test::Pattern(pattern(value)?))),
        value => Ok(Filter::Field(path.clone(), equal(value)?)),
    }
}

fn equal(value: &Bson) -> Result<Test> {
    if matches!(value, Bson::Undefined) {
        return Err(bad("cannot compare to undefined"));
    }
    Ok(Test::Equal(value.clone()))
}

/// All operators of one field must hold.
fn operators(path: &Path, operators: &Document) -> Result<Filter> {
    let mut all = Vec::with_capacity(operators.len());
    for (name, value) in operators {
        if let Some(filter) = operator(path, name, value, operators)? {
            all.push(filter);
        }
    }
    Ok(if all.len() == 1 { all.swap_remove(0) } else { Filter::And(all) })
}

fn operator(path: &Path, name: &str, value: &Bson, all: &Document) -> Result<Option<Filter>> {
    let not = |filter| Filter::Not(Box::new(filter));
    let test = match name {
        "$eq" => equal(value)?,
        "$ne" => return Ok(Some(not(different(path, value)?))),
        "$gt" => order(path, Order::Greater, value)?,
        "$gte" => order(path, Order::GreaterOrEqual, value)?,
        "$lt" => order(path, Order::Less, value)?,
        "$lte" => order(path, Order::LessOrEqual, value)?,
        "$in" => Test::In(one_of(name, value)?),
        "$nin" => return Ok(Some(not(Filter::Field(path.clone(), Test::In(one_of(name, value)?))))),
        "$exists" => {
            let exists = Filter::Field(path.clone(), Test::Exists);
            return Ok(Some(if truthy(value) { exists } else { not(exists) }));
        }
        "$not" => return Ok(Some(not(negated(path, value)?))),
        "$type" => Test::Type(Types::parse(&path.full, value)?),
        "$size" => Test::Size(size(name, value)?),
        "$mod" => modulo(value)?,
        "$all" => return every(path, value).map(Some),
        "$elemMatch" => element(value)?,
        "$regex" => Test::Pattern(regex(value, all.get("$options"))?),
        "$options" if all.contains_key("$regex") => return Ok(None),
        "$options" => return Err(bad("$options needs a $regex")),
        "$bitsAllSet" | "$bitsAllClear" | "$bitsAnySet" | "$bitsAnyClear" | "$geoWithin"
        | "$geoIntersects" | "$near" | "$nearSphere" | "$comment" => return Err(unsupported(name)),
        _ => return Err(bad(format!("unknown operator: {name}"))),
    };
    Ok(Some(Filter::Field(path.clone(), test)))
}

fn different(path: &Path, value: &Bson) -> Result<Filter> {
    if matches!(value, Bson::RegularExpression(_)) {
        return Err(bad("Can't have regex as arg to $ne."));
    }
    Ok(Filter::Field(path.clone(), equal(value)?))
}

fn order(path: &Path, order: Order, value: &Bson) -> Result<Test> {
    if matches!(value, Bson::RegularExpression(_)) {
        return Err(bad(format!("Can't have RegEx as arg to predicate over field '{}'.", path.full)));
    }
    if matches!(value, Bson::Undefined) {
        return Err(bad("cannot compare to undefined"));
    }
    Ok(Test::Order(order, value.clone()))
}

fn one_of(name: &str, value: &Bson) -> Result<OneOf> {
    let Bson::Array(items) = value else { return Err(bad(format!("{name} needs an array"))) };
    let mut one_of = OneOf::default();
    for item in items {
        match item {
            Bson::Null => one_of.null = true,
            Bson::RegularExpression(_) => one_of.patterns.push(pattern(item)?),
            Bson::Document(d) if is_operators(d) => return Err(bad("cannot nest $ under $in")),
            item => one_of.values.push(Key(item.clone())),
        }
    }
    one_of.values.sort();
    one_of.values.dedup();
    Ok(one_of)
}

fn negated(path: &Path, value: &Bson) -> Result<Filter> {
    match value {
        Bson::RegularExpression(_) => field(path, value),
        Bson::Document(d) if d.is_empty() => Err(bad("$not cannot be empty")),
        Bson::Document(d) => operators(path, d),
        _ => Err(bad("$not needs a regex or a document")),
    }
}

fn size(name: &str, value: &Bson) -> Result<i64> {
    let parse = |why: &str| bad(format!("Failed to parse {name}. {why} {}", show_field(name, value)));
    if Number::of(value).is_none() {
        return Err(parse("Expected a number in:"));
    }
    match whole(value) {
        Some(n) if n >= 0 => Ok(n),
        Some(_) => Err(parse("Expected a non-negative number in:")),
        None => Err(parse("Expected an integer:")),
    }
}

fn modulo(value: &Bson) -> Result<Test> {
    let Bson::Array(items) = value else { return Err(bad("malformed mod, needs to be an array")) };
    let [divisor, remainder] = items.as_slice() else {
        let how = if items.len() < 2 { "not enough" } else { "too many" };
        return Err(bad(format!("malformed mod, {how} elements")));
    };
    let number = |v: &Bson, what: &str| match Number::of(v) {
        Some(n) if n.to_f64().is_finite() => Ok(n.to_f64() as i64),
        Some(_) => Err(bad(format!("malformed mod, {what} value is invalid"))),
        None => Err(bad(format!("malformed mod, {what} not a number"))),
    };
    let divisor = number(divisor, "divisor")?;
    if divisor == 0 {
        return Err(bad("divisor cannot be 0"));
    }
    Ok(Test::Modulo(divisor, number(remainder, "remainder")?))
}

/// `$all`: each value must be there.
fn every(path: &Path, value: &Bson) -> Result<Filter> {
    let Bson::Array(items) = value else { return Err(bad("$all needs an array")) };
    if items.is_empty() {
        return Ok(Filter::Constant(false));
    }
    let element_match =
        |item: &Bson| matches!(item, Bson::Document(d) if d.keys().next().is_some_and(|k| k == "$elemMatch"));
    let elements = items.first().is_some_and(element_match);
    let mut all = Vec::with_capacity(items.len());
    for item in items {
        all.push(match item {
            Bson::Document(d) if elements => {
                if !element_match(item) {
                    return Err(bad("$all/$elemMatch has to be consistent"));
                }
                operators(path, d)?
            }
            _ if elements => return Err(bad("$all/$elemMatch has to be consistent")),
            Bson::Document(d) if is_operators(d) => return Err(bad("no $ expressions in $all")),
            item => field(path, item)?,
        });
    }
    Ok(Filter::And(all))
}

/// `$elemMatch`: conditions on the elements themselves if it starts with an operator of a field, on their fields if not.
fn element(value: &Bson) -> Result<Test> {
    let Bson::Document(d) = value else { return Err(bad("$elemMatch needs an Object")) };
    let joins = |k: &String| matches!(k.as_str(), "$and" | "$or" | "$nor" | "$where" | "$expr");
    if is_operators(d) && !d.keys().next().is_some_and(joins) {
        Ok(Test::ElementValue(Box::new(operators(&Path::itself(), d)?)))
    } else {
        Ok(Test::ElementObject(Box::new(parse(d)?)))
    }
}

fn pattern(value: &Bson) -> Result<Pattern> {
    regex(value, None)
}

fn regex(value: &Bson, options: Option<&Bson>) -> Result<Pattern> {
    let options = match options {
        None => None,
        Some(Bson::String(options)) => Some(options.as_str()),
        Some(_) => return Err(bad("$options has to be a string")),
    };
    match value {
        Bson::String(source) => Pattern::new(source, options.unwrap_or("")),
        Bson::RegularExpression(r) => {
            if options.is_some() && !r.options.as_str().is_empty() {
                return Err(Failure::new(51075, "options set in both $regex and $options"));
            }
            Pattern::new(r.pattern.as_str(), options.unwrap_or(r.options.as_str()))
        }
        _ => Err(bad("$regex has to be a string")),
    }
}
