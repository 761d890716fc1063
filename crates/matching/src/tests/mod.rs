//! Tests of matching without a library: forms, components, mappings, roots. The resolution itself is tested in
//! `engine::load_library`, against a model.

mod form;
mod mappings;
mod normal;
mod text;
