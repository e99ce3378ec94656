//! Running sums, products and extremes along an axis.

use covector_derive::op_list;

op_list![];
