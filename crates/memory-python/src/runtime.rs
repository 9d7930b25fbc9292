//! Running the facade's futures for Python: a call that waits, and a coroutine.
//!
//! Both run on one tokio runtime for the process, which the first call starts. While a
//! future is waited for, the thread is detached from the interpreter, so other threads of
//! Python run.

use std::pin::pin;
use std::process;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use memory::MemoryResult;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyTuple};
use pyo3_async_runtimes::tokio::{future_into_py, get_runtime};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::errors::to_exception;

/// How long a call waits before it looks for signals: Ctrl-C takes effect within this
/// time, and a call that is shorter never attaches to the interpreter for it.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// Waits for a future and returns its value, or raises its error. Where a signal handler
/// raises, as that of Ctrl-C does, the future is dropped: a read is abandoned, and a write
/// runs to its end.
pub(crate) fn wait<'py, F, T>(py: Python<'py>, future: F) -> PyResult<Bound<'py, PyAny>>
where
    F: Future<Output = MemoryResult<T>> + Send,
    T: IntoPyObject<'py> + Send,
{
    let runtime = runtime()?;
    // A future that is dropped here may return a connection on the runtime.
    let _context = runtime.enter();
    let mut future = pin!(future);
    loop {
        let step = timeout_step(future.as_mut());
        match py.detach(|| runtime.block_on(step)) {
            Some(outcome) => return Outcome(outcome).into_pyobject(py),
            None => py.check_signals()?,
        }
    }
}

/// The outcome of a future, if it is there within [`SIGNAL_INTERVAL`].
async fn timeout_step<F: Future>(future: F) -> Option<F::Output> {
    // The timer is made inside of the runtime that has it.
    timeout(SIGNAL_INTERVAL, future).await.ok()
}

/// A coroutine of asyncio that runs a future when it is awaited. Cancelling it drops the
/// future.
pub(crate) fn coroutine<F, T>(py: Python<'_>, future: F) -> PyResult<Bound<'_, PyAny>>
where
    F: Future<Output = MemoryResult<T>> + Send + 'static,
    T: for<'p> IntoPyObject<'p> + Send + 'static,
{
    static RUN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    RUN.import(py, "memory._asyncio", "run")?
        .call1((start_function(py, future)?,))
}

/// A function for Python that starts a future, once, and returns the `asyncio.Future` of
/// its value.
pub(crate) fn start_function<F, T>(py: Python<'_>, future: F) -> PyResult<Bound<'_, PyCFunction>>
where
    F: Future<Output = MemoryResult<T>> + Send + 'static,
    T: for<'p> IntoPyObject<'p> + Send + 'static,
{
    let future = Mutex::new(Some(future));
    PyCFunction::new_closure(
        py,
        None,
        None,
        move |arguments: &Bound<'_, PyTuple>, _| -> PyResult<Py<PyAny>> {
            runtime()?;
            let mut future = future.lock().unwrap_or_else(PoisonError::into_inner);
            let future = future
                .take()
                .ok_or_else(|| PyRuntimeError::new_err("the call was already started"))?;
            let future = async move { Ok(Outcome(future.await)) };
            Ok(future_into_py(arguments.py(), future)?.unbind())
        },
    )
}

/// The runtime of this process.
fn runtime() -> PyResult<&'static Runtime> {
    check_process()?;
    Ok(get_runtime())
}

/// Refuses a forked process, which has the runtime without its threads, and the locks as
/// those threads held them: it would wait forever. Called before anything else of a system.
pub(crate) fn check_process() -> PyResult<()> {
    static OWNER: OnceLock<u32> = OnceLock::new();
    if *OWNER.get_or_init(process::id) != process::id() {
        return Err(PyRuntimeError::new_err(
            "this process was forked from one that had used memory; open the system in the \
             new process only, or start processes with the method \"spawn\"",
        ));
    }
    Ok(())
}

/// What a future of the facade returned. It is converted by the thread that has the
/// interpreter, not by a worker of the runtime.
struct Outcome<T>(MemoryResult<T>);

impl<'py, T: IntoPyObject<'py>> IntoPyObject<'py> for Outcome<T> {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        match self.0 {
            Ok(value) => value.into_bound_py_any(py),
            Err(error) => Err(to_exception(py, &error)),
        }
    }
}
