//! The attribution room's tests, one file per subject, on a small synthetic gradient source.

mod artefact;
mod curvature;
mod index;
mod linalg;
mod merkle;
mod numerics;
mod refusals;
mod score;
mod synthetic;
