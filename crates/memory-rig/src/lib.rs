//! The memory system for agents of the `rig` framework.
//!
//! [`EntityMemory`] is the memory of one entity: an agent, a character, a user. It gives
//! what rig's agents take:
//!
//! | what | trait of rig | does |
//! |---|---|---|
//! | [`MemoryIndex`] | `VectorStoreIndex` | finds memories for a prompt |
//! | [`RetainTool`] | `PortableTool`, so `Tool` | lets the model store a memory |
//! | [`RecallTool`] | the same | lets the model ask for memories |
//! | [`ForgetTool`] | the same | lets the model remove a memory |
//!
//! ```no_run
//! # async fn example(
//! #     model: rig_core::DynModel<rig_core::operation::Completion>,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! use memory::MemorySystem;
//! use memory_rig::EntityMemory;
//! use rig_agent::AgentBuilder;
//!
//! let memory = EntityMemory::new(MemorySystem::open("sqlite://agent.db").await?, "mira");
//! let agent = AgentBuilder::new(model)
//!     .dynamic_context(5, memory.index())
//!     .tool(memory.retain_tool())
//!     .tool(memory.forget_tool())
//!     .build();
//! println!("{}", agent.prompt("Who sold me the lame horse?").await?.output());
//! # Ok(())
//! # }
//! ```
//!
//! What one adapter gives never reads or writes memories of another entity. Calls need a
//! tokio runtime with timers, as those of [`memory::MemorySystem`] do, and can be cancelled
//! like them: a write that has begun is completed.
//!
//! # Types of other crates
//! The public interface has types of `memory`, `rig-core`, `chrono`, `serde` and `schemars`.

mod entity_memory;
mod filter;
mod index;
mod recalled;
mod tools;

pub use entity_memory::EntityMemory;
pub use index::MemoryIndex;
pub use recalled::RecalledMemory;
pub use tools::{
    ForgetArgs, ForgetOutput, ForgetTool, RecallArgs, RecallOutput, RecallTool, RetainArgs,
    RetainOutput, RetainTool,
};

/// The examples of the document compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/frameworks.md")]
struct Frameworks;
