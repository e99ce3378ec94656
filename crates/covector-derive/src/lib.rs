//! Procedural macros of covector: [`derive(Tree)`](macro@Tree), [`op`](macro@op) and [`op_list!`].
//!
//! The generated code names everything as `::covector::..`; covector itself makes that work with
//! `extern crate self as covector;`. Use the macros through covector, which exports them.

#![forbid(unsafe_code)]

mod op;
mod options;
mod signature;
#[cfg(test)]
mod tests;
mod tree;

use proc_macro::TokenStream;

/// Implements `covector::Tree`: the tensors of a type, in the order of its fields.
///
/// For structs and enums of every form; the derived `rebuild` makes a value of the same variant. A
/// field adds its name to the path of its leaves, a tuple field its number ("0", "1"), a variant
/// nothing. Type parameters get the bound `Tree`, or `Clone` where a skipped field has them.
///
/// # Field attributes
///
/// - `#[tree(skip)]`: the field has no leaves and is cloned;
/// - `#[tree(rename = "name")]`: the path name of the field.
///
/// # Errors
///
/// Compile errors: a union or an enum without variants, two fields with one path name, an unknown
/// `#[tree]` option, `#[tree]` on anything but a field.
///
/// # Example
///
/// ```
/// # extern crate self as covector;
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/covector/mod.rs"));
/// # fn main() {
/// use covector_derive::Tree;
///
/// #[derive(Tree)]
/// struct Dense {
///     weight: Tensor,
///     #[tree(rename = "b")]
///     bias: Tensor,
///     #[tree(skip)]
///     name: String,
/// }
///
/// let x = Tensor::new(&[1.0]);
/// let dense = Dense { weight: x.clone(), bias: x, name: "first".into() };
/// let mut paths = Vec::new();
/// dense.visit(&mut tree::Path::default(), &mut |path, _leaf| paths.push(path.0.join(".")));
/// assert_eq!(paths, ["weight", "b"]);
/// # }
/// ```
#[proc_macro_derive(Tree, attributes(tree))]
pub fn derive_tree(input: TokenStream) -> TokenStream {
    tree::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a public op of a function `fn name(..) -> Result<R>`; for use within covector only.
///
/// The body is the fallible computation. From it come:
///
/// - `name(..) -> R`, which panics at the caller's line, and `try_name(..) -> Result<R>`;
/// - the same two as methods of `Tensor`, when the first parameter is a `&Tensor` (inherent
///   methods are why the macro works in no other crate);
/// - the registry record `OpDef`, which [`op_list!`] collects: an op in no list is dead code.
///
/// # Parameters
///
/// | written | public signature | registry takes |
/// |---|---|---|
/// | `&Tensor`, other `&T` | the same | `Tensor`, `T` |
/// | `&[T]`, `&str` | the same | `Vec<T>`, `String` |
/// | numbers, `bool` | the same | the same |
/// | `Option<..>` of the above or of a `T` | the same | `Option<..>` of the above |
/// | any other `T`: `Axis`, `Operand`; also `&Operand` | `impl Into<T>` | `T` |
///
/// The operands that errors show are the tensors among them, also one inside an `Operand`.
///
/// # Options
///
/// - `samples = [(value, ..), ..]`, mandatory: argument tuples on which the op is checked. The
///   functions of `covector::registry::sample` are in scope; a value is anything `Arg` is made
///   from;
/// - `method = false`: no methods;
/// - `name = "..."`: the registry name, by default that of the function without a trailing `_`;
/// - `notes = "..."`: remarks for the record.
///
/// Doc comments go to the public function and the method, `#[allow]` to every form, other
/// attributes to the private function with the body.
///
/// # Errors
///
/// Compile errors: no docstring, no samples, a sample with the wrong number of values, generics,
/// a parameter that is no simple name, a type outside the table, a result that is no `Result<R>`.
///
/// # Example
///
/// ```
/// # extern crate self as covector;
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/covector/mod.rs"));
/// use covector_derive::{op, op_list};
///
/// /// Sum along `axis`.
/// #[op(samples = [(real(2), -1), (real(3), 0)])]
/// pub fn sum(x: &Tensor, axis: Axis) -> Result<Tensor> {
///     if axis.0 > 0 {
///         return Err(Fault(format!("no axis {}", axis.0)));
///     }
///     Ok(Tensor::new(&[x.values.iter().sum()]))
/// }
///
/// op_list![sum];
///
/// # fn main() {
/// let x = Tensor::new(&[1.0, 2.0]);
/// assert_eq!(x.sum(-1), sum(&x, 0));
/// assert!(x.try_sum(1).is_err());
/// assert_eq!(OPS[0].doc, "Sum along `axis`.");
/// # }
/// ```
#[proc_macro_attribute]
pub fn op(options: TokenStream, item: TokenStream) -> TokenStream {
    op::expand(options.into(), item.clone().into()).map_or_else(
        // The function stays, so that its users do not add errors of their own.
        |error| TokenStream::from_iter([error.into_compile_error().into(), item]),
        Into::into,
    )
}

/// Lists the ops of a module: `op_list![softmax, where_]` makes `pub(crate) static OPS`.
///
/// The names are those of the functions under [`op`](macro@op). An op that is left out is reported
/// as dead code ("constant `op_list_entry_softmax` is never used").
#[proc_macro]
pub fn op_list(input: TokenStream) -> TokenStream {
    op::expand_list(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
