//! `$pull`.

use super::Result;
use crate::store::query::{self, Filter, is_condition};
use crate::store::value::compare;
use bson::{Bson, Document};

/// Which elements go.
#[derive(Debug)]
pub(crate) enum Pull {
    /// Those equal to this.
    Value(Bson),
    /// Those that pass a condition.
    Elements(Filter),
    /// Documents that pass a filter.
    Documents(Filter),
}

impl Pull {
    /// The argument of `$pull`.
    pub(super) fn parse(argument: &Bson) -> Result<Pull> {
        let condition = |value: &Bson| {
            // The conditions of one element, as `$elemMatch` takes them.
            let mut field = Document::new();
            field.insert("x", value.clone());
            query::parse(&field).map(Pull::Elements)
        };
        match argument {
            Bson::Document(d) if is_condition(d) => condition(argument),
            Bson::RegularExpression(_) => condition(argument),
            Bson::Document(d) => query::parse(d).map(Pull::Documents),
            value => Ok(Pull::Value(value.clone())),
        }
    }

    /// Whether an element goes.
    pub(super) fn takes(&self, element: &Bson) -> bool {
        match self {
            Pull::Value(value) => compare(value, element).is_eq(),
            Pull::Elements(filter) => {
                let mut one = Document::new();
                one.insert("x", element.clone());
                filter.matches(&one)
            }
            Pull::Documents(filter) => matches!(element, Bson::Document(d) if filter.matches(d)),
        }
    }
}
