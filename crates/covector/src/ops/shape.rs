//! More views: squeeze, expand, move, slice, split, triangles.

use covector_derive::op_list;

op_list![];
