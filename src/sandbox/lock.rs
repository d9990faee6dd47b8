//! Locking a mutex that survives a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, also after a test panicked while it held the lock: that test has failed already, the others go on.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
