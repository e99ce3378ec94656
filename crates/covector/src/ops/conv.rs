//! Convolutions: windows seen without a copy, then one contraction.

use covector_derive::op_list;

op_list![];
