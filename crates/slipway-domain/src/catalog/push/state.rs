//! Progress of a push on one of its devices.

use std::fmt;

use crate::catalog::field::Invalid;

/// State of one target: `queued → delivered → received → opened → applied | failed`, or `expired`, `withdrawn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetState {
    /// Stored, and not sent to the device yet.
    Queued,
    /// Sent over a channel. Only the device itself can prove the receipt.
    Delivered,
    /// The device has received the push.
    Received,
    /// A user has opened the push.
    Opened,
    /// The push is in effect.
    Applied,
    /// The device could not apply the push.
    Failed,
    /// The push expired before the device acknowledged it.
    Expired,
    /// The sender withdrew the push before its delivery.
    Withdrawn,
}

/// Acknowledgement of a push by a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Acknowledgement {
    Received,
    Opened,
    Applied,
    Failed,
}

/// Channel over which a push is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Stream of server-sent events.
    Events,
    /// Long poll.
    Poll,
    /// MQTT broker.
    Mqtt,
}

impl TargetState {
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Delivered,
        Self::Received,
        Self::Opened,
        Self::Applied,
        Self::Failed,
        Self::Expired,
        Self::Withdrawn,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Received => "received",
            Self::Opened => "opened",
            Self::Applied => "applied",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Invalid::new("is not a state of a push target"))
    }

    /// Returns `true` if the push must be offered to the device, possibly again.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Delivered)
    }

    /// Returns `true` if the device has acknowledged the push.
    pub const fn is_acknowledged(self) -> bool {
        matches!(self, Self::Received | Self::Opened | Self::Applied | Self::Failed)
    }

    /// Returns the state after delivery over a channel.
    #[must_use]
    pub const fn after_delivery(self) -> Self {
        match self {
            Self::Queued => Self::Delivered,
            other => other,
        }
    }

    /// Returns the state after an acknowledgement. States only move forward, so a late or repeated acknowledgement
    /// changes nothing.
    ///
    /// An acknowledgement also counts after expiry or withdrawal, because the push may have been delivered without a
    /// record of it yet.
    #[must_use]
    pub const fn after_acknowledgement(self, said: Acknowledgement) -> Self {
        if said.rank() > self.rank() {
            said.state()
        } else {
            self
        }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Delivered => 1,
            Self::Expired | Self::Withdrawn => 2,
            Self::Received => 3,
            Self::Opened => 4,
            Self::Applied | Self::Failed => 5,
        }
    }
}

impl Acknowledgement {
    pub const ALL: [Self; 4] = [Self::Received, Self::Opened, Self::Applied, Self::Failed];

    pub const fn as_str(self) -> &'static str {
        self.state().as_str()
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|said| said.as_str() == text)
            .ok_or_else(|| Invalid::new("must be one of received, opened, applied, failed"))
    }

    pub const fn state(self) -> TargetState {
        match self {
            Self::Received => TargetState::Received,
            Self::Opened => TargetState::Opened,
            Self::Applied => TargetState::Applied,
            Self::Failed => TargetState::Failed,
        }
    }

    /// Returns `true` if no other acknowledgement can follow.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Applied | Self::Failed)
    }

    const fn rank(self) -> u8 {
        self.state().rank()
    }
}

impl Channel {
    pub const ALL: [Self; 3] = [Self::Events, Self::Poll, Self::Mqtt];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Poll => "poll",
            Self::Mqtt => "mqtt",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|channel| channel.as_str() == text)
            .ok_or_else(|| Invalid::new("is not a channel of pushes"))
    }
}

impl fmt::Display for TargetState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    #[test]
    fn texts_are_read_as_they_are_written() {
        for state in TargetState::ALL {
            assert_eq!(TargetState::parse(state.as_str()), Ok(state));
        }
        for said in Acknowledgement::ALL {
            assert_eq!(Acknowledgement::parse(said.as_str()), Ok(said));
        }
        for channel in Channel::ALL {
            assert_eq!(Channel::parse(channel.as_str()), Ok(channel));
        }
        for unknown in ["", "Queued", "queued ", "delivered"] {
            assert!(Acknowledgement::parse(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn what_is_said_late_changes_nothing() {
        use Acknowledgement as Said;
        use TargetState as State;
        for (state, said, then) in [
            (State::Queued, Said::Received, State::Received),
            (State::Queued, Said::Applied, State::Applied),
            (State::Delivered, Said::Opened, State::Opened),
            (State::Opened, Said::Received, State::Opened),
            (State::Opened, Said::Opened, State::Opened),
            (State::Applied, Said::Failed, State::Applied),
            (State::Failed, Said::Applied, State::Failed),
            (State::Expired, Said::Received, State::Received),
            (State::Withdrawn, Said::Received, State::Received),
            (State::Withdrawn, Said::Applied, State::Applied),
        ] {
            assert_eq!(state.after_acknowledgement(said), then, "{state} {said:?}");
        }
    }

    #[derive(Debug, Clone, Copy)]
    enum Event {
        Delivery,
        Said(Acknowledgement),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Delivery),
            select(Acknowledgement::ALL.as_slice()).prop_map(Event::Said),
        ]
    }

    proptest! {
        /// In any order of events, an acknowledgement is never lost, and an acknowledged push is no longer offered.
        #[test]
        fn states_only_move_forward(start in select(TargetState::ALL.as_slice()), events in prop::collection::vec(event(), 0..8)) {
            let mut state = start;
            for event in events {
                let before = state;
                state = match event {
                    Event::Delivery => state.after_delivery(),
                    Event::Said(said) => state.after_acknowledgement(said),
                };
                prop_assert!(before.rank() <= state.rank());
                prop_assert!(before.is_open() || !state.is_open());
                prop_assert!(!before.is_acknowledged() || state.is_acknowledged());
                if let Event::Said(said) = event {
                    prop_assert!(state.is_acknowledged() && !state.is_open());
                    prop_assert!(state.rank() >= said.rank());
                }
            }
        }
    }
}
