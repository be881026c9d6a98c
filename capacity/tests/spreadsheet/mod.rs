//! A spreadsheet of a few functions: reads a workbook as its file says it and computes it from its own text, knowing nothing of the
//! model.

use std::collections::BTreeMap;
use std::io::Cursor;

use calamine::{Data, Reader, Xlsx};

/// What a cell holds or gives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    Text(String),
}

impl Value {
    /// The number; a text in arithmetic is `#VALUE!`.
    pub(crate) fn number(&self) -> f64 {
        match self {
            Self::Number(number) => *number,
            Self::Text(text) => panic!("#VALUE!: {text:?} is no number"),
        }
    }
}

/// A workbook that was read, with the cells of defined names.
pub(crate) struct Spreadsheet {
    formulas: BTreeMap<String, String>,
    /// Cells without formulas. Change one to play the person at the keyboard.
    pub(crate) values: BTreeMap<String, Value>,
    /// What the file says the formulas gave.
    pub(crate) shown: BTreeMap<String, Value>,
}

impl Spreadsheet {
    pub(crate) fn read(bytes: Vec<u8>) -> Self {
        let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).expect("a workbook");
        let mut sheet = Self {
            formulas: BTreeMap::new(),
            values: BTreeMap::new(),
            shown: BTreeMap::new(),
        };
        for (name, at) in book.defined_names().to_vec() {
            let (tab, cell) = at.split_once('!').expect("a cell of a sheet");
            let row: u32 = cell
                .strip_prefix("$B$")
                .expect("column B")
                .parse()
                .expect("a row");
            let place = (row - 1, 1);
            let formulas = book.worksheet_formula(tab).expect("formulas");
            let cells = book.worksheet_range(tab).expect("cells");
            let value = match cells.get_value(place).expect("a cell") {
                Data::Float(number) => Value::Number(*number),
                Data::Int(number) => Value::Number(*number as f64),
                Data::String(text) => text
                    .parse()
                    .map_or_else(|_| Value::Text(text.clone()), Value::Number),
                other => panic!("{name}: {other:?}"),
            };
            match formulas.get_value(place).filter(|text| !text.is_empty()) {
                Some(formula) => {
                    sheet.formulas.insert(name.clone(), formula.clone());
                    sheet.shown.insert(name, value);
                }
                None => drop(sheet.values.insert(name, value)),
            }
        }
        sheet
    }

    /// Names of the cells with formulas.
    pub(crate) fn formulas(&self) -> impl Iterator<Item = &String> {
        self.formulas.keys()
    }

    /// The value of a cell.
    pub(crate) fn value(&self, name: &str) -> Value {
        if let Some(value) = self.values.get(name) {
            return value.clone();
        }
        let text = self
            .formulas
            .get(name)
            .unwrap_or_else(|| panic!("#NAME?: {name}"));
        let mut parser = Parser {
            sheet: self,
            rest: text,
        };
        let value = parser.comparison();
        assert!(parser.rest.trim().is_empty(), "{text}: {:?} is left", parser.rest);
        value
    }
}

/// Computes while it reads: comparison, sum, product, atom.
struct Parser<'a> {
    sheet: &'a Spreadsheet,
    rest: &'a str,
}

impl Parser<'_> {
    fn eat(&mut self, sign: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn comparison(&mut self) -> Value {
        let left = self.sum();
        if !self.eat('=') {
            return left;
        }
        Value::Number(f64::from(left == self.sum()))
    }

    fn sum(&mut self) -> Value {
        let mut value = self.product();
        loop {
            if self.eat('+') {
                value = Value::Number(value.number() + self.product().number());
            } else if self.eat('-') {
                value = Value::Number(value.number() - self.product().number());
            } else {
                return value;
            }
        }
    }

    fn product(&mut self) -> Value {
        let mut value = self.atom();
        loop {
            if self.eat('*') {
                value = Value::Number(value.number() * self.atom().number());
            } else if self.eat('/') {
                let divisor = self.atom().number();
                assert!(divisor != 0.0, "#DIV/0!");
                value = Value::Number(value.number() / divisor);
            } else {
                return value;
            }
        }
    }

    fn atom(&mut self) -> Value {
        if self.eat('(') {
            let value = self.comparison();
            assert!(self.eat(')'), "{:?}", self.rest);
            return value;
        }
        if self.eat('"') {
            let (text, rest) = self.rest.split_once('"').expect("the end of a text");
            self.rest = rest;
            return Value::Text(text.to_owned());
        }
        self.rest = self.rest.trim_start();
        let end = self
            .rest
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || "._".contains(letter)));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        if let Ok(number) = word.parse() {
            return Value::Number(number);
        }
        if self.eat('(') {
            self.call(word)
        } else {
            self.sheet.value(word)
        }
    }

    fn call(&mut self, function: &str) -> Value {
        // The branch that is not taken is not an error, whatever is in it.
        if function == "IF" {
            let condition = self.comparison().number();
            assert!(self.eat(','), "{:?}", self.rest);
            let (then, otherwise) = {
                let (then, rest) = argument(self.rest);
                let (otherwise, rest) = argument(rest.strip_prefix(',').expect("a second branch"));
                self.rest = rest.strip_prefix(')').expect("the end of IF");
                (then, otherwise)
            };
            let rest = if condition == 0.0 { otherwise } else { then };
            return Parser {
                sheet: self.sheet,
                rest,
            }
            .comparison();
        }
        let mut arguments = vec![self.comparison()];
        while self.eat(',') {
            arguments.push(self.comparison());
        }
        assert!(self.eat(')'), "{:?}", self.rest);
        // Texts that are referred to are passed over.
        let numbers = || {
            arguments.iter().filter_map(|one| {
                if let Value::Number(number) = one {
                    Some(*number)
                } else {
                    None
                }
            })
        };
        let digits = || 10_f64.powf(arguments[1].number());
        Value::Number(match function {
            "COUNT" => numbers().count() as f64,
            "MIN" => numbers().reduce(f64::min).unwrap_or(0.0),
            "MAX" => numbers().reduce(f64::max).unwrap_or(0.0),
            "ROUND" => (arguments[0].number() * digits()).round() / digits(),
            // Away from zero.
            "ROUNDUP" => {
                let scaled = arguments[0].number() * digits();
                scaled.abs().ceil().copysign(scaled) / digits()
            }
            other => panic!("#NAME?: {other}"),
        })
    }
}

/// The text up to the comma or parenthesis that ends an argument, and the rest.
fn argument(text: &str) -> (&str, &str) {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            ',' | ')' if depth == 0 => return text.split_at(at),
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
    }
    panic!("{text:?} has no end")
}
