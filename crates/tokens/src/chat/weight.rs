//! What a value would be worth written out.
//!
//! The library counts what a template makes, but a list counts as its few slots even where they hold one large list again
//! and again: thirty times `{% set a = [a, a] %}` costs nothing, and writing or comparing `a` then takes for ever. So every
//! value that a template puts together is weighed once, as if written out, and paid for before it can be used.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// What each item of a container costs, in fuel.
const ITEM: u64 = 4;

/// No template nests values deeper.
const DEEPEST: usize = 64;

/// Passes a value on that may be a namespace, but holds none.
pub(super) const WEIGHED: &str = "__weighed";
/// Passes a value on that is to be kept in a namespace.
pub(super) const KEPT: &str = "__kept";

pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter(WEIGHED, |state: &State, value: Value| {
        weigh(state, &value, 0)?;
        Ok::<_, Error>(value)
    });
    environment.add_filter(KEPT, |state: &State, value: Value| {
        refuse_namespace(&value)?;
        weigh(state, &value, 0)?;
        Ok::<_, Error>(value)
    });
    // Not in Jinja, or not in any chat template, and they make large things of small ones.
    for unused in ["zip", "chain", "batch", "slice"] {
        environment.remove_filter(unused);
    }
}

/// Pays for `value` and all that it holds.
pub(super) fn weigh(state: &State, value: &Value, depth: usize) -> Result<(), Error> {
    let kind = value.kind();
    if !matches!(kind, ValueKind::Map | ValueKind::Seq | ValueKind::Iterable) {
        return Ok(());
    }
    if depth == DEEPEST {
        let why = "values are nested too deep";
        return Err(Error::new(ErrorKind::InvalidOperation, why));
    }
    for item in value.try_iter()? {
        state.consume_fuel(ITEM)?;
        if kind == ValueKind::Map {
            weigh_inside(state, &value.get_item(&item)?, depth)?;
        }
        weigh_inside(state, &item, depth)?;
    }
    Ok(())
}

fn weigh_inside(state: &State, value: &Value, depth: usize) -> Result<(), Error> {
    refuse_namespace(value)?;
    weigh(state, value, depth + 1)
}

/// A namespace can change after it was weighed, even so that it holds itself. So nothing may hold one.
fn refuse_namespace(value: &Value) -> Result<(), Error> {
    let holder = value
        .as_object()
        .map(minijinja::value::DynObject::type_name);
    if holder.is_some_and(|name| name.ends_with("::Namespace")) {
        let why = "a namespace cannot stand inside of another value";
        return Err(Error::new(ErrorKind::InvalidOperation, why));
    }
    Ok(())
}
