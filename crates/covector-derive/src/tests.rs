//! Expansions as text, and the messages of compile errors.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Result;

use crate::{op, tree};

/// The items of an expansion, each on one line as `rustc` would see its tokens.
fn items(expansion: Result<TokenStream>) -> Vec<String> {
    let file: syn::File = syn::parse2(expansion.expect("expands")).expect("is a list of items");
    file.items.iter().map(|item| dense(&quote!(#item))).collect()
}

/// Tokens without the spaces that the printer puts between them.
fn dense(tokens: &TokenStream) -> String {
    tokens.to_string().replace(' ', "")
}

#[track_caller]
fn has(items: &[String], expected: TokenStream) {
    let expected = dense(&expected);
    assert!(items.iter().any(|item| item.contains(&expected)), "missing:\n{expected}\nin:\n{}", items.join("\n"));
}

fn message(expansion: Result<TokenStream>) -> String {
    expansion.expect_err("is refused").to_string()
}

fn softmax() -> Vec<String> {
    items(op::expand(
        quote!(samples = [(real([2, 3]), -1)]),
        quote! {
            /// Softmax.
            #[inline]
            #[allow(unused)]
            pub fn softmax(x: &Tensor, axis: Axis) -> Result<Tensor> {
                body(x, axis)
            }
        },
    ))
}

#[test]
fn an_op_is_a_body_two_functions_two_methods_and_a_record() {
    let items = softmax();
    assert_eq!(items.len(), 6);
    has(
        &items,
        quote! {
            #[inline]
            #[allow(unused)]
            fn __softmax_impl(x: &Tensor, axis: Axis) -> Result<Tensor> {
                body(x, axis)
            }
        },
    );
    has(
        &items,
        quote! {
            #[doc = r" Softmax."]
            #[allow(unused)]
            #[track_caller]
            pub fn softmax(x: &Tensor, axis: impl ::core::convert::Into<Axis>) -> Tensor
        },
    );
    has(
        &items,
        quote! {
            #[doc = "Fallible form of [`softmax`]: the error instead of a panic."]
            #[allow(unused)]
            #[track_caller]
            pub fn try_softmax(
                x: &Tensor,
                axis: impl ::core::convert::Into<Axis>
            ) -> ::covector::Result<Tensor> {
                let axis: Axis = axis.into();
                ::covector::registry::enter(
                    &__OP_softmax,
                    ::core::panic::Location::caller(),
                    |__operands| {
                        __operands.push(x.described());
                    },
                    || __softmax_impl(x, axis),
                )
            }
        },
    );
    has(&items, quote!(pub fn softmax(&self, axis: impl ::core::convert::Into<Axis>) -> Tensor));
    has(&items, quote!(self::try_softmax(self, axis)));
    has(
        &items,
        quote!(
            const op_list_entry_softmax: &::covector::registry::OpDef = &__OP_softmax;
        ),
    );
}

#[test]
fn a_record_takes_owned_arguments_and_lends_them() {
    let items = items(op::expand(
        quote!(samples = [(None, vec![], "a", 1, None)]),
        quote! {
            /// Doc.
            pub fn f(
                w: Option<&Tensor>,
                xs: &[Tensor],
                s: &str,
                n: usize,
                sizes: Option<&[usize]>,
            ) -> crate::Result<Vec<Tensor>> {}
        },
    ));
    has(
        &items,
        quote! {
            let w: ::core::option::Option<Tensor> = __args.take("w")?;
            let xs: ::std::vec::Vec<Tensor> = __args.take("xs")?;
            let s: ::std::string::String = __args.take("s")?;
            let n: usize = __args.take("n")?;
            let sizes: ::core::option::Option<::std::vec::Vec<usize> > = __args.take("sizes")?;
            __args.finish()?;
            let __result = try_f(w.as_ref(), &xs, &s, n, sizes.as_deref())?;
        },
    );
    has(&items, quote!(::covector::registry::Param { name: "sizes", kind: "[usize]", optional: true }));
    has(&items, quote!(outputs: "Vec<Tensor>"));
    has(&items, quote!(::covector::registry::Arg::from(None::<::covector::registry::Arg>)));
    assert!(!items.iter().any(|item| item.starts_with("impl")), "`w` may be missing: no method");
}

#[test]
fn names_and_methods_can_be_chosen() {
    let function = quote! {
        /// Doc.
        pub fn where_(x: &Tensor) -> Result<Tensor> {}
    };
    let expand = |options| items(op::expand(options, function.clone()));
    let plain = expand(quote!(samples = [(real(1),)]));
    has(&plain, quote!(name: "where"));
    has(&plain, quote!(fn __where_impl));
    has(&plain, quote!(pub fn try_where_));
    let named = expand(quote!(samples = [(real(1))], name = "select", notes = "n", method = false));
    has(&named, quote!(name: "select"));
    has(&named, quote!(notes: "n"));
    assert!(!named.iter().any(|item| item.starts_with("impl")));
}

#[test]
fn a_list_refers_to_the_entries() {
    let list = items(op::expand_list(quote!(sum, where_,)));
    has(&list, quote!([op_list_entry_sum, op_list_entry_where_];));
    assert_eq!(message(op::expand_list(quote!(sum, sum))), "`sum` is listed twice");
}

#[test]
fn misuse_of_op_is_explained() {
    let refused = |options: &str, function: &str| {
        let parse = |text: &str| text.parse::<TokenStream>().expect("is made of tokens");
        message(op::expand(parse(options), parse(function)))
    };
    let good = "samples = [(1,)]";
    for (function, expected) in [
        ("pub fn f(x: &Tensor) -> Result<Tensor> {}", "a public op needs a docstring"),
        ("/** f */ pub fn f<T>(x: &Tensor) -> Result<Tensor> {}", "without generics"),
        ("/** f */ pub async fn f(x: &Tensor) -> Result<Tensor> {}", "a plain function"),
        ("/** f */ pub fn f(&self) -> Result<Tensor> {}", "write `x: &Tensor`"),
        ("/** f */ pub fn f(mut x: &Tensor) -> Result<Tensor> {}", "a simple name"),
        ("/** f */ pub fn f((x, y): Pair) -> Result<Tensor> {}", "a simple name"),
        ("/** f */ pub fn f(x: Tensor) -> Result<Tensor> {}", "by reference: `&Tensor`"),
        ("/** f */ pub fn f(x: Option<Tensor>) -> Result<Tensor> {}", "by reference: `&Tensor`"),
        ("/** f */ pub fn f(x: &mut Tensor) -> Result<Tensor> {}", "cannot take this type"),
        ("/** f */ pub fn f(x: &[&Tensor]) -> Result<Tensor> {}", "cannot take this type"),
        ("/** f */ pub fn f(x: [usize; 2]) -> Result<Tensor> {}", "cannot take this type"),
        ("/** f */ pub fn f(x: &Tensor) -> Tensor {}", "an op returns `Result<R>`"),
        ("/** f */ pub fn f(x: &Tensor) {}", "an op returns `Result<R>`"),
    ] {
        let message = refused(good, function);
        assert!(message.contains(expected), "{function}: {message}");
    }
    let function = "/** f */ pub fn f(x: &Tensor) -> Result<Tensor> {}";
    for (options, expected) in [
        ("", "an op needs samples"),
        ("samples = []", "at least one tuple"),
        ("samples = 1", "at least one tuple"),
        ("samples = [1]", "a sample is a tuple"),
        ("samples = [(1, 2)]", "expected 1, found 2"),
        ("samples = [(1,)], domain = 1", "expected `samples`, `method`, `name` or `notes`"),
        ("samples = [(1,)], name = \"g\", name = \"h\"", "given twice"),
    ] {
        let message = refused(options, function);
        assert!(message.contains(expected), "{options}: {message}");
    }
}

#[test]
fn bounds_follow_the_use_of_a_parameter() {
    let items = items(tree::expand(quote! {
        struct Model<T, F, G: Copy, N>(T, #[tree(skip)] fn(F) -> F, Vec<(G, F)>);
    }));
    let tree = quote!(::covector::Tree);
    let clone = quote!(::core::clone::Clone);
    has(&items, quote!(impl<T: #tree, F: #tree + #clone, G: Copy + #tree, N> #tree for));
}

#[test]
fn misuse_of_tree_is_explained() {
    for (item, expected) in [
        ("union U { a: u8 }", "for structs and enums"),
        ("enum Never {}", "at least one variant"),
        ("#[tree(skip)] struct S;", "belongs on a field"),
        ("enum E { #[tree(skip)] A }", "belongs on a field"),
        ("struct S { #[tree(drop)] a: u8 }", "expected `skip` or `rename"),
        ("struct S { #[tree(skip, rename = \"b\")] a: u8 }", "no path name to change"),
        ("struct S { #[tree(rename = \"b\")] a: u8, b: u8 }", "two fields have the path name \"b\""),
    ] {
        let message = message(tree::expand(item.parse().expect("is made of tokens")));
        assert!(message.contains(expected), "{item}: {message}");
    }
}
