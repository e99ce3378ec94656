//! `#[op]` and `op_list!`: from one function, the public op and its registry record.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Result, Token};

use crate::options::Options;
use crate::signature::{Op, Operand, Param, type_text};

/// The names of the generated items.
struct Names {
    op: Ident,
    try_op: Ident,
    body: Ident,
    def: Ident,
    list_entry: Ident,
    /// The name in the registry, unless another one is given.
    registry: String,
}

/// Expands `#[op(options)] item`.
pub fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let op: Op = syn::parse2(item)?;
    let options: Options = syn::parse2(options)?;
    let names = Names::new(&op.sig.ident);
    let functions = expand_functions(&op, &names);
    let methods = match op.params.split_first() {
        Some((this, rest)) if options.method && this.operand == Operand::One => expand_methods(&op, &names, rest),
        _ => TokenStream::new(),
    };
    let record = expand_record(&op, &names, &options)?;
    let (def, list_entry) = (&names.def, &names.list_entry);
    // rustc reports no dead code inside macros of another crate: this has the user's span.
    let list_entry = quote_spanned! {list_entry.span()=>
        #[allow(non_upper_case_globals)]
        const #list_entry: &::covector::registry::OpDef = &#def;
    };
    Ok(quote! {
        #functions
        #methods

        #[allow(non_upper_case_globals)]
        static #def: ::covector::registry::OpDef = #record;

        #list_entry
    })
}

/// Expands `op_list![a, b]`.
pub fn expand_list(input: TokenStream) -> Result<TokenStream> {
    let ops = Punctuated::<Ident, Token![,]>::parse_terminated.parse2(input)?;
    let mut seen = HashSet::new();
    if let Some(twice) = ops.iter().find(|op| !seen.insert(*op)) {
        return Err(Error::new(twice.span(), format!("`{twice}` is listed twice")));
    }
    let entries = ops.iter().map(|op| Names::new(op).list_entry);
    Ok(quote! {
        /// The ops of this module, for the registry.
        pub(crate) static OPS: &[&::covector::registry::OpDef] = &[#(#entries),*];
    })
}

impl Names {
    fn new(op: &Ident) -> Self {
        let plain = op.unraw().to_string();
        let plain = plain.strip_suffix('_').unwrap_or(&plain);
        Self {
            op: op.clone(),
            // Not `{op}` inside the text: `format_ident!` takes the span of a separate argument.
            try_op: format_ident!("try_{}", op),
            body: format_ident!("__{plain}_impl", span = op.span()),
            def: format_ident!("__OP_{}", op),
            // No leading underscore: an op that `op_list!` leaves out must be reported as unused.
            list_entry: format_ident!("op_list_entry_{}", op),
            registry: plain.to_owned(),
        }
    }
}

/// The written function under its private name, and the two public ones.
fn expand_functions(op: &Op, names: &Names) -> TokenStream {
    let Op { docs, others, vis, params, result, body, .. } = op;
    let Names { op: name, try_op, body: private, def, .. } = names;
    let mut sig = op.sig.clone();
    sig.ident = private.clone();

    let args: Vec<_> = params.iter().map(|param| &param.name).collect();
    let types: Vec<_> = params.iter().map(|param| &param.public).collect();
    let conversions = params.iter().filter(|param| param.convert).map(|param| {
        let Param { name, owned, .. } = param;
        quote!(let #name: #owned = #name.into();)
    });
    let operands = params.iter().map(|Param { name, operand, .. }| match operand {
        Operand::None => quote!(),
        Operand::One => quote!(__operands.push(#name.described());),
        Operand::Many => quote!(__operands.extend(#name.iter().map(|x| x.described()));),
        Operand::OrNumber => quote! {
            if let ::covector::Operand::Tensor(x) = &#name {
                __operands.push(x.described());
            }
        },
    });
    let given = params.iter().map(|param| &param.given);
    let allows = allows(op);
    let try_doc = format!("Fallible form of [`{name}`]: the error instead of a panic.");
    quote! {
        #(#others)* #sig #body

        #(#docs)* #allows
        #[track_caller]
        #vis fn #name(#(#args: #types),*) -> #result {
            match #try_op(#(#args),*) {
                ::core::result::Result::Ok(value) => value,
                ::core::result::Result::Err(error) => error.raise(),
            }
        }

        #[doc = #try_doc] #allows
        #[track_caller]
        #vis fn #try_op(#(#args: #types),*) -> ::covector::Result<#result> {
            #(#conversions)*
            ::covector::registry::enter(
                &#def,
                ::core::panic::Location::caller(),
                |__operands| { #(#operands)* },
                || #private(#(#given),*),
            )
        }
    }
}

/// The two public functions as methods of `Tensor`.
fn expand_methods(op: &Op, names: &Names, rest: &[Param]) -> TokenStream {
    let Op { docs, vis, result, .. } = op;
    let Names { op: name, try_op, .. } = names;
    let args: Vec<_> = rest.iter().map(|param| &param.name).collect();
    let types: Vec<_> = rest.iter().map(|param| &param.public).collect();
    let allows = allows(op);
    let try_doc = format!("Fallible form of [`{name}`](Self::{name}): the error, not a panic.");
    // `self::`, because a parameter may have the name of its op.
    quote! {
        impl ::covector::Tensor {
            #(#docs)* #allows
            #[track_caller]
            #vis fn #name(&self, #(#args: #types),*) -> #result {
                self::#name(self, #(#args),*)
            }

            #[doc = #try_doc] #allows
            #[track_caller]
            #vis fn #try_op(&self, #(#args: #types),*) -> ::covector::Result<#result> {
                self::#try_op(self, #(#args),*)
            }
        }
    }
}

/// `#[allow(..)]` concerns every form of the function: `clippy::too_many_arguments`.
fn allows(op: &Op) -> TokenStream {
    op.others.iter().filter(|attr| attr.path().is_ident("allow")).map(|a| quote!(#a)).collect()
}

/// The value of the op's registry record.
fn expand_record(op: &Op, names: &Names, options: &Options) -> Result<TokenStream> {
    let Op { doc, params, result, .. } = op;
    let Names { try_op, .. } = names;
    let name = options.name.as_ref().map_or_else(|| names.registry.clone(), LitStr::value);
    let notes = options.notes.as_ref().map_or_else(|| quote!(""), |notes| quote!(#notes));
    let outputs = type_text(result);
    let described = params.iter().map(|param| {
        let Param { key, kind, optional, .. } = param;
        quote!(::covector::registry::Param { name: #key, kind: #kind, optional: #optional })
    });
    let taken = params.iter().map(|Param { name, key, owned, .. }| quote!(let #name: #owned = __args.take(#key)?;));
    let lent = params.iter().map(|param| &param.lent);
    let samples = options.samples.iter().map(|sample| sample.expand(params.len()));
    let samples = samples.collect::<Result<Vec<_>>>()?;
    Ok(quote! {
        ::covector::registry::OpDef {
            name: #name,
            doc: #doc,
            module: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
            params: &[#(#described),*],
            outputs: #outputs,
            notes: #notes,
            call: |__args: &mut ::covector::registry::Args|
                -> ::covector::Result<::std::vec::Vec<::covector::Tensor>> {
                #(#taken)*
                __args.finish()?;
                let __result = #try_op(#(#lent),*)?;
                ::core::result::Result::Ok(::covector::registry::Outputs::into_tensors(__result))
            },
            samples: || {
                #[allow(unused_imports)]
                use ::covector::registry::sample::*;
                ::std::vec![#(#samples),*]
            },
        }
    })
}
