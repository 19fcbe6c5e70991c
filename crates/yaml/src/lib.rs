//! YAML trees that know where each value stands.
