//! Contractions by letters: einsum, tensordot, outer and inner products.

use covector_derive::op_list;

op_list![];
