//! The update operators: what each makes of the value it finds.

use super::array::{Push, add_to_set, pop};
use super::numbers::{Bits, bits, increment, multiply};
use super::pull::Pull;
use super::{Circumstances, Failure, Result};
use crate::store::value::{Number, compare, identical, type_name};
use bson::{Bson, Timestamp};

/// One operator with its argument.
#[derive(Debug)]
pub(crate) enum Operator {
    Set(Bson),
    SetOnInsert(Bson),
    Unset,
    Increment(Number),
    Multiply(Number),
    Min(Bson),
    Max(Bson),
    /// `$currentDate`: as a timestamp, or as a date.
    CurrentDate {
        timestamp: bool,
    },
    Push(Push),
    AddToSet(Vec<Bson>),
    /// `$pop`: the first, or the last.
    Pop {
        first: bool,
    },
    Pull(Pull),
    PullAll(Vec<Bson>),
    Bit(Vec<(Bits, i64, bool)>),
    /// `$rename`, at the new name: what the old one was.
    RenameFrom(Vec<String>),
    /// `$rename`, at the old name: nothing to do but to be in the way of other operators.
    RenameAway,
}

/// What becomes of a value.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// Nothing.
    Keep,
    /// This is there now.
    Set(Bson),
    /// Nothing is there any more.
    Remove,
}

/// Where an operator works, for error messages.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    /// The last part of the path.
    pub(super) name: &'p str,
    /// The whole path.
    pub(super) path: &'p str,
    /// `_id: 1`, or nothing.
    pub(super) id: &'p str,
}

impl Operator {
    /// Whether it makes the path it works on where there is none.
    pub(super) fn creates(&self, at: Circumstances) -> bool {
        match self {
            Operator::SetOnInsert(_) => at.insert,
            Operator::Unset
            | Operator::Pop { .. }
            | Operator::Pull(_)
            | Operator::PullAll(_)
            | Operator::RenameAway => false,
            _ => true,
        }
    }

    /// What becomes of the value at the path.
    pub(super) fn effect(&self, value: Option<&Bson>, place: Place<'_>, at: Circumstances) -> Result<Effect> {
        Ok(match self {
            Operator::Set(new) => set(value, new.clone()),
            Operator::SetOnInsert(new) if at.insert => set(value, new.clone()),
            Operator::SetOnInsert(_) | Operator::RenameFrom(_) | Operator::RenameAway => Effect::Keep,
            Operator::Unset => {
                if value.is_some() {
                    Effect::Remove
                } else {
                    Effect::Keep
                }
            }
            Operator::Increment(by) => set_number(value, increment(value, *by, place)?),
            Operator::Multiply(by) => set_number(value, multiply(value, *by, place)?),
            Operator::Min(new) => match value {
                Some(old) if compare(new, old).is_ge() => Effect::Keep,
                _ => Effect::Set(new.clone()),
            },
            Operator::Max(new) => match value {
                Some(old) if compare(new, old).is_le() => Effect::Keep,
                _ => Effect::Set(new.clone()),
            },
            Operator::CurrentDate { timestamp: false } => {
                set(value, Bson::DateTime(bson::DateTime::from_millis(at.now)))
            }
            Operator::CurrentDate { timestamp: true } => {
                let time = u32::try_from(at.now / 1000).unwrap_or(u32::MAX);
                set(value, Bson::Timestamp(Timestamp { time, increment: 1 }))
            }
            Operator::Push(push) => match value {
                None => Effect::Set(Bson::Array(push.onto(Vec::new()))),
                Some(Bson::Array(items)) => set(value, Bson::Array(push.onto(items.clone()))),
                Some(other) => return Err(super::array::push_on(other, place)),
            },
            Operator::AddToSet(new) => add_to_set(value, new, place)?,
            Operator::Pop { first } => pop(value, *first, place)?,
            Operator::Pull(pull) => pulled(value, |item| pull.takes(item))?,
            Operator::PullAll(values) => {
                pulled(value, |item| values.iter().any(|v| compare(v, item).is_eq()))?
            }
            Operator::Bit(steps) => set(value, bits(value, steps, place)?),
        })
    }
}

/// What is left of an array.
fn pulled(value: Option<&Bson>, takes: impl Fn(&Bson) -> bool) -> Result<Effect> {
    match value {
        None => Ok(Effect::Keep),
        Some(Bson::Array(items)) => {
            let kept: Vec<Bson> = items.iter().filter(|item| !takes(item)).cloned().collect();
            Ok(if kept.len() == items.len() { Effect::Keep } else { Effect::Set(Bson::Array(kept)) })
        }
        Some(_) => Err(Failure::new(2, "Cannot apply $pull to a non-array value")),
    }
}

/// A number equal to the old one and of its type is no change, however many zeros it has.
fn set_number(old: Option<&Bson>, new: Bson) -> Effect {
    match old {
        Some(old) if type_name(old) == type_name(&new) && compare(old, &new).is_eq() => Effect::Keep,
        _ => Effect::Set(new),
    }
}

/// Setting what is there already is no change.
pub(super) fn set(old: Option<&Bson>, new: Bson) -> Effect {
    if old.is_some_and(|old| identical(old, &new)) { Effect::Keep } else { Effect::Set(new) }
}
