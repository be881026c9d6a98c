//! How large an installation must be (R1.1-24, R1.1-43): a model that is data. Its quantities are evaluated here, and written as the
//! formulas of a workbook from the same expressions. What a camera costs is read from `measured.json`, which `cargo xtask capacity`
//! writes from what `bench ingest` has measured; what nobody has measured makes its results unknown, never a guess.
//!
//! Pure: nothing is read or written here.

mod expression;
mod manifest;
mod measured;
mod model;
mod plan;
mod workbook;

pub use expression::Expression;
pub use manifest::{MEMORY_LIMIT_MIB, pools};
pub use measured::{Coefficient, Measured, UnreadableMeasured};
pub use model::{ALL_AGENCIES, Group, Kind, Model, OutOfRange, Quantity, Range, viewers_of};
pub use plan::{InputError, Line, Plan};
pub use workbook::{NOT_MEASURED, workbook};
