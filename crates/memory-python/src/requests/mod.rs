//! What operations take, as immutable objects and arguments of Python.
//!
//! | module | contents |
//! |---|---|
//! | `arguments` | requests of the facade from keyword arguments |
//! | `config` | the configuration of a system |
//! | `count` | numbers of things |
//! | `filter` | filters of lists and recalls |
//! | `item` | memories to retain |
//! | `patch` | changes to a memory |
//! | `labels` | lists of texts |

pub(crate) mod arguments;
pub(crate) mod config;
pub(crate) mod count;
pub(crate) mod filter;
pub(crate) mod item;
mod labels;
pub(crate) mod patch;

pub(crate) use labels::Labels;
