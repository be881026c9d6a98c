//! Arithmetic over named quantities, which is both computed and written as a formula.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::{Add, Div, Mul, Sub};

/// A formula. [`fmt::Display`] writes it as a spreadsheet does, with defined names.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A number that is a matter of arithmetic, such as seconds of an hour.
    Number(f64),
    /// Another quantity.
    Name(String),
    /// `left + right`
    Sum(Box<Self>, Box<Self>),
    /// `left - right`
    Difference(Box<Self>, Box<Self>),
    /// `left * right`
    Product(Box<Self>, Box<Self>),
    /// `left / right`
    Quotient(Box<Self>, Box<Self>),
    /// The next whole number. What is less than a millionth above one is the error of a sum of fractions.
    Up(Box<Self>),
    /// The lesser.
    Least(Box<Self>, Box<Self>),
    /// The greater.
    Greatest(Box<Self>, Box<Self>),
}

/// Digits behind the point that count when a number is rounded up.
const DIGITS: i32 = 6;

impl Expression {
    /// Another quantity.
    pub fn name(name: impl Into<String>) -> Self {
        Self::Name(name.into())
    }

    /// The next whole number.
    #[must_use]
    pub fn up(self) -> Self {
        Self::Up(Box::new(self))
    }

    /// The lesser of the two.
    #[must_use]
    pub fn least(self, other: Self) -> Self {
        Self::Least(Box::new(self), Box::new(other))
    }

    /// The greater of the two.
    #[must_use]
    pub fn greatest(self, other: Self) -> Self {
        Self::Greatest(Box::new(self), Box::new(other))
    }

    /// Its value, for not negative quantities; none when it needs one that `value_of` does not know.
    pub fn evaluate(&self, value_of: &impl Fn(&str) -> Option<f64>) -> Option<f64> {
        let both = |left: &Self, right: &Self| Some((left.evaluate(value_of)?, right.evaluate(value_of)?));
        Some(match self {
            Self::Number(number) => *number,
            Self::Name(name) => value_of(name)?,
            Self::Sum(left, right) => both(left, right).map(|(left, right)| left + right)?,
            Self::Difference(left, right) => both(left, right).map(|(left, right)| left - right)?,
            Self::Product(left, right) => both(left, right).map(|(left, right)| left * right)?,
            Self::Quotient(left, right) => both(left, right).map(|(left, right)| left / right)?,
            Self::Up(inner) => {
                let scale = 10_f64.powi(DIGITS);
                ((inner.evaluate(value_of)? * scale).round() / scale).ceil()
            }
            Self::Least(left, right) => both(left, right).map(|(left, right)| left.min(right))?,
            Self::Greatest(left, right) => both(left, right).map(|(left, right)| left.max(right))?,
        })
    }

    /// The quantities that it names itself.
    pub fn names(&self) -> BTreeSet<&str> {
        match self {
            Self::Number(_) => BTreeSet::new(),
            Self::Name(name) => BTreeSet::from([name.as_str()]),
            Self::Up(inner) => inner.names(),
            Self::Sum(left, right)
            | Self::Difference(left, right)
            | Self::Product(left, right)
            | Self::Quotient(left, right)
            | Self::Least(left, right)
            | Self::Greatest(left, right) => left.names().into_iter().chain(right.names()).collect(),
        }
    }

    /// How strongly its operator binds: an operand that binds less needs parentheses.
    fn strength(&self) -> u8 {
        match self {
            Self::Sum(..) | Self::Difference(..) => 1,
            Self::Product(..) | Self::Quotient(..) => 2,
            _ => 3,
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operand = |f: &mut fmt::Formatter<'_>, inner: &Self, least: u8| {
            if inner.strength() < least {
                write!(f, "({inner})")
            } else {
                write!(f, "{inner}")
            }
        };
        let mut binary = |left: &Self, sign: &str, right: &Self, least: u8, least_right: u8| {
            operand(f, left, least)?;
            f.write_str(sign)?;
            operand(f, right, least_right)
        };
        match self {
            Self::Sum(left, right) => binary(left, " + ", right, 1, 1),
            Self::Difference(left, right) => binary(left, " - ", right, 1, 2),
            Self::Product(left, right) => binary(left, " * ", right, 2, 2),
            Self::Quotient(left, right) => binary(left, " / ", right, 2, 3),
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
            Self::Up(inner) => write!(f, "ROUNDUP(ROUND({inner},{DIGITS}),0)"),
            Self::Least(left, right) => write!(f, "MIN({left},{right})"),
            Self::Greatest(left, right) => write!(f, "MAX({left},{right})"),
        }
    }
}

impl From<f64> for Expression {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $variant:ident) => {
        impl<T: Into<Expression>> $trait<T> for Expression {
            type Output = Self;

            fn $method(self, other: T) -> Self {
                Self::$variant(Box::new(self), Box::new(other.into()))
            }
        }
    };
}

operator!(Add, add, Sum);
operator!(Sub, sub, Difference);
operator!(Mul, mul, Product);
operator!(Div, div, Quotient);

#[cfg(test)]
mod tests {
    use super::*;

    fn a() -> Expression {
        Expression::name("a")
    }

    fn b() -> Expression {
        Expression::name("b")
    }

    #[test]
    fn parentheses_are_where_the_value_needs_them() {
        let cases = [
            (a() + b() * a(), "a + b * a", 8.0),
            ((a() + b()) * a(), "(a + b) * a", 10.0),
            (a() - (b() - a()), "a - (b - a)", 1.0),
            (a() - b() - a(), "a - b - a", -3.0),
            (a() / (b() / a()), "a / (b / a)", 4.0 / 3.0),
            (a() / b() / a(), "a / b / a", 1.0 / 3.0),
            (a() * (b() / a()), "a * b / a", 3.0),
            ((b() / a()).up(), "ROUNDUP(ROUND(b / a,6),0)", 2.0),
            (a().least(b()) + 0.5, "MIN(a,b) + 0.5", 2.5),
            (a().greatest(b()), "MAX(a,b)", 3.0),
        ];
        let value_of = |name: &str| Some(if name == "a" { 2.0 } else { 3.0 });
        for (expression, text, value) in cases {
            assert_eq!(expression.to_string(), text);
            let found = expression.evaluate(&value_of).expect("known");
            assert!((found - value).abs() < 1e-12, "{text}: {found}");
        }
    }

    #[test]
    fn what_is_not_known_makes_the_whole_unknown() {
        let only_a = |name: &str| (name == "a").then_some(2.0);
        assert_eq!((a() * 2.0).evaluate(&only_a), Some(4.0));
        // Also where a spreadsheet would pass over it.
        assert_eq!(a().greatest(b()).evaluate(&only_a), None);
        assert_eq!((b() * 0.0).evaluate(&only_a), None);
    }

    #[test]
    fn rounding_up_forgives_the_error_of_fractions() {
        let of = |value: f64| Expression::Number(value).up().evaluate(&|_| None);
        assert_eq!(of(5.000_000_000_1), Some(5.0));
        assert_eq!(of(0.1 + 0.2 + 0.7), Some(1.0));
        assert_eq!(of(5.000_01), Some(6.0));
        assert_eq!(of(0.0), Some(0.0));
    }
}
