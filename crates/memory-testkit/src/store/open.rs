//! What a suite accepts as a store.

use std::fmt::Debug;
use std::sync::Arc;

use memory_core::Store;

/// What a test's opening function may give: a store itself, one in an [`Arc`]
/// or a [`Box`], also as `dyn Store`, or a `Result` of any of these.
///
/// `Form` tells these forms apart and is always inferred.
pub trait IntoStore<Form> {
    /// The store, shared; or why there is none.
    ///
    /// # Errors
    /// The text of the error with which opening failed.
    fn into_store(self) -> Result<Arc<dyn Store>, String>;
}

/// A store by value.
#[derive(Debug)]
pub struct ByValue;
/// A store in an [`Arc`].
#[derive(Debug)]
pub struct InArc;
/// A `dyn Store` in an [`Arc`].
#[derive(Debug)]
pub struct DynInArc;
/// A `dyn Store` in a [`Box`].
#[derive(Debug)]
pub struct DynInBox;
/// A `Result` of another form.
#[derive(Debug)]
pub struct Fallible<Form>(std::marker::PhantomData<Form>);

impl<S: Store> IntoStore<ByValue> for S {
    fn into_store(self) -> Result<Arc<dyn Store>, String> {
        Ok(Arc::new(self))
    }
}

impl<S: Store> IntoStore<InArc> for Arc<S> {
    fn into_store(self) -> Result<Arc<dyn Store>, String> {
        Ok(self)
    }
}

impl IntoStore<DynInArc> for Arc<dyn Store> {
    fn into_store(self) -> Result<Arc<dyn Store>, String> {
        Ok(self)
    }
}

impl IntoStore<DynInBox> for Box<dyn Store> {
    fn into_store(self) -> Result<Arc<dyn Store>, String> {
        Ok(self.into())
    }
}

impl<T: IntoStore<Form>, Form, E: Debug> IntoStore<Fallible<Form>> for Result<T, E> {
    fn into_store(self) -> Result<Arc<dyn Store>, String> {
        self.map_err(|error| format!("{error:?}"))?.into_store()
    }
}
