//! Grouping as its users see it: instances and the clock in, changes out.

mod annotations;
mod catalogue;
mod fixture;
mod linking;
mod property;
mod revisions;
mod roles;
mod scale;
mod simulation;
mod time;
