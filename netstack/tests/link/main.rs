//! Impaired wires, measured against their settings: a million frames by virtual time, from fixed seeds.
//!
//! What is measured is what comes out at the far end, not what the wire counts. Shares must be within
//! three standard deviations of what is meant (a wrong share of a million frames is tens of them away),
//! delays pass a Kolmogorov-Smirnov test at a level of 0.01. Seeds are fixed: what passes, passes always.

mod delays;
mod fates;
mod floor;
mod managers;
mod rates;
