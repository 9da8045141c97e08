//! A projection at work on a document.

use super::{Kind, Node, Part, Projection};
use crate::store::expression::Scope;
use crate::store::failure::Result;
use crate::store::query::Filter;
use bson::{Bson, Document};

impl Projection {
    /// The document that comes back.
    pub(crate) fn apply(&self, document: &Document) -> Result<Document> {
        let mut result = match self.kind {
            Kind::Include => self.root.include(document, self.id),
            Kind::Exclude => self.root.exclude(document, self.id),
            Kind::Add => document.clone(),
        };
        self.root.compute(&mut result, document, &Scope::of(document))?;
        Ok(result)
    }
}

impl Node {
    fn part(&self, name: &str) -> Option<&Part> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, part)| part)
    }

    /// Named fields stay, in the order the document has them.
    fn include(&self, document: &Document, id: bool) -> Document {
        let mut kept = Document::new();
        for (name, value) in document {
            match self.part(name) {
                None if id && name == "_id" => {
                    kept.insert(name, value.clone());
                }
                Some(Part::Named | Part::Slice(..)) => {
                    kept.insert(name, value.clone());
                }
                Some(Part::Inside(inner)) => {
                    // What is to be computed inside of it takes its place.
                    let room = || inner.makes().then(|| Bson::Document(Document::new()));
                    if let Some(value) = inner.include_value(value).or_else(room) {
                        kept.insert(name, value);
                    }
                }
                _ => {}
            }
        }
        kept
    }

    fn include_value(&self, value: &Bson) -> Option<Bson> {
        match value {
            Bson::Document(d) => Some(Bson::Document(self.include(d, false))),
            Bson::Array(items) => {
                // Where something is to be computed inside of them, elements that go leave room for that.
                let room = || self.makes().then(|| Bson::Document(Document::new()));
                let included = items.iter().filter_map(|item| self.include_value(item).or_else(room));
                Some(Bson::Array(included.collect()))
            }
            _ => None,
        }
    }

    /// Named fields go.
    fn exclude(&self, document: &Document, id: bool) -> Document {
        let mut kept = Document::new();
        for (name, value) in document {
            let value = match self.part(name) {
                None if !id && name == "_id" => continue,
                None | Some(Part::Slice(..) | Part::Element(_) | Part::Computed(_)) => value.clone(),
                Some(Part::Named) => continue,
                Some(Part::Inside(inner)) => inner.exclude_value(value),
            };
            kept.insert(name, value);
        }
        kept
    }

    fn exclude_value(&self, value: &Bson) -> Bson {
        match value {
            Bson::Document(d) => Bson::Document(self.exclude(d, true)),
            Bson::Array(items) => Bson::Array(items.iter().map(|item| self.exclude_value(item)).collect()),
            other => other.clone(),
        }
    }

    /// Adds what is computed, in the order of the projection. `source` is the document at this node before the projection.
    fn compute(&self, target: &mut Document, source: &Document, scope: &Scope<'_>) -> Result<()> {
        for (name, part) in &self.fields {
            match part {
                Part::Named => {}
                Part::Computed(expression) => match expression.eval(scope)? {
                    Some(value) => {
                        target.insert(name, value);
                    }
                    None => {
                        target.remove(name);
                    }
                },
                Part::Inside(inner) if inner.computes() => {
                    let before = target.get(name).cloned();
                    if before.is_some() || inner.makes() {
                        target.insert(name, inner.compute_value(before, scope)?);
                    }
                }
                Part::Inside(_) => {}
                Part::Slice(skip, limit) => {
                    if let Some(Bson::Array(items)) = target.get_mut(name) {
                        *items = sliced(items, *skip, *limit);
                    }
                }
                Part::Element(filter) => match first_element(filter, source.get(name)) {
                    Some(element) => {
                        target.insert(name, Bson::Array(vec![element]));
                    }
                    None => {
                        target.remove(name);
                    }
                },
            }
        }
        Ok(())
    }

    /// Whether anything inside is computed, and so made where there is nothing.
    fn makes(&self) -> bool {
        self.fields.iter().any(|(_, part)| match part {
            Part::Inside(inner) => inner.makes(),
            Part::Computed(_) => true,
            _ => false,
        })
    }

    fn computes(&self) -> bool {
        self.fields.iter().any(|(_, part)| match part {
            Part::Inside(inner) => inner.computes(),
            Part::Named => false,
            _ => true,
        })
    }

    fn compute_value(&self, value: Option<Bson>, scope: &Scope<'_>) -> Result<Bson> {
        Ok(match value {
            Some(Bson::Document(mut d)) => {
                let source = d.clone();
                self.compute(&mut d, &source, scope)?;
                Bson::Document(d)
            }
            Some(Bson::Array(items)) => Bson::Array(
                items.into_iter().map(|item| self.compute_value(Some(item), scope)).collect::<Result<_>>()?,
            ),
            Some(other) if !self.makes() => other,
            _ => {
                let mut made = Document::new();
                self.compute(&mut made, &Document::new(), scope)?;
                Bson::Document(made)
            }
        })
    }
}

fn sliced(items: &[Bson], skip: i64, limit: Option<i64>) -> Vec<Bson> {
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let (start, length) = match limit {
        None if skip < 0 => ((count + skip).max(0), count),
        None => (0, skip),
        Some(limit) if skip < 0 => ((count + skip).max(0), limit),
        Some(limit) => (skip, limit),
    };
    let size = |n: i64| usize::try_from(n).unwrap_or(0);
    items.iter().skip(size(start)).take(size(length)).cloned().collect()
}

/// The filter is about a field `x`: the array, put there.
fn first_element(filter: &Filter, array: Option<&Bson>) -> Option<Bson> {
    let Some(Bson::Array(items)) = array else { return None };
    items
        .iter()
        .find(|item| {
            let mut one = Document::new();
            one.insert("x", Bson::Array(vec![(*item).clone()]));
            filter.matches(&one)
        })
        .cloned()
}

#[cfg(test)]
mod tests {
    use crate::store::projection::{add_fields, find, stage};
    use bson::{Document, doc};

    fn found(spec: Document, document: Document) -> Document {
        find(&spec).unwrap().unwrap().apply(&document).unwrap()
    }

    #[test]
    fn inclusion_keeps_the_documents_order() {
        let d = doc! { "_id": 1, "b": 2, "a": [{ "x": 1, "y": 2 }, 3], "c": { "x": 5 } };
        assert_eq!(
            found(doc! { "a.x": 1, "b": 1 }, d.clone()).to_string(),
            doc! { "_id": 1, "b": 2, "a": [{ "x": 1 }] }.to_string()
        );
        assert_eq!(found(doc! { "_id": 0, "c": { "x": 1 } }, d.clone()), doc! { "c": { "x": 5 } });
        assert_eq!(
            found(doc! { "a.x": 0, "c": 0 }, d.clone()),
            doc! { "_id": 1, "b": 2, "a": [{ "y": 2 }, 3] }
        );
        assert_eq!(found(doc! { "a": { "$slice": -1 } }, d.clone()).get_array("a").unwrap().len(), 1);
        assert_eq!(
            found(doc! { "a": { "$elemMatch": { "y": 2 } } }, d),
            doc! { "_id": 1, "a": [{ "x": 1, "y": 2 }] }
        );
    }

    #[test]
    fn computed_fields() {
        let d = doc! { "_id": 1, "a": 2, "n": { "k": 1 } };
        assert_eq!(stage(&doc! { "x": "$a" }, 0).unwrap().apply(&d).unwrap(), doc! { "_id": 1, "x": 2 });
        let added = add_fields(&doc! { "n.l": "$a", "m": { "o": 1 } }, 0).unwrap().apply(&d).unwrap();
        assert_eq!(added, doc! { "_id": 1, "a": 2, "n": { "k": 1, "l": 2 }, "m": { "o": 1 } });
    }

    #[test]
    fn errors() {
        assert_eq!(find(&doc! { "a": 1, "b": 0 }).unwrap_err().code, 31254);
        assert_eq!(find(&doc! { "a.b": 1, "a": 1 }).unwrap_err().message, "Path collision at a");
    }
}
