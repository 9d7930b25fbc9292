//! The swap bench: every cache at the same work.
//!
//! | module | what it holds |
//! |---|---|
//! | [`contenders`] | the register: a line a cache |
//! | [`outside`] | caches of others, for comparison |
//! | [`trace`] | a list of accesses, and its replay on any cache |
//! | [`patterns`] | traces made by formula |
//! | [`life`], [`recorder`] | a trace recorded from an agent's life |
//! | [`pace`] | nanoseconds per operation |
//! | [`room`] | bytes per entry, and letting go of one tenant |
//! | [`stampede`], [`store`] | loads of many callers at once; a store that counts |
//! | [`results`] | what was measured, for the page |

pub mod contenders;
pub mod life;
pub mod outside;
pub mod pace;
pub mod patterns;
pub mod recorder;
pub mod results;
pub mod room;
pub mod stampede;
pub mod store;
pub mod trace;
