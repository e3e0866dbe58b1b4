//! What a store keeps, refuses and survives.
