//! Random tensors from explicit keys: a counter-based generator, so numbers depend on the key alone.

use covector_derive::op_list;

op_list![];
