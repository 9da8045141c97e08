//! Projections out of documents. Error texts are the server's.

use super::{Kind, Node, Part, Projection};
use crate::store::expression::{self, is_operator, path_parts};
use crate::store::failure::{Failure, Result};
use crate::store::query::{self, unsupported};
use crate::store::value::{Number, show_document, show_field, truthy, type_name, whole};
use bson::{Bson, Document};

/// The projection of `find` and `findAndModify`.
pub(crate) fn find(spec: &Document) -> Result<Option<Projection>> {
    if spec.is_empty() { Ok(None) } else { Parser::new(true, None).all(spec).map(Some) }
}

/// `$project`. `now` is what `$$NOW` stands for.
pub(crate) fn stage(spec: &Document, now: i64) -> Result<Projection> {
    let invalid =
        |e: Failure| Failure { message: format!("Invalid $project :: caused by :: {}", e.message), ..e };
    if spec.is_empty() {
        return Err(invalid(Failure::new(51272, "projection specification must have at least one field")));
    }
    Parser::new(false, Some(now)).all(spec).map_err(invalid)
}

/// `$unset`.
pub(crate) fn exclude(paths: &[&str]) -> Result<Projection> {
    let spec: Document = paths.iter().map(|p| ((*p).to_owned(), Bson::Int32(0))).collect();
    Parser::new(false, None).all(&spec)
}

/// `$set` and `$addFields`.
pub(crate) fn add_fields(spec: &Document, now: i64) -> Result<Projection> {
    let mut parser = Parser::new(false, Some(now));
    parser.kind = Some(Kind::Add);
    parser.all(spec)
}

struct Parser {
    find: bool,
    now: Option<i64>,
    kind: Option<Kind>,
    id: Option<bool>,
    computes: bool,
    slices: bool,
}

impl Parser {
    fn new(find: bool, now: Option<i64>) -> Parser {
        Parser { find, now, kind: None, id: None, computes: false, slices: false }
    }

    fn all(mut self, spec: &Document) -> Result<Projection> {
        let mut root = Node::default();
        for (name, value) in spec {
            let adding = self.kind == Some(Kind::Add);
            self.field(&mut root, "", name, value).map_err(|e| match e.code {
                31249 | 31250 if adding => Self::conflict(&e, spec),
                _ => e,
            })?;
        }
        let kind = self.kind.unwrap_or({
            // Only `_id`, slices and elements: inclusion, unless all it says is that something goes.
            if self.id == Some(true) || (self.computes && !self.slices) {
                Kind::Include
            } else {
                Kind::Exclude
            }
        });
        Ok(Projection { kind, id: self.id.unwrap_or(true), root })
    }

    fn field(&mut self, root: &mut Node, above: &str, name: &str, value: &Bson) -> Result<()> {
        let full = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
        if self.find && name.ends_with(".$") {
            return Err(unsupported("the positional projection"));
        }
        let parts = path_parts(&full)?;
        let adding = self.kind == Some(Kind::Add);
        let part = match value {
            Bson::Document(d) if d.is_empty() && adding => {
                return Err(Failure::new(
                    40180,
                    format!("an empty object is not a valid value. Found empty object at path {full}"),
                ));
            }
            Bson::Document(d) if d.is_empty() => {
                return Err(Failure::new(
                    51270,
                    "An empty sub-projection is not a valid value. Found empty object at path",
                ));
            }
            Bson::Document(d) if d.keys().next().is_some_and(|k| k.starts_with('$')) => {
                if d.len() > 1 {
                    return Err(Failure::new(
                        16410,
                        "FieldPath field names may not start with '$'. Consider using $getField or $setField.",
                    ));
                }
                self.operator(d, parts.len())?
            }
            Bson::Document(d) if !d.is_empty() => {
                return d.iter().try_for_each(|(inner, value)| self.field(root, &full, inner, value));
            }
            flag if !adding && (Number::of(flag).is_some() || matches!(flag, Bson::Boolean(_))) => {
                if full == "_id" {
                    self.id = Some(truthy(flag));
                    return Ok(());
                }
                self.flag(&full, truthy(flag))?;
                Part::Named
            }
            value => self.computed(value)?,
        };
        if matches!(part, Part::Computed(_)) && self.kind == Some(Kind::Exclude) {
            let shown = show_field(name, value);
            return Err(Failure::new(
                31310,
                format!("Cannot use an expression {shown} in an exclusion projection"),
            ));
        }
        if matches!(part, Part::Computed(_)) {
            self.kind.get_or_insert(Kind::Include);
        }
        root.put(&parts, part, &full)
    }

    /// Two paths of which one is above the other, in the words of `$addFields`.
    fn conflict(e: &Failure, spec: &Document) -> Failure {
        let longer = e.message.split(' ').nth(3).unwrap_or_default();
        let shorter =
            spec.keys().find(|k| longer.starts_with(&format!("{k}."))).map_or(longer, String::as_str);
        Failure::new(
            40176,
            format!(
                "specification contains two conflicting paths. Cannot specify both '{longer}' and '{shorter}': {}",
                show_document(spec)
            ),
        )
    }

    /// A field to keep or to leave out decides for the whole projection.
    fn flag(&mut self, full: &str, keep: bool) -> Result<()> {
        let wanted = if keep { Kind::Include } else { Kind::Exclude };
        match (*self.kind.get_or_insert(wanted), keep) {
            (Kind::Exclude, true) => Err(Failure::new(
                31253,
                format!("Cannot do inclusion on field {full} in exclusion projection"),
            )),
            (Kind::Include, false) => Err(Failure::new(
                31254,
                format!("Cannot do exclusion on field {full} in inclusion projection"),
            )),
            _ => Ok(()),
        }
    }

    fn computed(&mut self, value: &Bson) -> Result<Part> {
        self.computes = true;
        Ok(Part::Computed(expression::parse_at(value, self.now)?))
    }

    fn operator(&mut self, d: &Document, depth: usize) -> Result<Part> {
        let Some((name, argument)) = d.iter().next() else { return Ok(Part::Named) };
        match name.as_str() {
            "$slice" if self.find => {
                self.slices = true;
                slice(argument)
            }
            "$elemMatch" if self.find && depth > 1 => {
                Err(Failure::new(31275, "Cannot use $elemMatch projection on a nested field."))
            }
            "$elemMatch" if self.find => {
                self.computes = true;
                let Bson::Document(condition) = argument else {
                    return Err(Failure::new(
                        31274,
                        format!(
                            "elemMatch: Invalid argument, object required, but got {}",
                            type_name(argument)
                        ),
                    ));
                };
                let mut field = Document::new();
                field.insert("x", Bson::Document(bson::doc! { "$elemMatch": condition.clone() }));
                query::parse(&field).map(Part::Element)
            }
            "$meta" => Err(unsupported("$meta")),
            name if !is_operator(name) && self.kind != Some(Kind::Add) => {
                Err(Failure::new(31325, format!("Unknown expression {name}")))
            }
            _ => self.computed(&Bson::Document(d.clone())),
        }
    }
}

fn slice(argument: &Bson) -> Result<Part> {
    match argument {
        Bson::Array(items) => match items.as_slice() {
            [skip, limit] => match (whole(skip), whole(limit)) {
                (Some(skip), Some(limit)) if limit > 0 => Ok(Part::Slice(skip, Some(limit))),
                _ => {
                    Err(Failure::new(28724, "First argument to $slice must be an array, but is of type: int"))
                }
            },
            _ => Err(Failure::new(
                28667,
                format!(
                    "Expression $slice takes at least 2 arguments, and at most 3, but {} were passed in.",
                    items.len()
                ),
            )),
        },
        number => match whole(number) {
            Some(n) => Ok(Part::Slice(n, None)),
            None => Err(Failure::new(
                28667,
                "Expression $slice takes at least 2 arguments, and at most 3, but 1 were passed in.",
            )),
        },
    }
}

impl Node {
    fn put(&mut self, parts: &[String], part: Part, full: &str) -> Result<()> {
        let collision = || Failure::new(31250, format!("Path collision at {full}"));
        let Some((first, rest)) = parts.split_first() else { return Err(collision()) };
        let existing = self.fields.iter_mut().find(|(name, _)| name == first).map(|(_, part)| part);
        match existing {
            None if rest.is_empty() => {
                self.fields.push((first.clone(), part));
                Ok(())
            }
            None => {
                let mut inner = Node::default();
                inner.put(rest, part, full)?;
                self.fields.push((first.clone(), Part::Inside(inner)));
                Ok(())
            }
            Some(Part::Inside(inner)) if !rest.is_empty() => inner.put(rest, part, full),
            Some(_) if rest.is_empty() => Err(collision()),
            Some(_) => Err(Failure::new(
                31249,
                format!("Path collision at {full} remaining portion {}", rest.join(".")),
            )),
        }
    }
}
