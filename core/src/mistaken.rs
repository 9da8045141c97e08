//! `mistaken!(options, Name)`: whether that planted mistake is to be made. Without the feature `mistakes` it is the word `false`.

#[cfg(feature = "mistakes")]
macro_rules! mistaken {
    ($options:expr, $mistake:ident) => {
        $options.mistake == Some(crate::mistakes::Mistake::$mistake)
    };
}

#[cfg(not(feature = "mistakes"))]
macro_rules! mistaken {
    ($options:expr, $mistake:ident) => {
        false
    };
}
