//! Rendering, by example.
