//! `sqlx`'s checked queries, for statements that a coming schema changes: what stands in brackets, and arguments after a
//! semicolon, are in them only with the feature `next-schema`.

#[cfg(not(feature = "next-schema"))]
macro_rules! checked {
    ($query:ident!($($row:ident,)? $($text:literal $([$next:literal])?)+ $(, $argument:expr)* $(; $next_argument:expr)?)) => {
        sqlx::$query!($($row,)? "" $(+ $text)+ $(, $argument)*)
    };
}

#[cfg(feature = "next-schema")]
macro_rules! checked {
    ($query:ident!($($row:ident,)? $($text:literal $([$next:literal])?)+ $(, $argument:expr)* $(; $next_argument:expr)?)) => {
        sqlx::$query!($($row,)? "" $(+ $text $(+ $next)?)+ $(, $argument)* $(, $next_argument)?)
    };
}
