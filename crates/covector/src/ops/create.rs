//! Tensors from nothing: zeros, ones, ranges, grids, identity.

use covector_derive::op_list;

op_list![];
