//! Kinds of marsad.dev, their conditions, reasons and CEL rules.
