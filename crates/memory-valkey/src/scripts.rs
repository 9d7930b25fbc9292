//! The Lua scripts: one atomic step each.

use std::sync::LazyLock;

/// A script, and the hash by which the server knows it.
pub(crate) struct LuaScript {
    pub(crate) code: &'static str,
    pub(crate) hash: LazyLock<String>,
}

macro_rules! script {
    ($($code:expr),+) => {
        LuaScript {
            code: concat!($($code),+),
            hash: LazyLock::new(|| redis::Script::new(concat!($($code),+)).get_hash().to_owned()),
        }
    };
}

/// Reads the time, the group's removal, and values.
pub(crate) static GET: LuaScript = script!(include_str!("scripts/get.lua"));

/// Compares and writes values.
pub(crate) static PUT: LuaScript = script!(
    include_str!("scripts/later.lua"),
    include_str!("scripts/put.lua")
);

/// Compares and writes removals; also where the server is out of memory, as a
/// removal that is refused would leave what was forgotten.
pub(crate) static REMOVE: LuaScript = script!(
    "#!lua flags=allow-oom\n",
    include_str!("scripts/later.lua"),
    include_str!("scripts/remove.lua")
);
