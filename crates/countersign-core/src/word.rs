//! Names are text of their own type: each is parsed where it comes in and then only read.

/// `as_str`, Display and Debug of a newtype over text that anybody may see.
macro_rules! word { ($($name:ident),*) => { $(
    impl $name {
        pub fn as_str(&self) -> &str {
            &self.0
        }
    }
    impl std::fmt::Display for $name {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&self.0)
        }
    }
    impl std::fmt::Debug for $name {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&self.0)
        }
    }
)* } }
pub(crate) use word;
