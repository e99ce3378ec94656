//! Sliding windows and their adjoint, overlap-add.

use covector_derive::op_list;

op_list![];
