//! How faults are listed.

/// Declares an enum of faults: each variant with what it breaks, and the check
/// that must reject it.
macro_rules! faults {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $fault:ident => $check:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $fault,)+
        }

        impl $name {
            /// Every fault.
            pub const ALL: &[Self] = &[$(Self::$fault,)+];

            /// The check that must reject it.
            #[must_use]
            pub const fn detected_by(self) -> &'static str {
                match self {
                    $(Self::$fault => $check,)+
                }
            }
        }
    };
}

pub(super) use faults;
