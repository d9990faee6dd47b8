//! Panics on the thread of a test. The program's tasks run there as well, and the runtime catches what they panic with: a
//! test would go on as if nothing had happened.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;
use std::thread;

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Fails when it is dropped if there was a panic on this thread, and the test did not fail by it.
pub(super) struct Watch(());

impl Watch {
    pub(super) fn start() -> Self {
        static STARTED: Once = Once::new();
        STARTED.call_once(|| {
            let earlier = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                // Not while the thread is torn down.
                _ = PANICS.try_with(|panics| panics.borrow_mut().push(info.to_string()));
                earlier(info);
            }));
        });
        Self(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let panics = PANICS.with(RefCell::take);
        assert!(thread::panicking() || panics.is_empty(), "a task panicked: {panics:#?}");
    }
}

#[tokio::test]
#[should_panic = "a task panicked"]
async fn a_test_fails_if_a_task_of_the_program_panicked() {
    let _watch = Watch::start();
    assert!(tokio::spawn(async { panic!("the words") }).await.is_err());
}
