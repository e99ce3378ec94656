//! Variance, norms, products, truth and arguments of extremes.

use covector_derive::op_list;

op_list![];
