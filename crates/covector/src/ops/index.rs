//! Picking elements by integer tensors and masks, and putting them back.

use covector_derive::op_list;

op_list![];
