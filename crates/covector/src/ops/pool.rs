//! Pooling and resizing.

use covector_derive::op_list;

op_list![];
