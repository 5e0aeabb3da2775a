//! Recording, editing and explaining every value of a run.
