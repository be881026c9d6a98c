//! The manager role: wires controllers and webhooks.
