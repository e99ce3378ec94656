//! Joining tensors: concat, stack, roll, tile, repeat, and padding in every mode.

use covector_derive::op_list;

op_list![];
