//! The model as a workbook (R1.1-43): inputs to change, coefficients with their sources, and the results as formulas.

use rust_xlsxwriter::{
    Color, DataValidation, DataValidationErrorStyle, DataValidationRule, Format, Formula, Workbook,
    Worksheet, XlsxError,
};

use crate::measured::Measured;
use crate::model::{Kind, Model, Quantity, Range};
use crate::plan::Plan;

/// What stands where nobody has measured.
pub const NOT_MEASURED: &str = "not measured";

/// Name of the sheet of a kind of quantities.
fn sheet_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Input { .. } => "Inputs",
        Kind::Coefficient => "Measured",
        Kind::Result(_) => "Results",
    }
}

/// The workbook (XLSX) of a model at the inputs of a plan of it. Each value has its quantity as defined name, so that a formula
/// reads as the model does.
///
/// # Errors
/// When the writer refuses a sheet.
pub fn workbook(model: &Model, plan: &Plan, measured: &Measured) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let looks = Looks::new();
    for (name, columns) in [
        ("Inputs", ["", "Value", "Unit", "What it is", "May be"]),
        ("Results", ["", "Value", "Unit", "What it is", "Formula"]),
        ("Measured", ["", "Value", "Unit", "What it is", "Source"]),
    ] {
        let sheet = book.add_worksheet().set_name(name)?;
        for (column, title) in (0..).zip(columns) {
            sheet.write_with_format(0, column, title, &looks.head)?;
        }
        for (column, width) in [(0, 24.0), (1, 14.0), (2, 10.0), (3, 90.0), (4, 90.0)] {
            sheet.set_column_width(column, width)?;
        }
        sheet.set_freeze_panes(1, 0)?;
        for (row, content) in rows(model, name) {
            match content {
                Row::Heading(title) => {
                    sheet.write_with_format(row, 0, title, &looks.head)?;
                }
                Row::Line(quantity) => line(
                    sheet,
                    row,
                    quantity,
                    &looks,
                    &Numbers {
                        model,
                        plan,
                        measured,
                    },
                )?,
            }
        }
    }
    for name in ["Inputs", "Results", "Measured"] {
        for (row, content) in rows(model, name) {
            if let Row::Line(quantity) = content {
                book.define_name(&quantity.name, &format!("={name}!$B${}", row + 1))?;
            }
        }
    }
    book.save_to_buffer()
}

enum Row<'a> {
    Heading(&'static str),
    Line(&'a Quantity),
}

/// What is on a sheet, below its head, and in which row (the first is 0). Only results have headings.
fn rows<'a>(model: &'a Model, sheet: &str) -> Vec<(u32, Row<'a>)> {
    let mut rows = Vec::new();
    let mut group = None;
    for quantity in model.quantities.iter().filter(|one| sheet_of(&one.kind) == sheet) {
        let new = group.replace(quantity.group) != Some(quantity.group);
        if new && matches!(quantity.kind, Kind::Result(_)) {
            rows.push(Row::Heading(quantity.group.title()));
        }
        rows.push(Row::Line(quantity));
    }
    (1..).zip(rows).collect()
}

struct Looks {
    head: Format,
    input: Format,
    wrapped: Format,
}

impl Looks {
    fn new() -> Self {
        Self {
            head: Format::new().set_bold(),
            input: Format::new().set_background_color(Color::RGB(0x00FF_F2CC)),
            wrapped: Format::new().set_text_wrap(),
        }
    }
}

struct Numbers<'a> {
    model: &'a Model,
    plan: &'a Plan,
    measured: &'a Measured,
}

fn line(
    sheet: &mut Worksheet,
    row: u32,
    quantity: &Quantity,
    looks: &Looks,
    numbers: &Numbers<'_>,
) -> Result<(), XlsxError> {
    sheet.write(row, 0, &quantity.name)?;
    sheet.write(row, 2, quantity.unit)?;
    sheet.write_with_format(row, 3, &quantity.explanation, &looks.wrapped)?;
    let value = numbers.plan.value(&quantity.name);
    match &quantity.kind {
        Kind::Input { range, .. } => {
            sheet.write_with_format(row, 1, value.unwrap_or_default(), &looks.input)?;
            sheet.add_data_validation(row, 1, row, 1, &validation(*range)?)?;
            sheet.write(row, 4, format!("{} to {}", range.least, range.most))?;
        }
        Kind::Coefficient => {
            match value {
                Some(value) => sheet.write_with_format(row, 1, value, &looks.input)?,
                None => sheet.write_with_format(row, 1, NOT_MEASURED, &looks.input)?,
            };
            if let Some(known) = numbers
                .measured
                .coefficient(&quantity.name)
                .filter(|one| one.value.is_some())
            {
                let source = format!(
                    "{}; {}; {}; {}",
                    known.source, known.date, known.engine, known.machine
                );
                sheet.write_with_format(row, 4, source, &looks.wrapped)?;
            }
        }
        Kind::Result(expression) => {
            let text = expression.to_string();
            let shown = value.map_or_else(|| NOT_MEASURED.to_owned(), |value| value.to_string());
            let formula = guarded(numbers.model, quantity, &text);
            sheet.write_formula(row, 1, Formula::new(formula).set_result(shown))?;
            sheet.write_with_format(row, 4, text, &looks.wrapped)?;
        }
    }
    Ok(())
}

/// The formula, which says so when one of the numbers that it needs is none: MAX and MIN would pass over it.
fn guarded(model: &Model, quantity: &Quantity, text: &str) -> String {
    let Kind::Result(expression) = &quantity.kind else {
        return format!("={text}");
    };
    let names = expression.names();
    let needed: Vec<&str> = names
        .into_iter()
        .filter(|name| model.may_be_unknown(name))
        .collect();
    if needed.is_empty() {
        return format!("={text}");
    }
    format!(
        "=IF(COUNT({})={},{text},\"{NOT_MEASURED}\")",
        needed.join(","),
        needed.len()
    )
}

fn validation(range: Range) -> Result<DataValidation, XlsxError> {
    let message = crate::model::OutOfRange(range).to_string();
    let validation = DataValidation::new();
    let validation = if range.whole {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number of the model")]
        let (least, most) = (range.least as i32, range.most as i32);
        validation.allow_whole_number(DataValidationRule::Between(least, most))
    } else {
        validation.allow_decimal_number(DataValidationRule::Between(range.least, range.most))
    };
    validation
        .set_error_style(DataValidationErrorStyle::Stop)
        .set_error_message(message)
}
