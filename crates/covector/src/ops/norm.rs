//! Normalisation layers and attention, as functions.

use covector_derive::op_list;

op_list![];
