//! Telling the service manager how the sensor is (sd_notify(3)); where there is none, nobody is told.

use sd_notify::NotifyState;

/// The ports are attached and traffic goes through.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The sensor is about to end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Workers are at work. For a service manager that restarts those that are not (WatchdogSec=).
pub fn alive() {
    if sd_notify::watchdog_enabled().is_some() {
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("cannot tell the service manager: {error}");
    }
}
